// What an open edit of weights holds.
#pragma once
#include "gru_native/edit.h"
#include "runtime/handle.h"

namespace gru_native {

template <class T>
struct WeightEdit<T>::Impl {
  explicit Impl(const std::vector<Weight<T>>& weights) : weights(weights) {}
  virtual ~Impl() = default;
  // Makes calls compute with what the weights are now. Asks for no memory.
  virtual void commit() noexcept = 0;

  const std::vector<Weight<T>>& weights;
};

// Of a store with `writable()` and `replace()`, by a layer with `fill()`: see weights.h.
template <class T, class Store, class Layer, class Packed>
struct OpenEdit final : ImplOf<WeightEdit<T>> {
  OpenEdit(Store& store, const Layer& layer, std::shared_ptr<Packed> reserved)
      : ImplOf<WeightEdit<T>>(store.writable()), store(store), layer(layer), reserved(std::move(reserved)) {}
  void commit() noexcept override {
    layer.fill(*reserved);
    store.replace(std::move(reserved));
  }

  Store& store;
  const Layer& layer;
  std::shared_ptr<Packed> reserved;
};

}  // namespace gru_native
