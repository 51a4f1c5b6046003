// A float and its upper half. Used on both sides of the border between instruction sets: always inlined, so that no
// object holds a copy that the linker could give to another.
#pragma once
#include <cstdint>
#include <cstring>

namespace gru_native {

// To the nearest, ties to even; NaN stays one.
__attribute__((always_inline)) inline std::uint16_t to_bf16(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof(bits));
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

__attribute__((always_inline)) inline float from_bf16(std::uint16_t upper) {
  const std::uint32_t bits = static_cast<std::uint32_t>(upper) << 16;
  float f;
  std::memcpy(&f, &bits, sizeof(f));
  return f;
}

}  // namespace gru_native
