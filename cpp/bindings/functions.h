// Activation functions as Python has them: "tanh", or with numbers ("leaky_relu", 0.02), ("affine", 0.5, 1.0).
#pragma once
#include <pybind11/pybind11.h>

#include "gru_native/activation.h"

namespace gru_native::bindings {

namespace py = pybind11;

// Throws TypeError for what has another form, ValueError for an unknown name or too many numbers. A list is as good as
// a tuple: model files have lists.
ActivationFunction function_argument(const char* name, const py::handle& value);

py::object function_object(const ActivationFunction& f);

}  // namespace gru_native::bindings
