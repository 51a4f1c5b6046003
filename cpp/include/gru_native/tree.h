// Tree-LSTM layers (Tai, Socher and Manning 2015) over forests: any number of trees in one call.
//
// All functions are thread-safe unless they say otherwise.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

enum class TreeCell {
  child_sum,  // any number of children, whose order does not matter
  nary,       // at most `arity` children, each in a slot of its own; a missing one counts as zeros
};

// What a layer computes. `validate` throws std::invalid_argument, naming the field, if it makes no sense.
struct TreeSpec {
  TreeCell cell = TreeCell::child_sum;
  std::int64_t input_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t arity = 1;  // nary only
  bool bias = true;

  GRU_NATIVE_API void validate() const;
};

// A forest of `nodes` nodes in any order. Arrays are row-major without gaps.
template <class T>
struct TreeForwardCall {
  std::int64_t nodes = 0;
  const T* x = nullptr;                   // [nodes][input_size]
  const std::int64_t* parents = nullptr;  // [nodes]: a node's parent, -1 for a root
  const std::int64_t* slots = nullptr;  // [nodes], nary only: which child of its parent a node is; a root's is ignored
  T* h = nullptr;  // [nodes][hidden_size], written
  T* c = nullptr;
};

// The gradients of a loss. Null pointers: on the way in zero, on the way out not wanted.
template <class T>
struct TreeBackwardCall {
  const T* dh = nullptr;  // [nodes][hidden_size]
  const T* dc = nullptr;
  T* dx = nullptr;  // [nodes][input_size]
  std::vector<T*> dweights;  // one per TreeLayer::weights(), written (not added to); may be empty
};

template <class T>
class TreeTape;

template <class T>
class GRU_NATIVE_API TreeLayer {
 public:
  // Weights are zero until set. Throws std::invalid_argument, std::bad_alloc.
  explicit TreeLayer(const TreeSpec& spec);
  ~TreeLayer();
  TreeLayer(TreeLayer&& other) noexcept;
  TreeLayer& operator=(TreeLayer&& other) noexcept;

  const TreeSpec& spec() const;

  // weight_ih (4 H, input), bias (4 H), rows in the order i f g o; child_sum: weight_hh (4 H, H); nary: weight_hh_iog
  // (3 H, arity H), rows i o g, and weight_hh_f (arity H, arity H), row block k the forget gate of child k.
  // Written and committed as those of Layer.
  const std::vector<Weight<const T>>& weights() const;
  [[nodiscard]] WeightEdit<T> edit();

  // Inference. Throws std::invalid_argument, naming the node, unless parents and slots describe trees.
  void forward(const TreeForwardCall<T>& call) const;

  // Training: also returns what backward needs.
  std::shared_ptr<const TreeTape<T>> forward_with_tape(const TreeForwardCall<T>& call) const;

  // Throws std::invalid_argument for a tape of another layer; so does backward.
  void check(const TreeTape<T>& tape) const;

  // Gradients of the call that made the tape, with the weights of that call. A tape may be used again.
  void backward(const TreeTape<T>& tape, const TreeBackwardCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

// Everything one call keeps for backward. Opaque; its memory goes back to the layer when it dies.
template <class T>
class GRU_NATIVE_API TreeTape {
 public:
  std::int64_t nodes() const;
  ~TreeTape();
  TreeTape(TreeTape&& other) noexcept;
  TreeTape& operator=(TreeTape&& other) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit TreeTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
