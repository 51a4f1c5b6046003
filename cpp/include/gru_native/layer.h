// A recurrent layer (a stack of layers, in one or two directions): RNN, LSTM or GRU, forward and backward.
//
// Names, shapes and gate orders follow torch.nn. All functions are thread-safe unless they say otherwise.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gru_native/activation.h"
#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

enum class Cell { rnn_tanh, rnn_relu, lstm, gru, rnn };  // rnn: with any function, `nonlinearity`

// How an LSTM differs from the usual one (Greff et al. 2017; Sak, Senior and Beaufays 2014). All combine, but
// coupled_gates needs both gates.
struct LstmVariant {
  bool peephole = false;       // i and f also see c(t-1), o sees c(t), each unit its own
  bool coupled_gates = false;  // f = 1 - i
  bool input_gate = true, forget_gate = true, output_gate = true;  // false: 1, and no weights
  ActivationFunction input_activation = Activation::tanh, output_activation = Activation::tanh;
  double cell_clip = 0;        // c is held within [-cell_clip, cell_clip]; 0: it is not
  bool gate_recurrence = false;  // i, f and o also see all of i(t-1), f(t-1), o(t-1); needs all three gates
};

// What a layer computes. `validate` throws std::invalid_argument, naming the field, if it makes no sense.
struct LayerSpec {
  Cell cell = Cell::lstm;
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_layers = 1;
  std::int64_t proj_size = 0;  // LSTM only; 0: none
  std::int64_t nonrecurrent_proj_size = 0;  // besides proj_size: goes out and up, [r; p], but does not recur
  bool bias = true;
  bool bidirectional = false;
  bool reset_after = true;     // GRU only: reset after the recurrent product (PyTorch) or before it (papers)
  double dropout = 0;          // between layers, in training only
  double zoneout = 0;  // in training each number of h stays as it was with this probability; in inference h is
                       // the expectation of that. With proj_size: of r
  double zoneout_cell = 0;  // LSTM only: the same of c
  LstmVariant lstm;  // LSTM only
  bool layer_norm = false;  // LSTM, GRU: W x and U h-, and the LSTM's c on its way out, normalised (Ba et al. 2016)
  ActivationFunction candidate_activation = Activation::tanh;  // GRU only: of n
  ActivationFunction gate_activation = Activation::sigmoid;  // LSTM and GRU: of their gates
  ActivationFunction nonlinearity = Activation::tanh;  // Cell::rnn only
  double activation_clip = 0;  // what goes into an activation is held within [-clip, clip] first; 0: it is not

  GRU_NATIVE_API void validate() const;
  std::int64_t directions() const { return bidirectional ? 2 : 1; }
  std::int64_t recurrent_size() const { return proj_size ? proj_size : hidden_size; }  // of what weight_hh reads
  std::int64_t recurrent_gates() const { return lstm.gate_recurrence ? 3 * hidden_size : 0; }  // what weight_rr reads
  std::int64_t state_size() const { return recurrent_size() + recurrent_gates(); }  // of h as calls take it: both
  std::int64_t output_size() const { return recurrent_size() + nonrecurrent_proj_size; }  // of one direction
  // Blocks of hidden_size rows in weight_ih: the gates that there are, and the cell's input.
  std::int64_t gates() const {
    if (cell != Cell::lstm) return cell == Cell::gru ? 3 : 1;
    return 1 + lstm.input_gate + (lstm.forget_gate && !lstm.coupled_gates) + lstm.output_gate;
  }
  bool has_c() const { return cell == Cell::lstm; }
  ActivationFunction rnn_function() const {  // of an RNN
    return cell == Cell::rnn_tanh ? Activation::tanh : cell == Cell::rnn_relu ? Activation::relu : nonlinearity;
  }
};

// What goes out at a masked step: zeros, or once more the last output, in the order in which that direction takes the
// steps (zeros before its first).
enum class MaskedOutput { zero, hold };

template <class T>
struct ForwardCall {
  std::int64_t seq_len = 0, batch = 0;
  Sequences<const T> x;  // input_size columns
  const std::int64_t* lengths = nullptr;  // [batch], each 0..seq_len; nullptr: all seq_len
  States<const T> initial;  // null: zeros
  Sequences<T> y;  // directions * output_size columns; 0 past a sequence's end; null: not wanted
  States<T> final;  // after each sequence's last step; null: not wanted
  // One number a step: 0 masks it. A masked step's x is not read, and the state passes it by: all other steps are
  // computed as if they were the whole sequence, bit for bit, and dropout's masks count them so. null: none is masked.
  // With `lengths`, steps past the end of a sequence are masked, and their output is 0 even with MaskedOutput::hold.
  Sequences<const std::uint8_t> mask{};
  MaskedOutput masked_output = MaskedOutput::zero;
};

// The gradients of a loss. Null pointers: on the way in zero, on the way out not wanted.
template <class T>
struct BackwardCall {
  Sequences<const T> dy;
  States<const T> dfinal;
  Sequences<T> dx;
  States<T> dinitial;
  std::vector<T*> dweights;  // one per Layer::weights(), written (not added to); may be empty
};

template <class T>
class Tape;

template <class T>
class GRU_NATIVE_API Layer {
 public:
  // Weights are zero until set. Throws std::invalid_argument, std::bad_alloc.
  explicit Layer(const LayerSpec& spec);
  ~Layer();
  Layer(Layer&& other) noexcept;
  Layer& operator=(Layer&& other) noexcept;

  const LayerSpec& spec() const;

  /// All weights, to be read.
  const std::vector<Weight<const T>>& weights() const;
  /// All weights, to be written: see WeightEdit. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  // For weights that live elsewhere and may change at any time: copies those (as many and as large as weights()) in
  // and commits, unless they are, to the bit, what the layer has. Returns whether they were others. Safe from several
  // threads at once, but not beside an edit.
  bool load(const std::vector<const T*>& weights);

  // Inference.
  void forward(const ForwardCall<T>& call) const;

  // Also returns what backward needs. `training`: with dropout and random zoneout, whose masks `dropout_seed` chooses;
  // if spec() has none neither matters.
  std::shared_ptr<const Tape<T>> forward(const ForwardCall<T>& call, std::uint64_t dropout_seed, bool training) const;

  // Throws std::invalid_argument for a tape of another layer; so does backward.
  void check(const Tape<T>& tape) const;

  // Gradients of the call that made the tape, with the weights of that call. A tape may be used again.
  void backward(const Tape<T>& tape, const BackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

// Everything one call keeps for backward. Opaque; its memory goes back to the layer when it dies.
template <class T>
class GRU_NATIVE_API Tape {
 public:
  std::int64_t seq_len() const;
  std::int64_t batch() const;
  ~Tape();
  Tape(Tape&& other) noexcept;
  Tape& operator=(Tape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit Tape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
