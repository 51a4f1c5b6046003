// Output recurrence: a network that feeds back its output instead of its state (Jordan 1986; Goodfellow, Bengio and
// Courville 2016, section 10.2.1).
//
//   h(t) = phi(W_ih x(t) + W_oh o(t-1) + b_h)      o(t) = psi(W_ho h(t) + b_o)
//
// With teacher forcing the wanted output is fed in place of o(t-1). Steps then do not wait for each other, and all of
// them are computed at once.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

struct OutputRnnSpec {
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t output_size = 0;
  bool bias = true;
  Activation activation = Activation::tanh;             // phi
  Activation output_activation = Activation::identity;  // psi

  GRU_NATIVE_API void validate() const;
};

template <class T>
struct OutputRnnCall {
  std::int64_t seq_len = 0, batch = 0;
  Sequences<const T> x;                   // input_size columns
  const std::int64_t* lengths = nullptr;  // [batch], each 0..seq_len; nullptr: all seq_len
  const T* initial = nullptr;             // [batch][output_size]: what the first step is fed; null: zeros
  Sequences<const T> targets;  // what each step hands to the next in place of its output; null: its output
  Sequences<T> y;  // output_size columns; 0 past a sequence's end
  T* final = nullptr;  // [batch][output_size]: what the next step would be fed; null: not wanted
};

// The gradients of a loss. Null pointers: on the way in zero, on the way out not wanted.
template <class T>
struct OutputRnnBackwardCall {
  Sequences<const T> dy;
  const T* dfinal = nullptr;
  Sequences<T> dx;
  T* dinitial = nullptr;
  Sequences<T> dtargets;  // only where there were targets
  std::vector<T*> dweights;  // one per weights(), written (not added to); may be empty
};

template <class T>
class OutputRnnTape;

template <class T>
class GRU_NATIVE_API OutputRnn {
 public:
  // Weights, zero until set: weight_ih (hidden, input), weight_oh (hidden, output), bias_h (hidden), weight_ho (output,
  // hidden), bias_o (output). Throws std::invalid_argument, std::bad_alloc.
  explicit OutputRnn(const OutputRnnSpec& spec);
  ~OutputRnn();
  OutputRnn(OutputRnn&& other) noexcept;
  OutputRnn& operator=(OutputRnn&& other) noexcept;

  const OutputRnnSpec& spec() const;
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  void forward(const OutputRnnCall<T>& call) const;
  std::shared_ptr<const OutputRnnTape<T>> forward_with_tape(const OutputRnnCall<T>& call) const;

  void check(const OutputRnnTape<T>& tape) const;  // throws std::invalid_argument for a tape of another layer
  // Gradients of the call that made the tape, with the weights of that call. A tape may be used again.
  void backward(const OutputRnnTape<T>& tape, const OutputRnnBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
class GRU_NATIVE_API OutputRnnTape {
 public:
  std::int64_t seq_len() const;
  std::int64_t batch() const;
  bool forced() const;  // whether there were targets
  ~OutputRnnTape();
  OutputRnnTape(OutputRnnTape&& other) noexcept;
  OutputRnnTape& operator=(OutputRnnTape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit OutputRnnTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
