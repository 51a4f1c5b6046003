// What the checks of specs and calls are made of. An error says what is wrong, what it is and what would be right.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "gru_native/views.h"
#include "spec/limits.h"

namespace gru_native {

// Names are made texts only for an error: these checks stand in calls that take a microsecond.
[[noreturn]] inline void refuse(const std::string& name, const std::string& value, const std::string& expected) {
  throw std::invalid_argument(name + " is " + value + "; expected " + expected);
}

template <class Name>
void check_size(const Name& name, std::int64_t value, std::int64_t least) {
  if (value < least) refuse(name, std::to_string(value), "at least " + std::to_string(least));
}

inline std::string between(std::int64_t first, std::int64_t last) {
  return std::to_string(first) + " to " + std::to_string(last);
}

inline void check_class(const char* name, std::int64_t k, std::int64_t classes) {
  if (k < 0 || k >= classes) refuse(name, std::to_string(k), between(0, classes - 1));
}

// `most`: the length of an axis, and its name.
inline void check_lengths(const char* name, const std::int64_t* lengths, std::int64_t batch, const char* axis,
                          std::int64_t most) {
  if (!lengths) return;
  for (std::int64_t b = 0; b < batch; ++b)
    if (lengths[b] < 0 || lengths[b] > most)
      refuse(std::string(name) + "[" + std::to_string(b) + "]", std::to_string(lengths[b]),
             std::string("0 to ") + axis + "=" + std::to_string(most));
}

// A number from outside may be none of an enum's. `last` is the last of them.
template <class Name, class Enum>
void check_enum(const Name& name, Enum value, Enum last, const char* type) {
  const int i = static_cast<int>(value);
  if (i < 0 || i > static_cast<int>(last)) refuse(name, std::to_string(i), type);
}

// Gradients of weights: of all, or of none.
inline void check_dweights(std::size_t count, std::size_t weights) {
  if (count != 0 && count != weights)
    refuse("dweights.size()", std::to_string(count), "0 or " + std::to_string(weights));
}

template <class Name>
void check_there(const Name& name, const void* data) {
  if (!data) throw std::invalid_argument(std::string(name) + " is null; expected an array");
}

struct NamedSize {
  const char* name;
  std::int64_t size;
};
// What has so many elements, which follow from these sizes, must fit into memory.
inline void check_fits(const char* what, double elements, std::initializer_list<NamedSize> sizes) {
  if (elements <= most_elements) return;
  std::string text;
  for (const NamedSize& s : sizes)
    text += (text.empty() ? "" : ", ") + std::string(s.name) + "=" + std::to_string(s.size);
  throw std::invalid_argument(text + ": " + what + " would be larger than memory can be; expected smaller sizes");
}

// `widest`: numbers a step.
inline void check_calls_size(std::int64_t seq_len, std::int64_t batch, std::int64_t widest) {
  check_size("seq_len", seq_len, 1);
  check_size("batch", batch, 1);
  check_fits("the arrays", double(seq_len) * double(batch) * double(widest), {{"seq_len", seq_len}, {"batch", batch}});
}

// Rows that are written must not overlap.
template <class T>
void check_rows(const char* name, const Sequences<T>& s, std::int64_t seq_len, std::int64_t batch,
                std::int64_t columns) {
  const std::int64_t least = std::is_const_v<T> ? 0 : columns;
  const auto part = [&](const char* of) { return std::string(name) + of; };
  if (!s.data) check_there(part(".data"), s.data);
  if (seq_len > 1 && s.step_stride < least) check_size(part(".step_stride"), s.step_stride, least);
  if (batch > 1 && s.batch_stride < least) check_size(part(".batch_stride"), s.batch_stride, least);
}

}  // namespace gru_native
