// Reading the user's objects. What they raise meanwhile is theirs and passes unchanged (KeyboardInterrupt, MemoryError,
// a tensor's RuntimeError), but for TypeError and ValueError, which say that this is no such object: they become the
// cause of an error that names the argument.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

namespace gru_native::bindings {

namespace py = pybind11;

// Raises an exception of this type that another has caused.
[[noreturn]] void raise_from(py::error_already_set& cause, py::handle type, const std::string& text);

// In a handler of exceptions: what says that an argument is wrong (TypeError, ValueError and C++'s own) goes on with
// this before its text; others pass unchanged.
[[noreturn]] void throw_from(const std::string& place);

// What it is, for a message: "an int", "a GRU".
std::string a_type(py::handle value);

// The argument `name` as NumPy reads it, without copying an array.
py::array numpy_array(const std::string& name, py::handle value, const std::string& expected,
                      py::handle dtype = py::none());

// The whole number that the object stands for, by __index__; bool is none. TypeError "NAME is a str; expected ..".
py::int_ whole_number(const std::string& name, py::handle value, const std::string& expected);

// The number that it stands for, by __float__ or __index__; bool is none. ValueError for one beyond double.
double real_number(const std::string& name, py::handle value, const std::string& expected);

// A text, in UTF-8. ValueError for one that UTF-8 cannot hold.
std::string text(const std::string& name, py::handle value, const std::string& expected);

}  // namespace gru_native::bindings
