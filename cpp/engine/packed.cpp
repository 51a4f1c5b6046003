#include "engine/packed.h"

#include "runtime/dispatch.h"

namespace gru_native {
namespace {

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

template struct PackedWeights<float>;
template struct PackedWeights<double>;
template std::shared_ptr<const PackedWeights<float>> pack(const LayerSpec&, const std::vector<Weight<float>>&,
                                                          const std::vector<WeightIndex>&);
template std::shared_ptr<const PackedWeights<double>> pack(const LayerSpec&, const std::vector<Weight<double>>&,
                                                           const std::vector<WeightIndex>&);

}  // namespace gru_native
