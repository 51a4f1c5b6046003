// The Python-side layer object, shared with streams.
#pragma once
#include <memory>
#include <utility>

#include "bindings/arrays.h"
#include "gru_native/dense.h"
#include "gru_native/operation.h"

namespace gru_native::bindings {

// What a chain says of a block that is a description for gru_native.complexity.
inline constexpr const char* no_weights = "has no weights to compute with; expected a layer";

template <class T>
struct PyLayer {
  PyLayer(const LayerSpec& spec, bool batch_first)
      : layer(std::make_shared<Layer<T>>(spec)), batch_first(batch_first) {}
  PyLayer(Layer<T> made, bool batch_first)
      : layer(std::make_shared<Layer<T>>(std::move(made))), batch_first(batch_first) {}
  PyLayer(std::shared_ptr<Layer<T>> layer, bool batch_first) : layer(std::move(layer)), batch_first(batch_first) {}
  std::shared_ptr<Layer<T>> layer;
  bool batch_first;
};

template <class T>
struct PyDense {
  std::shared_ptr<Dense<T>> layer;
};

template <class T>
struct PyOperation {
  std::shared_ptr<Operation<T>> layer;
};

inline py::object python_layer(Layer<float> made, bool batch_first) {
  return py::cast(std::make_unique<PyLayer<float>>(std::move(made), batch_first));
}
inline py::object python_layer(Dense<float> made, bool) {
  return py::cast(PyDense<float>{std::make_shared<Dense<float>>(std::move(made))});
}

// A tape with the layout of its call: backward's arrays must have it too.
template <class T>
struct PyTape {
  std::shared_ptr<const Tape<T>> tape;
  Layout layout;
};

constexpr const char* tape_doc = "What ``backward`` needs of one forward call.\n\nMade by ``forward``.";
template <class T>
constexpr const char* suffix = sizeof(T) == 4 ? "32" : "64";

}  // namespace gru_native::bindings
