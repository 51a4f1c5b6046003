/// \file
/// Writing the weights of a layer.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// The weights of a layer while they are written; made by edit() of any layer.
///
///     auto edit = layer.edit();
///     for (float& w : edit["weight_ih_l0"]) w *= 0.5f;
///     edit["bias_ih_l0"][3] = 1;
///
/// The layer computes with the new weights from the moment at which this ends. Until then calls go on with the old
/// ones, also from other threads. The memory that the end needs is reserved at the beginning, so the end cannot fail.
/// The layer must outlive this, but may be moved meanwhile. Two edits of one layer must not run in two threads at once.
template <class T>
class GRU_NATIVE_API WeightEdit {
 public:
  /// Commits what was written.
  ~WeightEdit();
  /// Leaves `other` without weights: it can only end, which then does nothing.
  WeightEdit(WeightEdit&& other) noexcept;
  WeightEdit& operator=(WeightEdit&&) = delete;

  /// All weights, in the order of the layer's weights().
  const std::vector<Weight<T>>& weights() const;
  auto begin() const { return weights().begin(); }
  auto end() const { return weights().end(); }

  /// Weight i of them.
  const Weight<T>& operator[](std::int64_t i) const;
  /// The weight of that name. \throws std::invalid_argument if there is none, naming those that there are.
  const Weight<T>& operator[](std::string_view name) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit WeightEdit(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Ends edits of several layers as one: a call of a Model of these layers, and a Stream that is made of it, has what
/// was written to all of them or to none. Edits that have been moved from must not be among them.
/// Throws std::bad_alloc; what was written is then committed, but not as one.
template <class T>
GRU_NATIVE_API void end_together(std::vector<WeightEdit<T>> edits);

}  // namespace gru_native
