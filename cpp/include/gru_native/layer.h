/// \file
/// Recurrent layers: RNN, LSTM and GRU, stacked, in one or two directions, forward and backward.
///
///     LayerSpec spec;
///     spec.cell = Cell::gru;
///     spec.input_size = 3;
///     spec.hidden_size = 5;
///     Layer<float> layer(spec);
///
///     ForwardCall<float> call;
///     call.seq_len = steps;
///     call.batch = batch;
///     call.x = time_major(x, batch, 3);
///     call.y = time_major(y, batch, 5);
///     layer.forward(call);                               // inference
///     const auto tape = layer.forward_with_tape(call);   // training
///     layer.backward(*tape, gradients);
///
/// Names, shapes and the order of gates are those of torch.nn.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// The kinds of recurrent layers.
enum class Cell {
  rnn_tanh,  ///< h = tanh(W x + b + U h- + b')
  rnn_relu,  ///< The same with relu.
  lstm,      ///< c = f c- + i g, h = o tanh(c)
  gru,       ///< h = (1 - z) n + z h-
  rnn        ///< An RNN with any function: LayerSpec::nonlinearity.
};

/// How an LSTM differs from the usual one (Greff et al. 2017; Sak, Senior and Beaufays 2014). All of these combine, but
/// coupled_gates needs the input and the forget gate.
struct LstmVariant {
  bool peephole = false;         ///< i and f also see c of the step before, o sees c: each unit its own.
  bool coupled_gates = false;    ///< f = 1 - i.
  bool input_gate = true;        ///< false: the gate is 1, and has no weights.
  bool forget_gate = true;       ///< As input_gate.
  bool output_gate = true;       ///< As input_gate.
  ActivationFunction input_activation = Activation::tanh;   ///< Of g.
  ActivationFunction output_activation = Activation::tanh;  ///< Of c on its way out.
  double cell_clip = 0;          ///< c is held within [-cell_clip, cell_clip]; 0: it is not.
  bool gate_recurrence = false;  ///< i, f and o also see all three gates of the step before; needs all three.
};

/// What a layer computes. Sizes count numbers.
struct LayerSpec {
  Cell cell = Cell::lstm;
  std::int64_t input_size = 0;   ///< Columns of x.
  std::int64_t hidden_size = 0;  ///< Units of each layer and direction.
  std::int64_t num_layers = 1;
  std::int64_t proj_size = 0;    ///< LSTM: h is projected to so many columns; 0: it is not.
  std::int64_t nonrecurrent_proj_size = 0;  ///< Beside proj_size: columns that go out and up, but do not recur.
  bool bias = true;
  bool bidirectional = false;
  bool reset_after = true;       ///< GRU: reset after the recurrent product (PyTorch), or before it (papers).
  double dropout = 0;            ///< Probability, between layers, in training only.
  double zoneout = 0;  ///< In training each number of h stays as it was with this probability; in inference h
                       ///< is the expectation of that (Krueger et al. 2017). With proj_size: of what recurs.
  double zoneout_cell = 0;  ///< LSTM: the same of c.
  LstmVariant lstm;  ///< LSTM only.
  bool layer_norm = false;  ///< LSTM, GRU: both products, and the LSTM's c on its way out, are normalised
                            ///< (Ba, Kiros and Hinton 2016).
  ActivationFunction candidate_activation = Activation::tanh;  ///< GRU: of n.
  ActivationFunction gate_activation = Activation::sigmoid;  ///< LSTM and GRU: of their gates.
  ActivationFunction nonlinearity = Activation::tanh;  ///< Cell::rnn only.
  Precision precision = Precision::full;  ///< Of the weights: what Layer::quantize made of them.
  /// Whether the initial state is learned: weights h0_l0 and, of the LSTM, c0_l0, and so on, which calls, streams and
  /// sessions begin with where no state is given.
  bool learn_initial_state = false;
  double activation_clip = 0;  ///< What goes into an activation is held within [-clip, clip]; 0: it is not.

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;

  /// 2 if bidirectional, else 1.
  std::int64_t directions() const { return bidirectional ? 2 : 1; }
  /// Columns of h that weight_hh reads.
  std::int64_t recurrent_size() const { return proj_size ? proj_size : hidden_size; }
  /// Columns of the gates that recur: what weight_rr reads.
  std::int64_t recurrent_gates() const { return lstm.gate_recurrence ? 3 * hidden_size : 0; }
  /// Columns of h in States: both of them.
  std::int64_t state_size() const { return recurrent_size() + recurrent_gates(); }
  /// Columns of the output of one direction.
  std::int64_t output_size() const { return recurrent_size() + nonrecurrent_proj_size; }
  /// How many times hidden_size rows weight_ih has: the gates that there are, and the cell's input.
  std::int64_t gates() const {
    if (cell != Cell::lstm) return cell == Cell::gru ? 3 : 1;
    return 1 + lstm.input_gate + (lstm.forget_gate && !lstm.coupled_gates) + lstm.output_gate;
  }
  /// Whether there is a state c beside h.
  bool has_c() const { return cell == Cell::lstm; }
  /// The function of an RNN.
  ActivationFunction rnn_function() const {
    return cell == Cell::rnn_tanh ? Activation::tanh : cell == Cell::rnn_relu ? Activation::relu : nonlinearity;
  }
};

