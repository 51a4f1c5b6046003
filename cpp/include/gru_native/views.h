/// \file
/// Views of arrays that belong to somebody else: weights, sequences, states. Copying a view copies no numbers.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace gru_native {

/// One weight tensor of a layer, under PyTorch's name. The numbers belong to the layer; T is const where they may
/// only be read.
template <class T>
struct Weight {
  std::string name;                 ///< "weight_ih_l0", "bias_hh_l1_reverse", ...
  std::vector<std::int64_t> shape;  ///< (rows, columns) or (rows,)
  T* data = nullptr;                ///< [rows][columns], row-major, without gaps

  /// How many numbers it has.
  std::int64_t size() const {
    std::int64_t n = 1;
    for (const std::int64_t length : shape) n *= length;
    return n;
  }
  T* begin() const { return data; }
  T* end() const { return data + size(); }
  T& operator[](std::int64_t i) const { return data[i]; }  ///< Number i in row-major order.
};

/// A batch of sequences: number k of sequence b at step t is `data[t * step_stride + b * batch_stride + k]`. Strides
/// count numbers, not bytes. How many steps, sequences and numbers there are is said where the view is used.
/// time_major() and batch_major() make views of arrays without gaps.
template <class T>
struct Sequences {
  T* data = nullptr;
  std::int64_t step_stride = 0;   ///< Not used where there is a single step.
  std::int64_t batch_stride = 0;  ///< Not used where there is a single sequence.

  /// What may be written may be read.
  template <class U, class = std::enable_if_t<std::is_same_v<U, const T> && !std::is_const_v<T>>>
  operator Sequences<U>() const {
    return {data, step_stride, batch_stride};
  }
};

/// A view of an array [seq_len][batch][columns].
template <class T>
Sequences<T> time_major(T* data, std::int64_t batch, std::int64_t columns) {
  return {data, batch * columns, columns};
}

/// A view of an array [batch][seq_len][columns].
template <class T>
Sequences<T> batch_major(T* data, std::int64_t seq_len, std::int64_t columns) {
  return {data, columns, seq_len * columns};
}

/// States of all layers and directions, each an array [num_layers * directions][batch][columns] without gaps. With
/// gate recurrence a row of h is what recurs, then the gates i, f and o of that step.
template <class T>
struct States {
  T* h = nullptr;  ///< LayerSpec::state_size() columns.
  T* c = nullptr;  ///< hidden_size columns. LSTM only.

  /// What may be written may be read.
  template <class U, class = std::enable_if_t<std::is_same_v<U, const T> && !std::is_const_v<T>>>
  operator States<U>() const {
    return {h, c};
  }
};

/// Numbers in the shapes of a layer's weights, which this owns: their gradients, or what an optimizer keeps of each
/// weight.
template <class T>
class WeightArrays {
 public:
  /// Zeros.
  explicit WeightArrays(const std::vector<Weight<const T>>& weights) {
    for (const Weight<const T>& w : weights) arrays_.emplace_back(static_cast<std::size_t>(w.size()));
  }
  /// How many tensors there are.
  std::int64_t size() const { return static_cast<std::int64_t>(arrays_.size()); }
  /// Tensor i in the order of weights(), row-major.
  std::vector<T>& operator[](std::int64_t i) { return arrays_[static_cast<std::size_t>(i)]; }
  const std::vector<T>& operator[](std::int64_t i) const { return arrays_[static_cast<std::size_t>(i)]; }
  /// Where each of them begins, as backward calls take it. Valid as long as this lives, also after a move.
  std::vector<T*> pointers() {
    std::vector<T*> all;
    for (std::vector<T>& array : arrays_) all.push_back(array.data());
    return all;
  }

 private:
  std::vector<std::vector<T>> arrays_;
};

}  // namespace gru_native
