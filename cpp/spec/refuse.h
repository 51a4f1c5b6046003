// The form of all errors about arguments: what is wrong, what it is, what would be right.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace gru_native {

[[noreturn]] inline void refuse(const std::string& name, const std::string& value, const std::string& expected) {
  throw std::invalid_argument(name + " is " + value + "; expected " + expected);
}

inline void check_size(const std::string& name, std::int64_t value, std::int64_t least) {
  if (value < least) refuse(name, std::to_string(value), "at least " + std::to_string(least));
}

}  // namespace gru_native
