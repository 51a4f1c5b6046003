// Weights of a Tree-LSTM as the kernels read them, and how its work is shared out.
#include "engine/tree/tree.h"

#include <algorithm>

#include "engine/matrix/few_bits.h"
#include "engine/matrix/matrices.h"

namespace gru_native {
namespace {

constexpr Index granule = 4;        // blocks: panels of one gate hold four

}  // namespace

// weight_ih and weight_hh have rows i f g o, weight_hh_iog has i o g.
TreeGates tree_gates(TreeCell cell) {
  if (cell == TreeCell::nary) return {{0, 2, 3}, {0, 2, 1}};
  return {{0, 2, 3}, {0, 2, 3}};
}

template <class T>
std::shared_ptr<PackedTree<T>> reserve_packed(const TreeSpec& spec, const TreeStore<T>& store) {
  auto packed = std::make_shared<PackedTree<T>>();
  PackedTree<T>& p = *packed;
  const bool nary = spec.cell == TreeCell::nary;
  const Index hidden = spec.hidden_size;
  p.lanes = kernels_for<T>().lanes;
  p.blocks = divide_up(hidden, p.lanes);
  p.slots = nary ? spec.arity : 1;
  p.padded = round_up(p.blocks, granule) * p.lanes;
  p.inner = p.slots * hidden;
  p.w.input = empty_panels(store, hidden, 3, spec.input_size);
  p.w.input_forget = empty_panels(store, hidden, 1, spec.input_size);
  p.w.recurrent = empty_panels(store, hidden, 3, p.inner);
  p.w.recurrent_forget = empty_panels(store, nary ? p.slots * p.padded : hidden, 1, p.inner);
  p.bias = Buffer<T>(p.blocks * 3 * p.lanes);
  p.bias_forget = Buffer<T>(p.padded);
  return packed;
}

template <class T>
void pack(PackedTree<T>& p, const TreeSpec& spec, const TreeStore<T>& store, const TreeWeightIndex& at) {
  const Index hidden = spec.hidden_size;
  const TreeGates gates = tree_gates(spec.cell);
  const auto rows_of = [&](int weight, const int* gate_of) {
    return [=](int gate, Index unit) { return RowOf{weight, gate_of[gate] * hidden + unit}; };
  };
  fill_panels(store, p.w.input, hidden, rows_of(at.ih, gates.input));
  fill_panels(store, p.w.input_forget, hidden, rows_of(at.ih, &tree_forget_gate));
  fill_panels(store, p.w.recurrent, hidden, rows_of(at.hh, gates.recurrent));
  if (spec.cell == TreeCell::nary)
    fill_panels(store, p.w.recurrent_forget, p.slots * p.padded, [&](int, Index column) {
      const Index k = column / p.padded, unit = column % p.padded;
      return unit < hidden ? RowOf{at.hh_f, k * hidden + unit} : RowOf{};
    });
  else fill_panels(store, p.w.recurrent_forget, hidden, rows_of(at.hh, &tree_forget_gate));

  for (Index unit = 0; at.bias >= 0 && unit < hidden; ++unit) {
    const T* const b = store.data(at.bias) + unit;
    for (int slot = 0; slot < 3; ++slot)
      p.bias.data()[(unit / p.lanes * 3 + slot) * p.lanes + unit % p.lanes] = b[gates.input[slot] * hidden];
    p.bias_forget.data()[unit] = b[tree_forget_gate * hidden];
  }
}

template <class T>
const TreePanels<T>& PackedTree<T>::transposed() const {
  return transposed_.get([&] {
    const Index forget_blocks = slots > 1 ? slots * padded / lanes : blocks;
    return TreePanels<T>{transpose(w.input, lanes, blocks), transpose(w.input_forget, lanes, blocks),
                         transpose(w.recurrent, lanes, blocks), transpose(w.recurrent_forget, lanes, forget_blocks)};
  });
}

Region region_of(Index begin, Index end, Index blocks, int member, int members) {
  const Index rows = end - begin;
  if (members > 1 && rows < whole_tiles * members)
    return {begin, end, share_of(blocks, granule, member, members), false};
  const Share mine = share_of(rows, 1, member, members);
  return {begin + mine.begin, begin + mine.end, {0, blocks}, true};
}

#define GRU_NATIVE_PACKED(T)                                                                    \
  template struct PackedTree<T>;                                                                \
  template std::shared_ptr<PackedTree<T>> reserve_packed(const TreeSpec&, const TreeStore<T>&); \
  template void pack(PackedTree<T>&, const TreeSpec&, const TreeStore<T>&, const TreeWeightIndex&);
GRU_NATIVE_PACKED(float)
GRU_NATIVE_PACKED(double)

}  // namespace gru_native
