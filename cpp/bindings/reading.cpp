#include "bindings/reading.h"

#include <stdexcept>

#include "bindings/module.h"

namespace gru_native::bindings {
namespace {

[[noreturn]] void refuse(const std::string& name, py::handle value, const std::string& expected) {
  throw py::type_error(name + " is " + a_type(value) + "; expected " + expected);
}

// NumPy takes an object whose length or buffer it cannot have for a number. Throws why it cannot.
void check_readable(py::handle value) {
  if (PySequence_Check(value.ptr()) && PySequence_Size(value.ptr()) < 0) throw py::error_already_set();
  if (!PyObject_CheckBuffer(value.ptr())) return;
  Py_buffer buffer;
  if (PyObject_GetBuffer(value.ptr(), &buffer, PyBUF_STRIDES | PyBUF_FORMAT) < 0) throw py::error_already_set();
  PyBuffer_Release(&buffer);
}

}  // namespace

void register_reading(py::module_& m) {
  m.def("a_type", &a_type, py::arg("value"), "What a value is, for a message: \"an int\", \"a GRU\".");
  m.def("numpy_array", &numpy_array, py::arg("name"), py::arg("value"), py::arg("expected"),
        py::arg("dtype") = py::none(),
        "The argument of this name as NumPy reads it.\n\n"
        "What a user's object raises meanwhile passes unchanged, but for TypeError and ValueError, which say that it "
        "is no "
        "array: they cause a TypeError with the name.");
}

void raise_from(py::error_already_set& cause, py::handle type, const std::string& text) {
  py::raise_from(cause, type.ptr(), text.c_str());
  throw py::error_already_set();
}

void throw_from(const std::string& place) {
  try {
    throw;
  } catch (py::error_already_set& error) {
    const bool of_type = error.matches(PyExc_TypeError);
    if (!of_type && !error.matches(PyExc_ValueError)) throw;
    raise_from(error, of_type ? PyExc_TypeError : PyExc_ValueError, place + std::string(py::str(error.value())));
  } catch (const py::type_error& error) {
    throw py::type_error(place + error.what());
  } catch (const py::value_error& error) {
    throw py::value_error(place + error.what());
  } catch (const std::invalid_argument& error) {
    throw py::value_error(place + error.what());
  }
}

// As one says it: letters of a name that begins with two capitals are spelt out.
std::string a_type(py::handle value) {
  const std::string name = py::str(py::type::of(value).attr("__name__"));
  const auto is_capital = [&](std::size_t i) { return i < name.size() && name[i] >= 'A' && name[i] <= 'Z'; };
  const std::string vowels = is_capital(0) && is_capital(1) ? "AEFHILMNORSX" : "AEIOaeio";
  const bool has_vowel = vowels.find(name[0]) != std::string::npos || name == "ndarray";
  return (has_vowel ? "an " : "a ") + name;
}

py::array numpy_array(const std::string& name, py::handle value, const std::string& expected, py::handle dtype) {
  try {
    const py::array a = py::module_::import("numpy").attr("asarray")(value, dtype);  // no subclass with its own methods
    if (a.ndim() == 0 && a.dtype().kind() == 'O' && !py::isinstance<py::array>(value)) check_readable(value);
    return a;
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_ValueError)) throw;
    raise_from(error, PyExc_TypeError,
               name + " is " + a_type(value) + " that NumPy cannot read as an array (" +
                   std::string(py::str(error.value())) + "); expected " + expected);
  }
}

py::int_ whole_number(const std::string& name, py::handle value, const std::string& expected) {
  if (PyBool_Check(value.ptr()) || !PyIndex_Check(value.ptr())) refuse(name, value, expected);
  auto whole = py::reinterpret_steal<py::int_>(PyNumber_Index(value.ptr()));
  if (whole) return whole;
  py::error_already_set error;
  if (!error.matches(PyExc_TypeError)) throw error;
  raise_from(error, PyExc_TypeError, name + " is " + a_type(value) + "; expected " + expected);
}

double real_number(const std::string& name, py::handle value, const std::string& expected) {
  if (PyBool_Check(value.ptr()) || PyUnicode_Check(value.ptr()) || !PyNumber_Check(value.ptr()))
    refuse(name, value, expected);
  const double number = PyFloat_AsDouble(value.ptr());
  if (number != -1 || !PyErr_Occurred()) return number;
  py::error_already_set error;
  if (error.matches(PyExc_OverflowError))
    raise_from(error, PyExc_ValueError, name + " is out of range; expected " + expected);
  if (!error.matches(PyExc_TypeError)) throw error;
  raise_from(error, PyExc_TypeError, name + " is " + a_type(value) + "; expected " + expected);
}

std::string text(const std::string& name, py::handle value, const std::string& expected) {
  if (!PyUnicode_Check(value.ptr())) refuse(name, value, expected);
  Py_ssize_t size = 0;
  if (const char* const bytes = PyUnicode_AsUTF8AndSize(value.ptr(), &size))
    return {bytes, static_cast<std::size_t>(size)};
  py::error_already_set error;
  if (!error.matches(PyExc_ValueError)) throw error;
  raise_from(error, PyExc_ValueError, name + " holds what is no character; expected " + expected);
}

}  // namespace gru_native::bindings
