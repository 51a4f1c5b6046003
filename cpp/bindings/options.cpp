#include "bindings/options.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/functions.h"
#include "bindings/reading.h"

namespace gru_native::bindings {
namespace {

[[noreturn]] void refuse(const char* option, const py::handle& value, const char* expected) {
  throw py::type_error(std::string(option) + " is " + a_type(value) + "; expected " + expected);
}

}  // namespace

void GivenOptions::read(const char* option, const py::handle& from, std::int64_t& value) {
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(whole_number(option, from, "a whole number").ptr(), &overflow);
  if (overflow) throw py::value_error(std::string(option) + " is out of range; expected a size that memory can hold");
}
void GivenOptions::read(const char* option, const py::handle& from, bool& value) {
  if (!py::isinstance<py::bool_>(from)) refuse(option, from, "True or False");
  value = from.cast<bool>();
}
void GivenOptions::read(const char* option, const py::handle& from, double& value) {
  value = real_number(option, from, "a number");
}
void GivenOptions::read(const char* option, const py::handle& from, std::string& value) {
  value = text(option, from, "a text");
}
void GivenOptions::read(const char* option, const py::handle& from, ActivationFunction& value) {
  value = function_argument(option, from);
}

void GivenOptions::read(const char* option, const py::handle& from, Padding& value) {
  if (py::isinstance<py::str>(from)) {
    value = {named<Padding::Kind>(option, text(option, from, "a text"), padding_names), 0};
  } else {
    value.kind = Padding::number;
    read(option, from, value.steps);
  }
}

void GivenOptions::read(const char* option, const py::handle& from, Size2d& value) {
  const bool both = py::isinstance<py::tuple>(from) || py::isinstance<py::list>(from);
  if (both && py::len(from) != 2)
    throw py::value_error(std::string(option) + " has " + std::to_string(py::len(from)) +
                          " numbers; expected one, or (height, width)");
  const py::object two = both ? py::reinterpret_borrow<py::object>(from) : py::make_tuple(from, from);
  read(option, py::object(two[py::int_(0)]), value.height);
  read(option, py::object(two[py::int_(1)]), value.width);
}

void GivenOptions::read(const char* option, const py::handle& from, Padding2d& value) {
  value = {};
  if (py::isinstance<py::str>(from))
    value.kind = named<Padding::Kind>(option, text(option, from, "a text"), padding_names);
  else read(option, from, value.size);
}

void GivenOptions::check_known(const std::string& owner) const {
  for (const auto& [key, unused] : given_)
    if (std::find(known_.begin(), known_.end(), std::string(py::str(key))) == known_.end())
      throw py::value_error("has an option " + std::string(py::repr(key)) + " that " + owner + " does not have");
}

BlockSpec block_of(const py::dict& given) {
  const GivenOptions options(given);
  if (!options.has("type")) throw py::value_error("has no type");
  std::string type;
  options("type", type);
  BlockSpec block = block_of_type(type);
  options("prefix", block.prefix);
  each_option(block, options);
  options.check_known(type);
  return block;
}

namespace {

template <class Value>
py::object object_of(const Value& value) {
  return py::cast(value);
}
py::object object_of(const ActivationFunction& value) { return function_object(value); }
py::object object_of(const Padding& value) {
  return value.kind == Padding::number ? py::object(py::int_(value.steps)) : py::str(padding_names[value.kind]);
}
py::object object_of(const Size2d& value) { return py::make_tuple(value.height, value.width); }
py::object object_of(const Padding2d& value) {
  return value.kind == Padding::number ? object_of(value.size) : py::object(py::str(padding_names[value.kind]));
}
template <class Value>
py::object object_of(const std::optional<Value>& value) {
  return value ? object_of(*value) : py::none();
}

}  // namespace

py::dict dict_of(BlockSpec block) {
  py::dict to;
  to["type"] = type_of(block);
  to["prefix"] = block.prefix;
  each_option(block, [&](const char* name, auto& value) { to[name] = object_of(value); });
  return to;
}

}  // namespace gru_native::bindings
