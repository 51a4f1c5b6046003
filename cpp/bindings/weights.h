// Weights and their gradients as dictionaries of arrays.
#pragma once
#include <memory>

#include "bindings/arrays.h"

namespace gru_native::bindings {

// Views of the layer's own memory, which they keep alive; the caller sets whether they may be written.
template <class Layer>
py::dict weight_views(const std::shared_ptr<Layer>& layer, bool writeable) {
  py::dict views;
  for (const auto& w : layer->weights()) {
    auto* owner = new std::shared_ptr<Layer>(layer);
    const py::capsule base(owner, [](void* p) { delete static_cast<std::shared_ptr<Layer>*>(p); });
    py::array view = py::array(py::dtype::of<std::remove_pointer_t<decltype(w.data)>>(),
                               std::vector<py::ssize_t>(w.shape.begin(), w.shape.end()), w.data, base);
    if (!writeable) view.attr("setflags")(py::arg("write") = false);
    views[py::str(w.name)] = view;
  }
  return views;
}

// New arrays in the weights' shapes, for backward to fill, and the pointers to them.
template <class T>
py::dict weight_gradients(const std::vector<Weight<T>>& weights, std::vector<T*>& pointers) {
  py::dict gradients;
  for (const Weight<T>& w : weights) {
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
  c.def(
       "weights", [](const L& l, bool writeable) { return weight_views(l.layer, writeable); }, py::arg("writeable"))
      .def("commit", [](L& l) {
        const py::gil_scoped_release release;
        l.layer->commit();
      });
}

}  // namespace gru_native::bindings
