/// \file
/// Real-time recurrent learning (Williams and Zipser 1989): the exact gradient of everything so far, carried forward in
/// time, so that a long sequence is learned from step by step and nothing is kept of its past.
///
///     P(t) = J(t) P(t-1) + M(t)
///     dL(t)/dW = dL(t)/ds(t) P(t)
///
/// P holds the derivatives of the state by the weights, J those by the state before, M those by the weights at this
/// step alone.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/layer.h"

namespace gru_native {

/// Sequences that are learned from while they come. For small layers: with S = state_size() (and hidden_size for c, and
/// the outputs that do not recur) and N weights it keeps 2 S N numbers a sequence, and a step costs S S N
/// multiply-adds. It belongs to one thread at a time. After a move it may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API Rtrl {
 public:
  /// `batch` sequences side by side, with zero states. Throws std::invalid_argument for a layer that is null, has more
  /// than one layer or direction, zoneout, gate recurrence, layer normalisation or weights of few bits, and for a batch
  /// below 1 or larger than memory; and std::bad_alloc.
  explicit Rtrl(std::shared_ptr<const Layer<T>> layer, std::int64_t batch = 1);
  ~Rtrl();
  Rtrl(Rtrl&& other) noexcept;
  Rtrl& operator=(Rtrl&& other) noexcept;

  const LayerSpec& spec() const;  ///< Of the layer.
  std::int64_t batch() const;  ///< Sequences.

  /// One step with the layer's weights of this moment: x [batch][input_size], y [batch][output_size()], written.
  void step(const T* x, T* y);

  /// The gradients of a loss of the last step by all weights, given its gradients dy, as y, and dstate; null: zeros.
  /// dweights has one place for each of Layer::weights(), which is written (not added to) unless it is null. Throws
  /// std::invalid_argument for another number of them.
  void gradient(const T* dy, const States<const T>& dstate, const std::vector<T*>& dweights) const;

  /// Copies the state, which has one layer and direction: [batch][columns]. Null: not wanted.
  void save_state(const States<T>& to) const;
  /// Sets the state; null: zeros. A state that is loaded counts as independent of the weights.
  void load_state(const States<const T>& from);

  /// Numbers in all that it has from step to step: the state, P and what is known of P.
  std::int64_t carried_size() const;
  /// Copies them. Another one, of a layer with the same spec and weights and of the same batch, that loads them goes on
  /// with the same bits.
  void save_carried(T* to) const;
  /// Takes such numbers.
  void load_carried(const T* from);

  /// Back to the zero state for each sequence where mask, [batch], is true; null: for all.
  void reset(const bool* mask = nullptr);

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
