#include "bindings/functions.h"

#include <string>
#include <vector>

#include "bindings/reading.h"
#include "spec/names.h"

namespace gru_native::bindings {

ActivationFunction function_argument(const char* name, const py::handle& value) {
  if (py::isinstance<py::str>(value)) return function_named(name, text(name, value, "a function's name"), {});
  const auto refuse = [&](const std::string& what) {
    throw py::type_error(std::string(name) + " is " + what + "; expected a string, or a tuple of one and its numbers");
  };
  if (!py::isinstance<py::tuple>(value) && !py::isinstance<py::list>(value)) refuse(a_type(value));
  const auto parts = py::reinterpret_borrow<py::sequence>(value);
  if (parts.empty() || !py::isinstance<py::str>(parts[0])) refuse(a_type(value) + " without a name");
  std::vector<double> numbers;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const py::object number = parts[i];
    if (py::isinstance<py::bool_>(number) || !(PyFloat_Check(number.ptr()) || PyIndex_Check(number.ptr())))
      refuse(a_type(value) + " with " + a_type(number));
    numbers.push_back(real_number(name, number, "numbers behind its function's name"));
  }
  return function_named(name, text(name, parts[0], "a function's name"), numbers);
}

py::object function_object(const ActivationFunction& f) {
  py::str name(function_names[static_cast<int>(f.kind)]);
  const std::vector<double> numbers = unusual_numbers(f);
  if (numbers.empty()) return name;
  py::tuple result(1 + numbers.size());
  result[0] = name;
  for (std::size_t i = 0; i < numbers.size(); ++i) result[i + 1] = numbers[i];
  return result;
}

}  // namespace gru_native::bindings
