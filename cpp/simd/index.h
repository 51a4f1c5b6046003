// Sizes, strides and offsets in elements.
#pragma once
#include <cstddef>

namespace gru_native { using Index = std::ptrdiff_t; }
