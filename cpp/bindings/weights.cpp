#include "bindings/weights.h"

#include "bindings/layer.h"
#include "bindings/module.h"

namespace gru_native::bindings {
namespace {

template <class T>
void register_edit(py::module_& m) {
  py::class_<PyEdit<T>>(m, (std::string("Edit") + suffix<T>).c_str(), "Weights while they are written.")
      .def("weights", &PyEdit<T>::weights, "The weights by name, as arrays that may be written.")
      .def("close", &PyEdit<T>::close, "The layer computes with the new weights from now on.");
}

}  // namespace

void register_edits(py::module_& m) {
  register_edit<float>(m);
  register_edit<double>(m);
}

}  // namespace gru_native::bindings
