// Real-time recurrent learning (Williams and Zipser 1989): the exact gradient of everything so far, carried forward in
// time, so that a long sequence is learned from step by step and nothing is kept of its past.
//
//   P(t) = J(t) P(t-1) + M(t)      P: derivatives of the state by the weights; J: by the state before; M: by the
//                                  weights at this step alone
//   dL(t)/dW = dL(t)/ds(t) P(t)
#pragma once
#include <memory>
#include <vector>

#include "gru_native/layer.h"

namespace gru_native {

// For small layers: with S = state_size() (and hidden_size for c, and the outputs that do not recur) and N weights it
// keeps 2 S N numbers a sequence, and a step costs S S N multiply-adds.
template <class T>
class GRU_NATIVE_API Rtrl {
 public:
  // One layer in one direction. Starts with zero states. Throws std::invalid_argument, std::bad_alloc.
  explicit Rtrl(std::shared_ptr<const Layer<T>> layer, std::int64_t batch = 1);
  ~Rtrl();
  Rtrl(Rtrl&& other) noexcept;
  Rtrl& operator=(Rtrl&& other) noexcept;

  const LayerSpec& spec() const;
  std::int64_t batch() const;

  // One step with the layer's weights of this moment: x [batch][input_size], y [batch][output_size].
  void step(const T* x, T* y);

  // The gradient of a loss of the last step by all weights, given its gradients dy, as y, and dstate; null: zeros.
  // dweights: one per Layer::weights(), written.
  void gradient(const T* dy, const States<const T>& dstate, const std::vector<T*>& dweights) const;

  // [batch][size]. A state that is loaded does not depend on the weights; null: zeros.
  void save_state(const States<T>& to) const;
  void load_state(const States<const T>& from);
  // Back to the zero state, where the mask says so; null: everywhere.
  void reset(const bool* mask = nullptr);

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
