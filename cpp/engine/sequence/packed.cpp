#include "engine/sequence/packed.h"

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/matrix/few_bits.h"
#include "engine/threads.h"
#include "runtime/dispatch.h"

namespace gru_native {
namespace {

// f(packed matrix, its units, gates and depth, row(gate, unit)) for each that there is.
template <class Direction, class W, class F>
void each_matrix(Direction& p, const LayerSpec& spec, const std::vector<Weight<W>>& weights, const WeightIndex& at,
                 const F& f) {
  using T = std::remove_const_t<W>;
  const CellKernels<T>& cell = kernels_for<T>().cell[cell_index(spec)];
  const Index hidden = spec.hidden_size;
  const auto gates = [&](auto& m, int weight, Slots slots) {
    f(m, hidden, slots.count, weights[weight].shape[1], [&, weight, slots](int gate, Index unit) {
      return RowOf{weight, cell.torch_gate[slots.first + gate] * hidden + unit};
    });
  };
  gates(p.input, at.ih, cell.input);
  gates(p.recurrent, at.hh, cell.recurrent);
  if (cell.candidate.count > 0) gates(p.second, at.hh, cell.candidate);
  if (at.rr >= 0)
    f(p.gates, hidden, 3, spec.recurrent_gates(),
      [&](int gate, Index unit) { return RowOf{at.rr, gate * hidden + unit}; });
  if (at.hr >= 0)
    f(p.second, spec.output_size(), 1, hidden, [&](int, Index unit) {
      return unit < spec.proj_size ? RowOf{at.hr, unit} : RowOf{at.hp, unit - spec.proj_size};
    });
}

template <class T>
void allocate_vectors(PackedDirection<T>& p, const LayerSpec& spec) {
  const Kernels<T>& kernels = kernels_for<T>();
  const Index lanes = kernels.lanes, blocks = divide_up(spec.hidden_size, lanes);
  p.bias = Buffer<T>((blocks + 3) * kernels.cell[cell_index(spec)].slots * lanes);  // + 3: panels of four blocks
  if (spec.lstm.peephole) p.peephole = Buffer<T>(blocks * 3 * lanes);
  if (spec.learn_initial_state) p.h0 = Buffer<T>(spec.state_size());
  if (spec.learn_initial_state && spec.has_c()) p.c0 = Buffer<T>(spec.hidden_size);
  if (spec.layer_norm) {
    const CellKernels<T>& cell = kernels.cell[cell_index(spec)];
    p.gain_x = Buffer<T>(blocks * cell.input.count * lanes);
    p.gain_h = Buffer<T>(blocks * cell.recurrent.count * lanes);
    p.gain_c = Buffer<T>(blocks * lanes);
    p.bias_c = Buffer<T>(blocks * lanes);
  }
}

// Spreading a vector of sums takes as long as adding so many products to it, with something over.
constexpr Index macs_to_spread = 32;

// Of few units most of each gate's vectors is padding. It is left out where that saves more than the sums then take to
// be spread.
template <class T>
void reserve_dense_input(PackedDirection<T>& p, Index hidden, Index lanes) {
  const Index columns = hidden * p.input.gates, dense = dense_columns(columns, lanes);
  const Index padded = p.input.columns();
  if (dense > most_dense_columns || p.input.depth * (padded - dense) < macs_to_spread * padded) return;
  p.dense_input = empty_columns<T>(columns, p.input.depth, lanes);
  p.dense_bias = Buffer<T>(p.dense_input.columns());
}

template <class T>
void fill_dense_bias(PackedDirection<T>& p, const CellKernels<T>& cell, Index hidden, Index lanes) {
  for (int gate = 0; p.dense_input.panels > 0 && gate < cell.input.count; ++gate)
    for (Index unit = 0; unit < hidden; ++unit)
      p.dense_bias.data()[gate * hidden + unit] =
          p.bias.data()[(unit / lanes * cell.slots + cell.input.first + gate) * lanes + unit % lanes];
}

// bias(number of a slot, those of torch's biases that it is the sum of, or null), and number(packed, torch's) for each
// number of the other vectors.
template <class W, class Bias, class F>
void each_vector(const PackedDirection<std::remove_const_t<W>>& p, const LayerSpec& spec,
                 const std::vector<Weight<W>>& weights, const WeightIndex& at, const Bias& bias, const F& number) {
  using T = std::remove_const_t<W>;
  const Kernels<T>& kernels = kernels_for<T>();
  const CellKernels<T>& cell = kernels.cell[cell_index(spec)];
  const Index hidden = spec.hidden_size, lanes = kernels.lanes;
  // A slot that both products fill begins at the sum of both biases.
  const auto fills = [](Slots s, int slot) { return slot >= s.first && slot < s.first + s.count; };
  if (at.bias_ih >= 0)
    for (Index unit = 0; unit < hidden; ++unit)
      for (int slot = 0; slot < cell.slots; ++slot) {
        const Index row = cell.torch_gate[slot] * hidden + unit;
        const bool by_input = fills(cell.input, slot);
        const bool by_state = fills(cell.recurrent, slot) || fills(cell.candidate, slot);
        bias(p.bias.data()[((unit / lanes) * cell.slots + slot) * lanes + unit % lanes],
             by_input ? weights[at.bias_ih].data + row : nullptr, by_state ? weights[at.bias_hh].data + row : nullptr);
      }
  // One number a unit and slot, from torch's rows.
  const auto vectors = [&](const Buffer<T>& v, int weight, Slots slots) {
    for (Index unit = 0; weight >= 0 && unit < hidden; ++unit)
      for (int k = 0; k < slots.count; ++k)
        number(v.data()[(unit / lanes * slots.count + k) * lanes + unit % lanes],
               weights[weight].data[cell.torch_gate[slots.first + k] * hidden + unit]);
  };
  if (spec.layer_norm) {
    vectors(p.gain_x, at.gain_ih, cell.input);
    vectors(p.gain_h, at.gain_hh, cell.recurrent);
    vectors(p.gain_c, at.gain_c, {0, 1});
    vectors(p.bias_c, at.bias_c, {0, 1});
  }
  for (const auto& [own, weight] : {std::pair{&p.h0, at.h0}, {&p.c0, at.c0}})
    for (Index k = 0; weight >= 0 && k < weights[weight].size(); ++k) number(own->data()[k], weights[weight].data[k]);
  if (spec.lstm.peephole)
    for (int gate = 0; gate < 3; ++gate)
      if (const int weight = at.peephole[gate]; weight >= 0)
        for (Index unit = 0; unit < hidden; ++unit)
          number(p.peephole.data()[((unit / lanes) * 3 + gate) * lanes + unit % lanes], weights[weight].data[unit]);
}

template <class T>
void fill_vectors(PackedDirection<T>& p, const LayerSpec& spec, const std::vector<Weight<const T>>& weights,
                  const WeightIndex& at) {
  each_vector(
      p, spec, weights, at,
      [](T& sum, const T* ih, const T* hh) {
        sum = 0;
        if (ih) sum += *ih;
        if (hh) sum += *hh;
      },
      [](T& packed, const T& weight) { packed = weight; });
}

template <class W>
Index numbers_in(const std::vector<Weight<W>>& weights) {
  Index n = 0;
  for (const Weight<W>& w : weights) n += w.size();
  return n;
}

// body(rank, members), by the team if there is one.
template <class Body>
void run_on(TeamLease* team, const Body& body) {
  if (!team) return body(0, 1);
  team->run_shares(body);
}

}  // namespace

int cell_index(const LayerSpec& spec) {
  const auto index = [](CellKind kind) { return static_cast<int>(kind); };
  const bool usual_gates = spec.gate_activation == Activation::sigmoid && spec.activation_clip == 0;
  switch (spec.cell) {
    case Cell::rnn_tanh:
    case Cell::rnn_relu:
    case Cell::rnn: {
      const ActivationFunction f = spec.rnn_function();
      if (spec.activation_clip == 0 && f == Activation::tanh) return index(CellKind::rnn_tanh);
      if (spec.activation_clip == 0 && f == Activation::relu) return index(CellKind::rnn_relu);
      return index(CellKind::rnn_variant);
    }
    case Cell::lstm: {
      const LstmVariant& v = spec.lstm;
      const bool usual = v.input_activation == Activation::tanh && v.output_activation == Activation::tanh;
      if (spec.gates() == 4 && usual && usual_gates && !v.peephole && v.cell_clip == 0 && !v.gate_recurrence &&
          !spec.layer_norm)
        return index(CellKind::lstm);
      const int gates = v.gate_recurrence ? 10
                        : v.coupled_gates ? 8 + v.output_gate
                                          : v.input_gate + 2 * v.forget_gate + 4 * v.output_gate;
      return index(CellKind::lstm_variant) + gates + (spec.layer_norm ? lstm_gate_sets : 0);
    }
    case Cell::gru: break;
  }
  if (spec.candidate_activation == Activation::tanh && usual_gates)
    return index(spec.reset_after ? CellKind::gru_reset_after : CellKind::gru_reset_before);
  return index(spec.reset_after ? CellKind::gru_reset_after_variant : CellKind::gru_reset_before_variant);
}

template <class T>
CellOptions<T> cell_options(const LayerSpec& spec, const PackedDirection<T>& weights) {
  const LstmVariant& v = spec.lstm;
  const T clip = v.cell_clip > 0 ? static_cast<T>(v.cell_clip) : std::numeric_limits<T>::infinity();
  const auto chosen = [&](const ActivationFunction& f) -> ChosenActivation<T> {
    return {f.kind, spec.activation_clip > 0, static_cast<T>(spec.activation_clip), static_cast<T>(f.alpha),
            static_cast<T>(f.beta)};
  };
  const ActivationFunction input = spec.cell == Cell::lstm  ? v.input_activation
                                   : spec.cell == Cell::gru ? spec.candidate_activation
                                                            : spec.rnn_function();
  return {chosen(input), chosen(v.output_activation), chosen(spec.gate_activation), clip,
          v.peephole ? weights.peephole.data() : nullptr};
}

template <class T>
const std::vector<TransposedDirection<T>>& PackedWeights<T>::transposed(TeamLease* team) const {
  const auto reserve = [&] {
    std::vector<TransposedDirection<T>> made;
    for (const PackedDirection<T>& d : forward) {
      const bool projects = d.second.panels > 0 && d.second.depth != d.recurrent.depth;
      const Index second_blocks = projects ? divide_up(outputs, lanes) : blocks;
      made.push_back({empty_transposed(d.input, lanes, blocks), empty_transposed(d.recurrent, lanes, blocks),
                      empty_transposed(d.second, lanes, second_blocks), empty_transposed(d.gates, lanes, blocks)});
    }
    return made;
  };
  const auto fill = [&](const std::vector<TransposedDirection<T>>& all) {
    run_on(team, [&](int rank, int members) {
      Index turn = 0;
      Progress progress;
      const auto share = [&](const PackedMatrix<T>& m, const PackedMatrix<T>& to) {
        for (Index panel = 0; panel < to.panels; ++panel)
          if (turn++ % members == rank) {
            progress.add(macs_of_panel_copy(to));
            transpose_panel(m, to, panel, lanes);
          }
      };
      for (std::size_t i = 0; i < forward.size(); ++i) {
        share(forward[i].input, all[i].input);
        share(forward[i].recurrent, all[i].recurrent);
        share(forward[i].second, all[i].second);
        share(forward[i].gates, all[i].gates);
      }
    });
  };
  return transposed_.get(reserve, fill);
}

namespace {
// With room for all that is no matrix.
template <class T>
std::unique_ptr<PackedWeights<T>> reserve_vectors(const LayerSpec& spec, std::size_t directions) {
  auto packed = std::make_unique<PackedWeights<T>>();
  packed->lanes = kernels_for<T>().lanes;
  packed->blocks = divide_up(spec.hidden_size, packed->lanes);
  packed->outputs = spec.output_size();
  packed->forward = std::vector<PackedDirection<T>>(directions);
  for (PackedDirection<T>& p : packed->forward) allocate_vectors(p, spec);
  return packed;
}
}  // namespace

template <class T>
std::unique_ptr<PackedWeights<T>> reserve_packed(const LayerSpec& spec, const std::vector<Weight<const T>>& weights,
                                                 const std::vector<WeightIndex>& index) {
  auto packed = reserve_vectors<T>(spec, index.size());
  for (std::size_t i = 0; i < index.size(); ++i) {
    PackedDirection<T>& p = packed->forward[i];
    each_matrix(p, spec, weights, index[i], [&](PackedMatrix<T>& m, Index units, int gates, Index depth, const auto&) {
      m = empty_panels<T>(units, gates, depth, packed->lanes);
    });
    if (!spec.layer_norm) reserve_dense_input(p, spec.hidden_size, packed->lanes);
  }
  return packed;
}

std::unique_ptr<PackedWeights<float>> pack_quantized(const LayerSpec& spec,
                                                     const std::vector<Weight<const float>>& weights,
                                                     const std::vector<QuantizedMatrix>& matrices,
                                                     const std::vector<WeightIndex>& index) {
  auto packed = reserve_vectors<float>(spec, index.size());
  const QuantizedKernels& kernels = quantized_kernels_for(spec.precision);
  for (std::size_t i = 0; i < index.size(); ++i) {
    PackedDirection<float>& p = packed->forward[i];
    each_matrix(p, spec, weights, index[i], [&](auto& m, Index units, int gates, Index depth, const auto& row) {
      m = pack_quantized(kernels, units, gates, depth, packed->lanes, [&](int gate, Index unit) -> QuantizedRow {
        const RowOf of = row(gate, unit);
        return {&matrices[static_cast<std::size_t>(of.weight)], of.row};
      });
    });
    fill_vectors(p, spec, weights, index[i]);
  }
  return packed;
}

template <class T>
void pack(PackedWeights<T>& packed, const LayerSpec& spec, const std::vector<Weight<const T>>& weights,
          const std::vector<WeightIndex>& index, TeamLease* team) {
  packed.forget_transposed();
  for (PackedDirection<T>& p : packed.forward) p.finite = true;
  std::optional<TeamLease> own;
  static const char kind = 0;
  const Index numbers = numbers_in(weights);
  if (!team) team = &own.emplace(useful_threads_to_copy(numbers), Repeated(&kind, numbers));
  const CellKernels<T>& cell = kernels_for<T>().cell[cell_index(spec)];
  const Index hidden = spec.hidden_size;
  team->run_shares([&](int rank, int members) {
    Index turn = 0;
    for (std::size_t i = 0; i < index.size(); ++i) {
      PackedDirection<T>& p = packed.forward[i];
      const Weight<const T>& ih = weights[index[i].ih];
      for (Index panel = 0; panel < p.dense_input.panels; ++panel)
        if (turn++ % members == rank)
          fill_panel_of_columns(p.dense_input, panel, hidden * cell.input.count, packed.lanes, [&](Index column) {
            const Index gate = cell.torch_gate[cell.input.first + column / hidden];
            return ih.data + (gate * hidden + column % hidden) * ih.shape[1];
          });
      each_matrix(p, spec, weights, index[i], [&](PackedMatrix<T>& m, Index units, int, Index, const auto& row) {
        const int weight = row(0, 0).weight;
        const bool recurs = weight == index[i].hh || weight == index[i].rr;
        for (Index panel = 0; panel < m.panels; ++panel) {
          if (turn++ % members != rank) continue;
          const bool finite = fill_panel(m, panel, units, packed.lanes, [&](int gate, Index unit) {
            const RowOf of = row(gate, unit);
            return weights[of.weight].data + of.row * m.depth;
          });
          if (recurs && !finite) p.finite.store(false, std::memory_order_relaxed);
        }
      });
      if (turn++ % members != rank) continue;
      fill_vectors(p, spec, weights, index[i]);
      fill_dense_bias(p, cell, hidden, packed.lanes);
    }
  });
}

template <class T>
void unpack(const PackedWeights<T>& packed, const LayerSpec& spec, const std::vector<Weight<T>>& weights,
            const std::vector<WeightIndex>& index) {
  for (std::size_t i = 0; i < index.size(); ++i) {
    const PackedDirection<T>& p = packed.forward[i];
    each_matrix(p, spec, weights, index[i], [&](const PackedMatrix<T>& m, Index units, int, Index, const auto& row) {
      unpack_panels(m, units, packed.lanes, [&](int gate, Index unit) {
        const RowOf to = row(gate, unit);
        return weights[to.weight].data + to.row * m.depth;
      });
    });
    each_vector(
        p, spec, weights, index[i],
        [](const T& sum, T* ih, T* hh) {
          if (ih) *ih = sum;
          if (hh) *hh = ih ? T(0) : sum;
        },
        [](const T& packed_number, T& weight) { weight = packed_number; });
  }
}

#define GRU_NATIVE_PACKED(T)                                                                                       \
  template CellOptions<T> cell_options(const LayerSpec&, const PackedDirection<T>&);                               \
  template struct PackedWeights<T>;                                                                                \
  template std::unique_ptr<PackedWeights<T>> reserve_packed(const LayerSpec&, const std::vector<Weight<const T>>&, \
                                                            const std::vector<WeightIndex>&);                      \
  template void pack(PackedWeights<T>&, const LayerSpec&, const std::vector<Weight<const T>>&,                     \
                     const std::vector<WeightIndex>&, TeamLease*);                                                 \
  template void unpack(const PackedWeights<T>&, const LayerSpec&, const std::vector<Weight<T>>&,                   \
                       const std::vector<WeightIndex>&);
GRU_NATIVE_PACKED(float)
GRU_NATIVE_PACKED(double)

}  // namespace gru_native
