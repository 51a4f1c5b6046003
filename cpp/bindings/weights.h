// Weights by name, as NumPy arrays over the core's own memory.
#pragma once
#include <memory>

#include "bindings/arrays.h"

namespace gru_native::bindings {

// The views keep the layer alive; the caller sets whether they may be written.
template <class B>
py::dict weight_views(const std::shared_ptr<B>& layer, bool writeable) {
  py::dict views;
  for (const auto& w : layer->weights()) {
    auto* owner = new std::shared_ptr<B>(layer);
    const py::capsule base(owner, [](void* p) { delete static_cast<std::shared_ptr<B>*>(p); });
    py::array view = py::array_t<std::remove_pointer_t<decltype(w.data)>>(
        std::vector<py::ssize_t>(w.shape.begin(), w.shape.end()), w.data, base);
    if (!writeable) view.attr("setflags")(py::arg("write") = false);
    views[py::str(w.name)] = view;
  }
  return views;
}

}  // namespace gru_native::bindings
