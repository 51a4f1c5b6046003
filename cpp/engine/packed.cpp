#include "engine/packed.h"

#include <cmath>
#include <limits>

#include "runtime/dispatch.h"

namespace gru_native {
namespace {

template <class T>
PackedDirection<T> pack_direction(const LayerSpec& spec, const std::vector<Weight<T>>& weights, const WeightIndex& at) {
  const Kernels<T>& kernels = kernels_for<T>();
  const CellKernels<T>& cell = kernels.cell[cell_index(spec)];
  const Index hidden = spec.hidden_size, lanes = kernels.lanes;
  PackedDirection<T> p;
  const auto note_finite = [&](const Weight<T>& w) {
    for (Index k = 0; k < w.size(); ++k) p.finite &= std::isfinite(w.data[k]);
  };
  const auto matrix = [&](int weight, Slots slots) {
    const Weight<T>& w = weights[weight];
    const Index depth = w.shape[1];
    return pack_rows<T>(hidden, slots.count, depth, lanes, [&](int gate, Index unit) {
      return w.data + (cell.torch_gate[slots.first + gate] * hidden + unit) * depth;
    });
  };
  p.input = matrix(at.ih, cell.input);
  p.recurrent = matrix(at.hh, cell.recurrent);
  if (cell.candidate.count > 0) p.second = matrix(at.hh, cell.candidate);
  note_finite(weights[at.hh]);
  if (at.rr >= 0) {
    const Weight<T>& rr = weights[at.rr];
    note_finite(rr);
    p.gates = pack_rows<T>(hidden, 3, rr.shape[1], lanes,
                           [&](int gate, Index unit) { return rr.data + (gate * hidden + unit) * rr.shape[1]; });
  }
  if (at.hr >= 0)
    p.second = pack_rows<T>(spec.output_size(), 1, hidden, lanes, [&](int, Index unit) {
      return unit < spec.proj_size ? weights[at.hr].data + unit * hidden
                                   : weights[at.hp].data + (unit - spec.proj_size) * hidden;
    });

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
  // One number a unit and slot, from torch's rows.
  const auto vectors = [&](int weight, Slots slots) {
    Buffer<T> v(blocks * slots.count * lanes);
    for (Index unit = 0; weight >= 0 && unit < hidden; ++unit)
      for (int k = 0; k < slots.count; ++k)
        v.data()[(unit / lanes * slots.count + k) * lanes + unit % lanes] =
            weights[weight].data[cell.torch_gate[slots.first + k] * hidden + unit];
    return v;
  };
  if (spec.layer_norm) {
    p.gain_x = vectors(at.gain_ih, cell.input);
    p.gain_h = vectors(at.gain_hh, cell.recurrent);
    p.gain_c = vectors(at.gain_c, {0, 1});
    p.bias_c = vectors(at.bias_c, {0, 1});
  }
  if (spec.lstm.peephole) {
    p.peephole = Buffer<T>(blocks * 3 * lanes);
    for (int gate = 0; gate < 3; ++gate)
      if (const int weight = at.peephole[gate]; weight >= 0)
        for (Index unit = 0; unit < hidden; ++unit)
          p.peephole.data()[((unit / lanes) * 3 + gate) * lanes + unit % lanes] = weights[weight].data[unit];
  }
  return p;
}

}  // namespace

int cell_index(const LayerSpec& spec) {
  const auto index = [](CellKind kind) { return static_cast<int>(kind); };
  switch (spec.cell) {
    case Cell::rnn_tanh: return index(CellKind::rnn_tanh);
    case Cell::rnn_relu: return index(CellKind::rnn_relu);
    case Cell::lstm: {
      const LstmVariant& v = spec.lstm;
      const bool usual = v.input_activation == Activation::tanh && v.output_activation == Activation::tanh;
      if (spec.gates() == 4 && usual && !v.peephole && v.cell_clip == 0 && !v.gate_recurrence && !spec.layer_norm)
        return index(CellKind::lstm);
      if (spec.layer_norm) return index(CellKind::lstm_variant) + (v.coupled_gates ? 12 : 11);
      if (v.gate_recurrence) return index(CellKind::lstm_variant) + 10;
      const int gates = v.coupled_gates ? 8 + v.output_gate : v.input_gate + 2 * v.forget_gate + 4 * v.output_gate;
      return index(CellKind::lstm_variant) + gates;
    }
    case Cell::gru: break;
  }
  if (spec.candidate_activation == Activation::tanh)
    return index(spec.reset_after ? CellKind::gru_reset_after : CellKind::gru_reset_before);
  return index(spec.reset_after ? CellKind::gru_reset_after_variant : CellKind::gru_reset_before_variant);
}

template <class T>
CellOptions<T> cell_options(const LayerSpec& spec, const PackedDirection<T>& weights) {
  const LstmVariant& v = spec.lstm;
  const T clip = v.cell_clip > 0 ? static_cast<T>(v.cell_clip) : std::numeric_limits<T>::infinity();
  return {spec.cell == Cell::gru ? spec.candidate_activation : v.input_activation, v.output_activation, clip,
          v.peephole ? weights.peephole.data() : nullptr};
}

template <class T>
const std::vector<TransposedDirection<T>>& PackedWeights<T>::transposed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (transposed_.empty()) {
    std::vector<TransposedDirection<T>> made;
    for (const PackedDirection<T>& d : forward) {
      const bool projects = d.second.panels > 0 && d.second.depth != d.recurrent.depth;
      const Index second_blocks = projects ? divide_up(outputs, lanes) : blocks;
      made.push_back({transpose(d.input, lanes, blocks), transpose(d.recurrent, lanes, blocks),
                      transpose(d.second, lanes, second_blocks), transpose(d.gates, lanes, blocks)});
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
  packed->outputs = spec.output_size();
  for (const WeightIndex& at : index) packed->forward.push_back(pack_direction(spec, weights, at));
  return packed;
}

template CellOptions<float> cell_options(const LayerSpec&, const PackedDirection<float>&);
template CellOptions<double> cell_options(const LayerSpec&, const PackedDirection<double>&);
template struct PackedWeights<float>;
template struct PackedWeights<double>;
template std::shared_ptr<const PackedWeights<float>> pack(const LayerSpec&, const std::vector<Weight<float>>&,
                                                          const std::vector<WeightIndex>&);
template std::shared_ptr<const PackedWeights<double>> pack(const LayerSpec&, const std::vector<Weight<double>>&,
                                                           const std::vector<WeightIndex>&);

}  // namespace gru_native
