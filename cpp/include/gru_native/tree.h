/// \file
/// Tree-LSTM layers (Tai, Socher and Manning 2015) over forests: any number of trees in one call.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/precision.h"
#include "gru_native/views.h"

namespace gru_native {

/// What a node makes of its children.
enum class TreeCell {
  child_sum,  ///< Their sum: any number of children, whose order does not matter.
  nary        ///< At most `arity` children, each in a slot with weights of its own; a missing one counts as zeros.
};

/// What a layer computes.
struct TreeSpec {
  TreeCell cell = TreeCell::child_sum;
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t arity = 1;  ///< TreeCell::nary only.
  bool bias = true;
  Precision precision = Precision::full;  ///< Of the weights: what TreeLayer::quantize made of them.

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;
};

/// One call: a forest whose nodes come in any order. Arrays are row-major without gaps.
template <class T>
struct TreeForwardCall {
  std::int64_t nodes = 0;                 ///< Of all trees, at least 1.
  const T* x = nullptr;                   ///< [nodes][input_size]
  const std::int64_t* parents = nullptr;  ///< [nodes]: the parent of each node, -1 for a root.
  const std::int64_t* slots = nullptr;  ///< [nodes], TreeCell::nary only: which child of its parent a node is, 0 to
                                        ///< arity - 1. A root's is ignored.
  T* h = nullptr;  ///< [nodes][hidden_size], written.
  T* c = nullptr;  ///< [nodes][hidden_size], written.
};

/// The gradients of a loss. Null: on the way in zeros, on the way out not wanted.
template <class T>
struct TreeBackwardCall {
  const T* dh = nullptr;  ///< [nodes][hidden_size]
  const T* dc = nullptr;  ///< [nodes][hidden_size]
  T* dx = nullptr;  ///< [nodes][input_size], written.
  std::vector<T*> dweights;  ///< Of each of weights(), written (not added to). Empty: of none.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API TreeTape {
 public:
  ~TreeTape();
  TreeTape(TreeTape&& other) noexcept;
  TreeTape& operator=(TreeTape&& other) noexcept;

  std::int64_t nodes() const;  ///< Of the call.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit TreeTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A Tree-LSTM. Any number of threads may call it at once, also while it is edited. After a move it may only be
/// assigned to or destroyed.
template <class T>
class GRU_NATIVE_API TreeLayer {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as TreeSpec::validate, and std::bad_alloc.
  explicit TreeLayer(const TreeSpec& spec);
  ~TreeLayer();
  TreeLayer(TreeLayer&& other) noexcept;
  TreeLayer& operator=(TreeLayer&& other) noexcept;

  const TreeSpec& spec() const;

  /// All weights, to be read, with H = hidden_size: weight_ih (4 H, input_size) and, with bias, bias (4 H,), rows in
  /// the order i f g o. TreeCell::child_sum has weight_hh (4 H, H). TreeCell::nary has weight_hh_iog (3 H, arity H),
  /// rows i o g, and weight_hh_f (arity H, arity H), whose row block k is the forget gate of child k.
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written; the layer computes with them when the edit ends. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// As Layer::quantize.
  TreeLayer quantize(Precision precision) const;

  /// Inference. Throws std::invalid_argument, naming the node, unless parents and slots describe trees, and
  /// std::bad_alloc; nothing is then written.
  void forward(const TreeForwardCall<T>& call) const;

  /// The same, and what backward needs of it.
  std::shared_ptr<const TreeTape<T>> forward_with_tape(const TreeForwardCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const TreeTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// check does, and std::bad_alloc.
  void backward(const TreeTape<T>& tape, const TreeBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit TreeLayer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
