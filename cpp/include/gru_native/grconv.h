// Gated recursive convolution, grConv (Cho, van Merrienboer, Bahdanau and Bengio 2014): a pyramid over a sequence that
// makes one vector of it, and whose gates show how it was put together. Equations: cells/grconv.h; the lowest level is
// weight_ih x, without bias.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

struct GrConvSpec {
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  Activation activation = Activation::tanh;

  GRU_NATIVE_API void validate() const;
};

template <class T>
struct GrConvCall {
  std::int64_t seq_len = 0, batch = 0;
  Sequences<const T> x;                   // input_size columns
  const std::int64_t* lengths = nullptr;  // [batch], each 0..seq_len; nullptr: all seq_len
  T* y = nullptr;                         // [batch][hidden_size]: the top of each pyramid; 0 for length 0
  std::vector<T*> gates;                  // empty, or for levels 1 .. seq_len - 1 each [seq_len - level][batch][3]:
                                          // c, l, r of each pair; 0 past a sequence's end
};

template <class T>
struct GrConvBackwardCall {
  const T* dy = nullptr;                  // [batch][hidden_size]
  Sequences<T> dx;                        // 0 past a sequence's end; null: not wanted
  std::vector<T*> dweights;               // one per weights(), written (not added to); may be empty
};

template <class T>
class GrConvTape;

template <class T>
class GRU_NATIVE_API GatedRecursiveConv {
 public:
  // Weights, zero until set: weight_ih (hidden, input), weight_left, weight_right (hidden, hidden), bias (hidden),
  // gate_left, gate_right (3, hidden), gate_bias (3), gates in the order c, l, r.
  // Throws std::invalid_argument, std::bad_alloc.
  explicit GatedRecursiveConv(const GrConvSpec& spec);
  ~GatedRecursiveConv();
  GatedRecursiveConv(GatedRecursiveConv&& other) noexcept;
  GatedRecursiveConv& operator=(GatedRecursiveConv&& other) noexcept;

  const GrConvSpec& spec() const;
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  void forward(const GrConvCall<T>& call) const;
  std::shared_ptr<const GrConvTape<T>> forward_with_tape(const GrConvCall<T>& call) const;

  void check(const GrConvTape<T>& tape) const;    // throws std::invalid_argument for a tape of another layer
  // Gradients of the call that made the tape, with the weights of that call. A tape may be used again.
  void backward(const GrConvTape<T>& tape, const GrConvBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
class GRU_NATIVE_API GrConvTape {
 public:
  std::int64_t seq_len() const;
  std::int64_t batch() const;
  ~GrConvTape();
  GrConvTape(GrConvTape&& other) noexcept;
  GrConvTape& operator=(GrConvTape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit GrConvTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
