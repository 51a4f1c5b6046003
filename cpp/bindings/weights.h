// Weights and their gradients as dictionaries of arrays.
#pragma once
#include <memory>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/edits.h"

namespace gru_native::bindings {

template <class T>
py::dict weight_views(const std::vector<Weight<T>>& weights, const std::shared_ptr<const void>& layer) {
  py::dict views;
  for (const Weight<T>& w : weights) views[py::str(w.name)] = weight_view(w, layer);
  return views;
}

// New arrays in the weights' shapes, for backward to fill, and the pointers to them.
template <class T>
py::dict weight_gradients(const std::vector<Weight<const T>>& weights, std::vector<T*>& pointers) {
  py::dict gradients;
  for (const Weight<const T>& w : weights) {
    Array<T> dw = empty_array<T>(w.shape);
    pointers.push_back(dw.mutable_data());
    gradients[py::str(w.name)] = dw;
  }
  return gradients;
}

// What every layer's class has for _weights.Weighted; it holds a shared_ptr `layer`.
template <class Class>
void def_weights(Class& c) {
  using L = typename Class::type;
  c.def("weights", [](const L& l) { return weight_views(l.layer->weights(), l.layer); }).def("edit", [](L& l) {
    return open_edit(l.layer, l.layer->edit());
  });
}

}  // namespace gru_native::bindings
