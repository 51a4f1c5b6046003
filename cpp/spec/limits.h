// The limits that several checks share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>

namespace gru_native {

// Threads of one call.
inline constexpr int most_threads = 256;

// Layers on top of each other: each takes some 10 KB, however small it is.
inline constexpr std::int64_t most_layers = 10000;

// Elements of an array, or of all that a call or a layer needs: an address can hold them, with room for padding.
inline constexpr double most_elements = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 8192;

}  // namespace gru_native
