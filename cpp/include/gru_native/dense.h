// A dense layer: y = f(W x + b) at every step, the head of a recurrent network.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

enum class DenseActivation {
  identity,
  tanh,
  sigmoid,
  relu,
  softmax,     // e^a / sum of e^a over a row of outputs
  log_softmax  // its logarithm
};

// `validate` throws std::invalid_argument, naming the field, if it makes no sense.
struct DenseSpec {
  std::int64_t input_size = 0;
  std::int64_t output_size = 0;
  bool bias = true;
  DenseActivation activation = DenseActivation::identity;

  GRU_NATIVE_API void validate() const;
};

template <class T>
struct DenseCall {
  std::int64_t seq_len = 0, batch = 0;
  Sequences<const T> x;                   // input_size columns
  const std::int64_t* lengths = nullptr;  // [batch], each 0..seq_len; nullptr: all seq_len
  Sequences<T> y;                         // output_size columns; 0 past a sequence's end
};

// The gradients of a loss. Null pointers: not wanted (dy must be there).
template <class T>
struct DenseGradients {
  Sequences<const T> dy;
  Sequences<T> dx;                        // 0 past a sequence's end
  T* dweight = nullptr;                   // (output_size, input_size), written (not added to)
  T* dbias = nullptr;                     // (output_size,)
};

// Every function throws std::invalid_argument for null pointers, negative strides or sizes and the like.
template <class T>
class GRU_NATIVE_API Dense {
 public:
  // Weights are zero until set. Throws std::invalid_argument, std::bad_alloc.
  explicit Dense(const DenseSpec& spec);
  ~Dense();
  Dense(Dense&& other) noexcept;
  Dense& operator=(Dense&& other) noexcept;

  const DenseSpec& spec() const;

  // "weight" (output_size, input_size) and "bias" (output_size,), as torch.nn.Linear; see Layer::weights.
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  void forward(const DenseCall<T>& call) const;

  // Gradients at the x and y of a forward call, with the weights of now.
  void backward(const DenseCall<T>& call, const DenseGradients<T>& gradients) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
