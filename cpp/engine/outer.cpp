#include "engine/outer.h"

#include <algorithm>

#include "runtime/dispatch.h"

namespace gru_native {
namespace {
constexpr Index depth_at_once = 256;  // rows of x and d that are summed while they are in L2
}  // namespace

template <class T>
void outer_product(const Outer<T>& o, Index begin, Index end) {
  const Kernels<T>& kernels = kernels_for<T>();
  Product<T> p{};
  p.k_stride = o.x.stride;
  p.panel_stride = p.acc_panel_step = 4 * kernels.lanes;
  p.width = 4;
  for (int v = 0; v < 4; ++v) p.acc_vector[v] = v * kernels.lanes;
  p.panel_end = divide_up(o.columns, p.panel_stride);
  p.a_k_stride = o.d.stride;
  p.acc = {o.scratch.base, o.scratch.stride, nullptr};
  p.start = {o.zeros, 0, nullptr};
  p.row_end = end - begin;
  for (Index row = 0; row == 0 || row < o.rows; row += depth_at_once) {
    p.depth = std::min(depth_at_once, o.rows - row);
    p.panels = o.x.base + row * o.x.stride;
    p.a = {o.d.base + row * o.d.stride + begin, 1, nullptr};
    kernels.product(p);
    p.start = {o.scratch.base, o.scratch.stride, nullptr};
  }
}

template <class T>
void outer_sums(const Outer<T>& o, Index begin, Index end) {
  std::fill_n(o.scratch.base, outer_rows, T(0));
  kernels_for<T>().column_sums(o.d.base + begin, o.d.stride, o.rows, end - begin, o.scratch.base);
}

template void outer_product(const Outer<float>&, Index, Index);
template void outer_product(const Outer<double>&, Index, Index);
template void outer_sums(const Outer<float>&, Index, Index);
template void outer_sums(const Outer<double>&, Index, Index);

}  // namespace gru_native
