// Values of options in JSON: what spec/options.h hands over, read and written. Each overload of read() says what the
// value must be.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>

#include "files/json.h"
#include "gru_native/model.h"
#include "spec/names.h"

namespace gru_native {

inline void read_option(const nlohmann::json& from, std::int64_t& value, const char* name) {
  if (!from.is_number_integer() || (from.is_number_unsigned() && from.get<std::uint64_t>() > std::uint64_t(INT64_MAX)))
    throw FileError(std::string(name) + " is no whole number");
  value = from.get<std::int64_t>();
}
inline void read_option(const nlohmann::json& from, bool& value, const char* name) {
  if (!from.is_boolean()) throw FileError(std::string(name) + " is neither true nor false");
  value = from.get<bool>();
}
inline void read_option(const nlohmann::json& from, double& value, const char* name) {
  if (!from.is_number()) throw FileError(std::string(name) + " is no number");
  value = from.get<double>();
}
inline void read_option(const nlohmann::json& from, std::string& value, const char* name) {
  if (!from.is_string()) throw FileError(std::string(name) + " is no text");
  value = from.get<std::string>();
}
// A name, or a list of one and its numbers.
inline void read_option(const nlohmann::json& from, ActivationFunction& value, const char* name) {
  std::string function;
  std::vector<double> numbers;
  if (from.is_array()) {
    if (from.empty()) throw FileError(std::string(name) + " is an empty list");
    read_option(from[0], function, name);
    for (std::size_t i = 1; i < from.size(); ++i) read_option(from[i], numbers.emplace_back(), name);
  } else {
    read_option(from, function, name);
  }
  value = function_named(name, function, numbers);
}
// A name or a number.
inline void read_option(const nlohmann::json& from, Padding& value, const char* name) {
  if (from.is_string()) {
    std::string text;
    read_option(from, text, name);
    value = {named<Padding::Kind>(name, text, padding_names), 0};
  } else {
    value.kind = Padding::number;
    read_option(from, value.steps, name);
  }
}
// A number for both sides, or a list of the two.
inline void read_option(const nlohmann::json& from, Size2d& value, const char* name) {
  if (from.is_array() && from.size() != 2) throw FileError(std::string(name) + " is no list of a height and a width");
  read_option(from.is_array() ? from[0] : from, value.height, name);
  read_option(from.is_array() ? from[1] : from, value.width, name);
}
inline void read_option(const nlohmann::json& from, Padding2d& value, const char* name) {
  value = {};
  if (!from.is_string()) return read_option(from, value.size, name);
  std::string text;
  read_option(from, text, name);
  value.kind = named<Padding::Kind>(name, text, padding_names);
}
// None is null.
template <class Value>
void read_option(const nlohmann::json& from, std::optional<Value>& value, const char* name) {
  if (from.is_null()) value.reset();
  else read_option(from, value.emplace(), name);
}

template <class Value>
std::string written_option(const Value& value) {
  return json_text(value);
}
inline std::string written_option(const ActivationFunction& f) {
  std::string name = json_text(function_names[static_cast<int>(f.kind)]);
  const std::vector<double> numbers = unusual_numbers(f);
  if (numbers.empty()) return name;
  std::vector<std::string> list{std::move(name)};
  for (const double number : numbers) list.push_back(json_text(number));
  return list_text(list);
}
inline std::string written_option(const Padding& value) {
  return value.kind == Padding::number ? json_text(value.steps) : json_text(padding_names[value.kind]);
}
inline std::string written_option(const Size2d& value) {
  return list_text({json_text(value.height), json_text(value.width)});
}
inline std::string written_option(const Padding2d& value) {
  return value.kind == Padding::number ? written_option(value.size) : json_text(padding_names[value.kind]);
}
template <class Value>
std::string written_option(const std::optional<Value>& value) {
  return value ? written_option(*value) : "null";
}

}  // namespace gru_native