/// What goes out at a masked step.
enum class MaskedOutput {
  zero,  ///< Zeros.
  hold  ///< The last output once more, in the order in which that direction takes the steps; zeros before its first.
};

/// One call of a layer: what goes in, and where what comes out is to go.
template <class T>
struct ForwardCall {
  std::int64_t seq_len = 0;  ///< Steps, at least 1.
  std::int64_t batch = 0;  ///< Sequences, at least 1.
  Sequences<const T> x;  ///< input_size columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  States<const T> initial;  ///< Null: zeros, or what was learned (LayerSpec::learn_initial_state).
  Sequences<T> y;  ///< directions() * output_size() columns, written; 0 past the end of a sequence. Null: not
                   ///< wanted.
  States<T> final;  ///< After the last step of each sequence, written. Null: not wanted.

  /// A number for each step: where it is 0, the step is masked. Its x is not read, and the state passes it by: all
  /// other steps are computed as if they were the whole sequence, bit for bit, and dropout counts them so. Steps past
  /// the end of a sequence count as masked, and their output is 0 always. Null: no step is masked.
  Sequences<const std::uint8_t> mask;
  MaskedOutput masked_output = MaskedOutput::zero;

  bool training = false;  ///< Whether dropout acts, and zoneout at random.
  std::uint64_t seed = 0;  ///< Chooses what dropout and zoneout draw.
};

/// The gradients of a loss. Null: on the way in zeros, on the way out not wanted. Shapes are those of the forward call.
template <class T>
struct BackwardCall {
  Sequences<const T> dy;  ///< Of y.
  States<const T> dfinal;  ///< Of the final state.
  Sequences<T> dx;  ///< Of x, written; 0 where there is no step.
  States<T> dinitial;  ///< Of the initial state, written.
  std::vector<T*>
      dweights;  ///< Of each of weights(), in their order and shapes, written (not added to). Empty: of none.
};

/// What one forward call keeps for backward: its inputs, its activations and its weights. It stays right whatever
/// becomes of the caller's arrays and of the layer, which it may outlive. After a move it may only be assigned to or
/// destroyed.
template <class T>
class GRU_NATIVE_API Tape {
 public:
  ~Tape();
  Tape(Tape&& other) noexcept;
  Tape& operator=(Tape&& other) noexcept;

  std::int64_t seq_len() const;  ///< Of the call.
  std::int64_t batch() const;  ///< Of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit Tape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A recurrent layer. Any number of threads may call it at once, also while it is edited. After a move it may only be
/// assigned to or destroyed.
template <class T>
class GRU_NATIVE_API Layer {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as LayerSpec::validate, and std::bad_alloc.
  explicit Layer(const LayerSpec& spec);
  ~Layer();
  Layer(Layer&& other) noexcept;
  Layer& operator=(Layer&& other) noexcept;

  const LayerSpec& spec() const;

  /// All weights, to be read. For layer k, and with the suffix _reverse for the second direction, with H = hidden_size
  /// and G = gates():
  ///
  /// - weight_ih_l{k} (G H, columns of its input), weight_hh_l{k} (G H, recurrent_size()), and with bias bias_ih_l{k}
  ///   and bias_hh_l{k} (G H,). Rows are in PyTorch's order: i f g o (LSTM, without those that it lacks), r z n (GRU).
  /// - weight_hr_l{k} (proj_size, H) and weight_hp_l{k} (nonrecurrent_proj_size, H), the projections.
  /// - weight_ci_l{k}, weight_cf_l{k}, weight_co_l{k} (H,), the peepholes of i, f and o.
  /// - weight_rr_l{k} (3 H, 3 H), gate recurrence: rows i f o, columns i f o of the step before.
  /// - gain_ih_l{k}, gain_hh_l{k} (G H,) and, for the LSTM, gain_c_l{k} and bias_c_l{k} (H,), layer normalisation.
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the layer computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// A layer for inference with the same weights in few bits: matrices as Precision says, biases and the like as they
  /// are. It cannot be trained or edited; its weights() are the floats that its numbers stand for. Throws
  /// std::invalid_argument for double, for Precision::full, for a layer that is quantized already, and for weights that
  /// are NaN or infinite; std::bad_alloc.
  Layer quantize(Precision precision) const;

  /// For weights that live elsewhere and may change at any time: makes the layer's weights equal to those at the given
  /// places, one for each of weights(), and returns whether any bit was different. If none was, this costs a comparison
  /// only. Safe from several threads at once, but not beside an edit. Throws std::invalid_argument for a null pointer
  /// or another number of them, and std::bad_alloc.
  bool load(const std::vector<const T*>& weights);

  /// Inference. Throws std::invalid_argument, naming the field of the call that is wrong, and std::bad_alloc; nothing
  /// is then written.
  void forward(const ForwardCall<T>& call) const;

  /// The same, and what backward needs of it. Throws also for a layer that cannot be trained: a leaky_relu or elu with
  /// a negative alpha has two inputs for one output.
  std::shared_ptr<const Tape<T>> forward_with_tape(const ForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const Tape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const Tape<T>& tape, const BackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit Layer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
