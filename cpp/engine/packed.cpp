#include "engine/packed.h"

#include "runtime/dispatch.h"

namespace gru_native {
namespace {

constexpr int panel_width(int gates) { return gates == 3 ? 3 : 4; }

// row(gate, unit): where that row of a torch matrix begins.
template <class T, class RowOf>
PackedMatrix<T> pack_rows(Index units, int gates, Index depth, Index lanes, const RowOf& row) {
  PackedMatrix<T> m;
  m.width = panel_width(gates);
  m.gates = gates;
  m.blocks_shift = gates >= 3 ? 0 : gates == 2 ? 1 : 2;
  m.depth = depth;
  m.panels = divide_up(divide_up(units, lanes), m.blocks_in_panel());
  const Index columns = m.width * lanes;
  m.data = Buffer<T>(m.panels * depth * columns);
  for (Index panel = 0; panel < m.panels; ++panel) {
    T* const to = m.data.data() + panel * depth * columns;
    for (int v = 0; v < m.width; ++v)
      for (Index lane = 0; lane < lanes; ++lane) {
        const Index unit = (panel * m.blocks_in_panel() + v / gates) * lanes + lane;
        if (unit >= units) continue;
        const T* const from = row(v % gates, unit);
        T* const column = to + v * lanes + lane;
        for (Index k = 0; k < depth; ++k) column[k * columns] = from[k];
      }
  }
  return m;
}

// k of the result: the columns of m in storage order (block, gate, lane), padding of the last panel left out.
// Columns of the result: the k of m.
template <class T>
PackedMatrix<T> transpose(const PackedMatrix<T>& m, Index lanes, Index blocks) {
  PackedMatrix<T> t;
  if (m.panels == 0) return t;
  t.width = 4;
  t.gates = 1;
  t.blocks_shift = 2;
  t.depth = blocks * m.gates * lanes;
  t.panels = divide_up(m.depth, t.width * lanes);
  const Index from_columns = m.width * lanes, to_columns = t.width * lanes;
  t.data = Buffer<T>(t.panels * t.depth * to_columns);
  for (Index panel = 0; panel < t.panels; ++panel) {
    T* const to = t.data.data() + panel * t.depth * to_columns;
    const Index first = panel * to_columns, count = std::min(to_columns, m.depth - first);
    for (Index begin = 0; begin < t.depth; begin += from_columns) {
      const T* const from = m.data.data() + begin / from_columns * m.depth * from_columns + first * from_columns;
      const Index columns = std::min(from_columns, t.depth - begin);
      for (Index c = 0; c < columns; ++c)
        for (Index k = 0; k < count; ++k) to[(begin + c) * to_columns + k] = from[k * from_columns + c];
    }
  }
  return t;
}

template <class T>
PackedDirection<T> pack_direction(const LayerSpec& spec, const std::vector<Weight<T>>& weights, const WeightIndex& at) {
  const Kernels<T>& kernels = kernels_for<T>();
  const CellKernels<T>& cell = kernels.cell[static_cast<int>(cell_kind(spec))];
  const Index hidden = spec.hidden_size, lanes = kernels.lanes;
  const auto matrix = [&](int weight, Slots slots) {
    const Weight<T>& w = weights[weight];
    const Index depth = w.shape[1];
    return pack_rows<T>(hidden, slots.count, depth, lanes, [&](int gate, Index unit) {
      return w.data + (cell.torch_gate[slots.first + gate] * hidden + unit) * depth;
    });
  };
  PackedDirection<T> p;
  p.input = matrix(at.ih, cell.input);
  p.recurrent = matrix(at.hh, cell.recurrent);
  if (cell.candidate.count > 0) p.second = matrix(at.hh, cell.candidate);
  if (at.hr >= 0)
    p.second = pack_rows<T>(spec.proj_size, 1, hidden, lanes,
                            [&](int, Index unit) { return weights[at.hr].data + unit * hidden; });

  // A slot that both products fill begins at the sum of both biases.
  const auto fills = [](Slots s, int slot) { return slot >= s.first && slot < s.first + s.count; };
  const Index blocks = divide_up(hidden, lanes);
  p.bias = Buffer<T>((blocks + 3) * cell.slots * lanes);  // + 3: panels of four blocks
  if (at.bias_ih >= 0)
    for (Index unit = 0; unit < hidden; ++unit)
      for (int slot = 0; slot < cell.slots; ++slot) {
        const Index row = cell.torch_gate[slot] * hidden + unit;
        T& b = p.bias.data()[((unit / lanes) * cell.slots + slot) * lanes + unit % lanes];
        if (fills(cell.input, slot)) b += weights[at.bias_ih].data[row];
        if (fills(cell.recurrent, slot) || fills(cell.candidate, slot)) b += weights[at.bias_hh].data[row];
      }
  return p;
}

}  // namespace

CellKind cell_kind(const LayerSpec& spec) {
  switch (spec.cell) {
    case Cell::rnn_tanh: return CellKind::rnn_tanh;
    case Cell::rnn_relu: return CellKind::rnn_relu;
    case Cell::lstm: return CellKind::lstm;
    case Cell::gru: break;
  }
  return spec.reset_after ? CellKind::gru_reset_after : CellKind::gru_reset_before;
}

template <class T>
Product<T> product_of(const PackedMatrix<T>& m, Index lanes, int slots, int first) {
  Product<T> p{};
  p.panels = m.data.data();
  p.k_stride = m.width * lanes;
  p.panel_stride = m.depth * p.k_stride;
  p.panel_end = m.panels;
  p.width = m.width;
  p.depth = m.depth;
  p.a_k_stride = 1;
  p.acc_panel_step = m.blocks_in_panel() * slots * lanes;
  for (int v = 0; v < m.width; ++v) p.acc_vector[v] = (v / m.gates * slots + first + v % m.gates) * lanes;
  return p;
}

template <class T>
const std::vector<TransposedDirection<T>>& PackedWeights<T>::transposed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (transposed_.empty()) {
    std::vector<TransposedDirection<T>> made;
    for (const PackedDirection<T>& d : forward) {
      const bool projects = d.second.panels > 0 && d.second.depth != d.recurrent.depth;
      const Index second_blocks = projects ? divide_up(d.recurrent.depth, lanes) : blocks;
      made.push_back({transpose(d.input, lanes, blocks), transpose(d.recurrent, lanes, blocks),
                      transpose(d.second, lanes, second_blocks)});
    }
    transposed_ = std::move(made);
  }
  return transposed_;
}

template <class T>
std::shared_ptr<const PackedWeights<T>> pack(const LayerSpec& spec, const std::vector<Weight<T>>& weights,
                                             const std::vector<WeightIndex>& index) {
  auto packed = std::make_shared<PackedWeights<T>>();
  packed->lanes = kernels_for<T>().lanes;
  packed->blocks = divide_up(spec.hidden_size, packed->lanes);
  for (const WeightIndex& at : index) packed->forward.push_back(pack_direction(spec, weights, at));
  return packed;
}

template Product<float> product_of(const PackedMatrix<float>&, Index, int, int);
template Product<double> product_of(const PackedMatrix<double>&, Index, int, int);
template struct PackedWeights<float>;
template struct PackedWeights<double>;
template std::shared_ptr<const PackedWeights<float>> pack(const LayerSpec&, const std::vector<Weight<float>>&,
                                                          const std::vector<WeightIndex>&);
template std::shared_ptr<const PackedWeights<double>> pack(const LayerSpec&, const std::vector<Weight<double>>&,
                                                           const std::vector<WeightIndex>&);

}  // namespace gru_native
