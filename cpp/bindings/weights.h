// Weights and their gradients as dictionaries of arrays.
#pragma once
#include <memory>
#include <optional>
#include <utility>

#include "bindings/arrays.h"
#include "bindings/without_gil.h"
#include "gru_native/edit.h"
#include "spec/names.h"

namespace gru_native::bindings {

// An array of a layer's own memory, which it keeps alive.
template <class T>
py::array weight_view(const Weight<T>& w, const std::shared_ptr<const void>& layer) {
  auto* const owner = new std::shared_ptr<const void>(layer);
  const py::capsule base(owner, [](void* p) { delete static_cast<std::shared_ptr<const void>*>(p); });
  py::array view(py::dtype::of<std::remove_const_t<T>>(), std::vector<py::ssize_t>(w.shape.begin(), w.shape.end()),
                 w.data, base);
  if (std::is_const_v<T>) view.attr("setflags")(py::arg("write") = false);
  return view;
}

template <class T>
py::dict weight_views(const std::vector<Weight<T>>& weights, const std::shared_ptr<const void>& layer) {
  py::dict views;
  for (const Weight<T>& w : weights) views[py::str(w.name)] = weight_view(w, layer);
  return views;
}

// "int8" or "bf16".
inline Precision precision_argument(const std::string& text) {
  if (text != "int8" && text != "bf16")
    throw py::value_error("precision is " + std::string(py::repr(py::str(text))) + "; expected \"int8\" or \"bf16\"");
  return named<Precision>("precision", text, precision_names);
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

// An open edit, until it is closed; the caller then sets its arrays to be read only.
template <class T>
class PyEdit {
 public:
  PyEdit(const std::shared_ptr<const void>& layer, WeightEdit<T> edit) : layer_(layer), edit_(std::move(edit)) {}
  py::dict weights() const {
    if (!edit_) throw py::value_error("this edit is closed");
    return weight_views(edit_->weights(), layer_);
  }
  void close() {
    std::optional<WeightEdit<T>> ending = take();
    without_gil([&] { ending.reset(); });
  }

 private:
  // So that a second close(), from another thread meanwhile, finds nothing to do.
  std::optional<WeightEdit<T>> take() { return std::exchange(edit_, std::nullopt); }

  std::shared_ptr<const void> layer_;
  std::optional<WeightEdit<T>> edit_;
};

// What every class with weights of few bits has besides.
template <class Class>
void def_precision(Class& c) {
  using L = typename Class::type;
  c.def_property_readonly("precision",
                          [](const L& l) { return precision_names[static_cast<int>(l.layer->spec().precision)]; });
}

// What every layer's class has for _weights.Weighted; it holds a shared_ptr `layer`.
template <class Class>
void def_weights(Class& c) {
  using L = typename Class::type;
  c.def("weights", [](const L& l) { return weight_views(l.layer->weights(), l.layer); }).def("edit", [](L& l) {
    return PyEdit(l.layer, l.layer->edit());
  });
}

}  // namespace gru_native::bindings
