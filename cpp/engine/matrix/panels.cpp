#include "engine/matrix/panels.h"

#include <algorithm>

#include "engine/matrix/narrow.h"
#include "runtime/dispatch.h"

namespace gru_native {

template <class T>
void turn(const T* const* rows, Index depth, T* to, Index stride) {
  kernels_for<T>().turn(rows, depth, to, stride);
}
template <class T>
bool all_finite(const T* a, Index n) {
  return kernels_for<T>().all_finite(a, n);
}

template <class T>
Product<T> product_of(const PackedMatrix<T>& m, Index lanes, int slots, int first) {
  Product<T> p{};
  p.panels = m.data.data();
  if (m.quantized.kernels) p.quantized = &m.quantized;
  p.k_stride = m.width * lanes;
  p.panel_stride = m.depth * p.k_stride;
  p.panel_end = m.panels;
  p.width = m.width;
  p.depth = m.depth;
  p.a_k_stride = 1;
  p.acc_panel_step = m.blocks_in_panel() * slots * lanes;
  GRU_NATIVE_COUNTING(p.needed = {m.work, nullptr, m.needed_k.data(), 0, 1, m.needed_columns.data(), 0});
  for (int v = 0; v < m.width; ++v) p.acc_vector[v] = (v / m.gates * slots + first + v % m.gates) * lanes;
  return p;
}

template <class T>
void skip_panels(Product<T>& p, Index n, QuantizedWeights& of_few_bits) {
  const Index columns = n * p.k_stride;
  GRU_NATIVE_COUNTING(p.needed.columns += columns);
  if (!p.quantized) {
    p.panels += n * p.panel_stride;
    return;
  }
  const Index groups = divide_up(p.depth, p.quantized->kernels->group);
  of_few_bits = *p.quantized;
  of_few_bits.panels = static_cast<const std::int32_t*>(of_few_bits.panels) + columns * groups;
  of_few_bits.scale += columns;
  of_few_bits.offset += columns;
  p.quantized = &of_few_bits;
}

template <class T>
PackedMatrix<T> empty_shape(Index units, int gates, Index depth, Index lanes) {
  PackedMatrix<T> m;
  m.width = panel_width(gates);
  m.columns_in_panel = m.width * lanes;
  m.gates = gates;
  m.blocks_shift = gates >= 3 ? 0 : gates == 2 ? 1 : 2;
  m.depth = depth;
  m.panels = divide_up(divide_up(units, lanes), m.blocks_in_panel());
  GRU_NATIVE_COUNTING(m.needed_columns.assign(m.panels * m.width * lanes, 0));
  GRU_NATIVE_COUNTING(m.needed_k.assign(depth, 1));
  return m;
}

template <class T>
PackedMatrix<T> empty_panels(Index units, int gates, Index depth, Index lanes) {
  PackedMatrix<T> m = empty_shape<T>(units, gates, depth, lanes);
  m.data = Buffer<T>(m.columns() * depth);
  return m;
}

Index dense_columns(Index columns, Index lanes) {
  const Index vectors = divide_up(columns, lanes);
  return round_up(vectors, narrow_width(vectors)) * lanes;
}

template <class T>
PackedMatrix<T> empty_columns(Index columns, Index depth, Index lanes) {
  const Index vectors = divide_up(columns, lanes);
  PackedMatrix<T> m;
  m.width = m.gates = narrow_width(vectors);
  m.columns_in_panel = m.width * lanes;
  m.depth = depth;
  m.panels = divide_up(vectors, m.width);
  GRU_NATIVE_COUNTING(m.needed_columns.assign(m.columns(), 0));
  GRU_NATIVE_COUNTING(m.needed_k.assign(depth, 1));
  m.data = Buffer<T>(m.columns() * depth);
  return m;
}

template <class T>
PackedMatrix<T> empty_transposed(const PackedMatrix<T>& m, Index lanes, Index blocks) {
  PackedMatrix<T> t;
  if (m.panels == 0) return t;
  t.width = 4;
  t.columns_in_panel = t.width * lanes;
  t.gates = 1;
  t.blocks_shift = 2;
  t.depth = blocks * m.gates * lanes;
  t.panels = divide_up(m.depth, t.width * lanes);
  t.data = Buffer<T>(t.panels * t.depth * t.width * lanes);
#if defined(GRU_NATIVE_COUNT)
  t.work = Work::mac_inputs;
  t.needed_columns = m.needed_k;
  t.needed_columns.resize(t.panels * t.width * lanes, 0);
  t.needed_k = m.needed_columns;
  t.needed_k.resize(t.depth, 0);
#endif
  return t;
}

template <class T>
void transpose_panel(const PackedMatrix<T>& m, const PackedMatrix<T>& t, Index panel, Index lanes) {
  const Index from_columns = m.width * lanes, to_columns = t.width * lanes;
  T* const to = t.data.data() + panel * t.depth * to_columns;
  const Index first = panel * to_columns, count = std::min(to_columns, m.depth - first);
  for (Index begin = 0; begin < t.depth; begin += from_columns) {
    const T* const from = m.data.data() + begin / from_columns * m.depth * from_columns + first * from_columns;
    const Index columns = std::min(from_columns, t.depth - begin);
    for (Index k = 0; k < count; k += lanes) {
      const T* rows[most_lanes];
      for (Index lane = 0; lane < lanes; ++lane)
        rows[lane] = k + lane < count ? from + (k + lane) * from_columns : nullptr;
      turn<T>(rows, columns, to + begin * to_columns + k, to_columns);
    }
  }
}

template <class T>
void fill_transposed(const PackedMatrix<T>& m, const PackedMatrix<T>& to, Index lanes) {
  each_panel(to.panels, to.columns() * to.depth, [&](Index panel) { transpose_panel(m, to, panel, lanes); });
}

template <class T>
PackedMatrix<T> transpose(const PackedMatrix<T>& m, Index lanes, Index blocks) {
  PackedMatrix<T> t = empty_transposed(m, lanes, blocks);
  fill_transposed(m, t, lanes);
  return t;
}

template void turn(const float* const*, Index, float*, Index);
template void turn(const double* const*, Index, double*, Index);
template bool all_finite(const float*, Index);
template bool all_finite(const double*, Index);
template PackedMatrix<float> empty_shape(Index, int, Index, Index);
template PackedMatrix<float> empty_panels(Index, int, Index, Index);
template PackedMatrix<double> empty_panels(Index, int, Index, Index);
template PackedMatrix<float> empty_columns(Index, Index, Index);
template PackedMatrix<double> empty_columns(Index, Index, Index);
template PackedMatrix<float> empty_transposed(const PackedMatrix<float>&, Index, Index);
template PackedMatrix<double> empty_transposed(const PackedMatrix<double>&, Index, Index);
template void fill_transposed(const PackedMatrix<float>&, const PackedMatrix<float>&, Index);
template void fill_transposed(const PackedMatrix<double>&, const PackedMatrix<double>&, Index);
template void transpose_panel(const PackedMatrix<float>&, const PackedMatrix<float>&, Index, Index);
template void transpose_panel(const PackedMatrix<double>&, const PackedMatrix<double>&, Index, Index);
template Product<float> product_of(const PackedMatrix<float>&, Index, int, int);
template Product<double> product_of(const PackedMatrix<double>&, Index, int, int);
template void skip_panels(Product<float>&, Index, QuantizedWeights&);
template void skip_panels(Product<double>&, Index, QuantizedWeights&);
template PackedMatrix<float> transpose(const PackedMatrix<float>&, Index, Index);
template PackedMatrix<double> transpose(const PackedMatrix<double>&, Index, Index);

}  // namespace gru_native
