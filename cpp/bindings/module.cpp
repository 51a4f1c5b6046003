// The Python module: a table of contents.
#include "bindings/module.h"

#include "gru_native/version.h"
#include "simd/executed.h"

namespace {

PyObject* make(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  namespace detail = pybind11::detail;
  return reinterpret_cast<PyTypeObject*>(detail::get_internals().instance_base)->tp_new(type, arguments, keywords);
}

// Objects without __init__ hold nothing, and pybind11 would call functions on memory that nobody has filled. Python
// refuses to call a __new__ that a class inherits if the class makes its objects in another way: so
// Class.__new__(Class) is a TypeError, and Class(...) is as before.
void refuse_empty_objects(const pybind11::module_& m) {
  for (const auto& [name, value] : pybind11::reinterpret_borrow<pybind11::dict>(m.attr("__dict__")))
    if (PyType_Check(value.ptr()) && pybind11::detail::get_type_info(reinterpret_cast<PyTypeObject*>(value.ptr())))
      reinterpret_cast<PyTypeObject*>(value.ptr())->tp_new = make;
}

// pybind11 deadlocks in a subinterpreter before Python 3.12, and the core's classes are those of one interpreter.
bool in_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }
constexpr const char* not_in_subinterpreters =
    "gru_native cannot be imported in a subinterpreter; expected the main interpreter of a process";

}  // namespace

// Python asks for PyInit__core, below.
PYBIND11_MODULE(gru_native_core, m) {
  if (!in_main_interpreter()) throw pybind11::import_error(not_in_subinterpreters);
  m.doc() = "The compiled core of gru_native.";
  m.attr("__version__") = GRU_NATIVE_VERSION;
  gru_native::bindings::register_reading(m);
  gru_native::bindings::register_runtime(m);
  gru_native::bindings::register_edits(m);
  gru_native::bindings::register_layers(m);
  gru_native::bindings::register_decoding(m);
  gru_native::bindings::register_dense(m);
  gru_native::bindings::register_operations(m);
  gru_native::bindings::register_streams(m);
  gru_native::bindings::register_sessions(m);
  gru_native::bindings::register_rtrl(m);
  gru_native::bindings::register_output_rnn(m);
  gru_native::bindings::register_graphs(m);
  gru_native::bindings::register_grconvs(m);
  gru_native::bindings::register_readouts(m);
  gru_native::bindings::register_transducers(m);
  gru_native::bindings::register_trees(m);
  gru_native::bindings::register_decoders(m);
  gru_native::bindings::register_generation(m);
  gru_native::bindings::register_decoder_files(m);
  gru_native::bindings::register_losses(m);
  gru_native::bindings::register_large_softmaxes(m);
  gru_native::bindings::register_optimizers(m);
  gru_native::bindings::register_blocks(m);
  gru_native::bindings::register_files(m);
  refuse_empty_objects(m);
  GRU_NATIVE_COUNTING(gru_native::bindings::register_executed(m));
}

extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (in_main_interpreter()) return PyInit_gru_native_core();  // from 3.13 on also for a subinterpreter's import
  PyErr_SetString(PyExc_ImportError, not_in_subinterpreters);
  return nullptr;
}
