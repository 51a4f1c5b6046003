// Options as keywords of Python, or as dictionaries.
#pragma once
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <vector>

#include "spec/options.h"

namespace gru_native::bindings {

namespace py = pybind11;

// A dictionary that each_option() reads: one that is left out keeps its default. Raises TypeError and ValueError.
class GivenOptions {
 public:
  explicit GivenOptions(py::dict given) : given_(std::move(given)) {}

  template <class Value>
  void operator()(const char* name, Value& value) const {
    known_.emplace_back(name);
    if (given_.contains(name)) read(name, given_[name], value);
  }
  bool has(const char* name) const { return given_.contains(name); }
  // Whether each was asked for; `owner`: who does not have it otherwise.
  void check_known(const std::string& owner) const;

 private:
  static void read(const char* option, const py::handle& from, std::int64_t& value);
  static void read(const char* option, const py::handle& from, bool& value);
  static void read(const char* option, const py::handle& from, double& value);
  static void read(const char* option, const py::handle& from, std::string& value);
  static void read(const char* option, const py::handle& from, ActivationFunction& value);
  static void read(const char* option, const py::handle& from, Padding& value);
  static void read(const char* option, const py::handle& from, Size2d& value);
  static void read(const char* option, const py::handle& from, Padding2d& value);
  template <class Value>
  static void read(const char* option, const py::handle& from, std::optional<Value>& value) {
    if (from.is_none()) value.reset();
    else read(option, from, value.emplace());
  }

  py::dict given_;
  mutable std::vector<std::string> known_;
};

// A spec of these options; `owner`: the class in Python. batch_first: for classes that have that, too.
template <class Spec>
Spec spec_of(const py::kwargs& given, const char* owner, bool* batch_first = nullptr) {
  const GivenOptions options(given);
  Spec spec;
  each_option(spec, options);
  if (batch_first) options("batch_first", *batch_first);
  options.check_known(owner);
  return spec;
}

// A block by its "type", with or without a prefix.
BlockSpec block_of(const py::dict& given);
py::dict dict_of(BlockSpec block);

}  // namespace gru_native::bindings
