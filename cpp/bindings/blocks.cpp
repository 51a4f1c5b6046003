#include "bindings/blocks.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/functions.h"
#include "bindings/module.h"
#include "files/blocks.h"
#include "spec/check_model.h"

namespace gru_native::bindings {
namespace {

[[noreturn]] void refuse(const char* option, const py::handle& value, const char* expected) {
  throw py::type_error(std::string(option) + " is a " + std::string(py::str(py::type::of(value).attr("__name__"))) +
                       "; expected " + expected);
}
void read(const char* option, const py::handle& from, std::int64_t& value) {
  if (py::isinstance<py::bool_>(from) || !PyIndex_Check(from.ptr())) refuse(option, from, "a whole number");
  value = PyLong_AsLongLong(py::reinterpret_steal<py::object>(PyNumber_Index(from.ptr())).ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    throw py::value_error(std::string(option) + " is out of range; expected a size that memory can hold");
  }
}
void read(const char* option, const py::handle& from, bool& value) {
  if (!py::isinstance<py::bool_>(from)) refuse(option, from, "True or False");
  value = from.cast<bool>();
}
void read(const char* option, const py::handle& from, double& value) {
  if (py::isinstance<py::bool_>(from) || !PyNumber_Check(from.ptr())) refuse(option, from, "a number");
  value = py::float_(py::reinterpret_borrow<py::object>(from)).cast<double>();
}
void read(const char* option, const py::handle& from, std::string& value) {
  if (!py::isinstance<py::str>(from)) refuse(option, from, "a text");
  value = from.cast<std::string>();
}

void read(const char* option, const py::handle& from, ActivationFunction& value) {
  value = function_argument(option, from);
}

BlockSpec block_of(const py::dict& from) {
  if (!from.contains("type")) throw py::value_error("has no type");
  std::string type;
  read("type", from["type"], type);
  BlockSpec block = block_of_type(type);
  std::vector<std::string> known{"type", "prefix"};
  const auto option = [&](const char* name, auto& value) {
    known.emplace_back(name);
    if (from.contains(name)) read(name, from[name], value);
  };
  option("prefix", block.prefix);
  each_option(block, option);
  for (const auto& [key, unused] : from)
    if (std::find(known.begin(), known.end(), std::string(py::str(key))) == known.end())
      throw py::value_error("has an option " + std::string(py::repr(key)) + " that " + type + " does not have");
  return block;
}

py::dict dict_of(BlockSpec block) {
  py::dict to;
  to["type"] = type_of(block);
  to["prefix"] = block.prefix;
  each_option(block, [&](const char* name, auto& value) {
    if constexpr (std::is_same_v<decltype(value), ActivationFunction&>) to[name] = function_object(value);
    else to[name] = value;
  });
  return to;
}

}  // namespace

std::vector<BlockSpec> blocks_of(const py::list& list) {
  std::vector<BlockSpec> blocks;
  std::vector<bool> says_layout;
  for (const py::handle entry : list) {
    const std::string place = "block " + std::to_string(blocks.size()) + ": ";
    if (!py::isinstance<py::dict>(entry)) refuse((place + "it").c_str(), entry, "a dictionary");
    try {
      const auto options = py::reinterpret_borrow<py::dict>(entry);
      blocks.push_back(block_of(options));
      says_layout.push_back(options.contains("batch_first"));
    } catch (const py::type_error& error) {
      throw py::type_error(place + error.what());
    } catch (const std::exception& error) {  // ValueError, std::invalid_argument
      throw py::value_error(place + error.what());
    }
  }
  complete_layouts(blocks, says_layout);
  return blocks;
}

py::list list_of(const std::vector<BlockSpec>& blocks) {
  py::list list;
  for (const BlockSpec& block : blocks) list.append(dict_of(block));
  return list;
}

void register_blocks(py::module_& m) {
  m.def(
      "check_block",
      [](const py::dict& block) { std::visit([](const auto& spec) { spec.validate(); }, block_of(block).spec); },
      py::arg("block"), "Raises what the constructor of a block's class would, and makes no weights.");
  m.def(
      "check_lengths",
      [](std::int64_t seq_len, std::int64_t batch, const py::object& lengths) {
        check_extent(seq_len, batch);
        return lengths_argument(lengths, {seq_len, batch, true, false});
      },
      py::arg("seq_len"), py::arg("batch"), py::arg("lengths"),
      "The lengths as a list, or None; raises what a call of a layer would.");
}

}  // namespace gru_native::bindings
