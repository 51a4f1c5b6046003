// Writing the weights of any layer.
#pragma once
#include <algorithm>
#include <type_traits>
#include <utility>

#include "gru_native/edit.h"
#include "tests/support/check.h"

namespace gru_native::testing {

// Random numbers into all of them; returns the next seed.
template <class L>
unsigned randomize(L& layer, unsigned seed) {
  auto edit = layer.edit();
  for (const auto& w : edit) {
    using T = std::remove_pointer_t<decltype(w.data)>;
    const std::vector<T> values = random_numbers<T>(static_cast<std::size_t>(w.size()), seed++, 0.4);
    std::copy(values.begin(), values.end(), w.begin());
  }
  return seed;
}

// A single number; returns what it was.
template <class L, class T>
T set_weight(L& layer, std::size_t weight, std::size_t at, T value) {
  const auto edit = layer.edit();
  return std::exchange(edit[static_cast<std::int64_t>(weight)][static_cast<std::int64_t>(at)], value);
}

// The same weights, packed anew.
template <class L>
void pack_anew(L& layer) {
  const auto edit = layer.edit();
}

}  // namespace gru_native::testing
