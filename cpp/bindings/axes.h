// One value for each axis of an array.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace gru_native::bindings {

// What a vector would hold, without its memory: a call of a microsecond has no time to ask for that ten times.
template <class U>
class Axes {
 public:
  static_assert(std::is_trivially_copyable_v<U>);
  Axes() = default;
  Axes(std::initializer_list<U> values) : Axes(values.begin(), values.end()) {}
  Axes(std::size_t count, const U& value) {
    for (std::size_t i = 0; i < count; ++i) push_back(value);
  }
  Axes(const std::vector<U>& values) : Axes(values.begin(), values.end()) {}
  template <class I, class = std::enable_if_t<!std::is_integral_v<I>>>
  Axes(I first, I last) {
    for (; first != last; ++first) push_back(static_cast<U>(*first));
  }
  Axes(const Axes& other) : Axes(other.begin(), other.end()) {}
  Axes& operator=(const Axes& other) {
    if (this == &other) return *this;
    size_ = 0;
    for (const U& value : other) push_back(value);
    return *this;
  }
  ~Axes() = default;

  void push_back(const U& value) {
    if (size_ == most) throw std::invalid_argument("an array has more axes than NumPy allows");
    room_.values[size_++] = value;
  }
  void pop_back() { --size_; }
  std::size_t size() const { return size_; }
  U* begin() { return room_.values; }
  U* end() { return room_.values + size_; }
  const U* begin() const { return room_.values; }
  const U* end() const { return room_.values + size_; }
  U& operator[](std::size_t i) { return room_.values[i]; }
  const U& operator[](std::size_t i) const { return room_.values[i]; }
  U& back() { return room_.values[size_ - 1]; }

 private:
  static constexpr std::size_t most = 64;  // NumPy's own limit
  union Room {
    Room() {}  // NOLINT(modernize-use-equals-default): the values are not made before they are there
    U values[most];
  } room_;
  std::size_t size_ = 0;
};

using Shape = Axes<std::int64_t>;

// One expected dimension: a name for the message, and its size, or -1 for any.
struct Dim {
  const char* name;
  std::int64_t size;
};
using Dims = Axes<Dim>;

}  // namespace gru_native::bindings
