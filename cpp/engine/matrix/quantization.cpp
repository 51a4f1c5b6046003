#include "engine/matrix/quantization.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace gru_native {
namespace {

std::uint32_t bits_of(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof(bits));
  return bits;
}

// To the nearest, ties to even; NaN stays one.
std::uint16_t upper_half(float f) {
  const std::uint32_t bits = bits_of(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float float_of(std::uint16_t upper) {
  const std::uint32_t bits = static_cast<std::uint32_t>(upper) << 16;
  float f;
  std::memcpy(&f, &bits, sizeof(f));
  return f;
}

}  // namespace

QuantizedMatrix quantized(Precision precision, const char* name, const float* w, Index rows, Index columns) {
  QuantizedMatrix m;
  m.precision = precision;
  m.rows = rows;
  m.columns = columns;
  const auto n = static_cast<std::size_t>(rows * columns);
  for (std::size_t k = 0; k < n; ++k)
    if (!std::isfinite(w[k]))
      throw std::invalid_argument(std::string(name) + " has NaN or infinity in row " +
                                  std::to_string(static_cast<Index>(k) / columns) + "; expected finite weights");
  if (precision == Precision::bf16) {
    m.bits.resize(n);
    std::transform(w, w + n, m.bits.begin(), upper_half);
    return m;
  }
  m.q.resize(n);
  m.scale.resize(static_cast<std::size_t>(rows));
  for (Index row = 0; row < rows; ++row) {
    const float* const from = w + row * columns;
    float largest = 0;
    for (Index k = 0; k < columns; ++k) largest = std::max(largest, std::fabs(from[k]));
    // A row of nothing but denormals is 0: they are flushed in every call anyway.
    const float scale = largest < std::numeric_limits<float>::min() * 127 ? 0 : largest / 127;
    m.scale[static_cast<std::size_t>(row)] = scale;
    for (Index k = 0; k < columns; ++k)
      m.q[static_cast<std::size_t>(row * columns + k)] =
          static_cast<std::int8_t>(scale > 0 ? std::clamp(std::nearbyint(from[k] / scale), -127.0f, 127.0f) : 0);
  }
  return m;
}

void dequantize(const QuantizedMatrix& m, float* w) {
  for (Index row = 0; row < m.rows; ++row)
    for (Index k = 0; k < m.columns; ++k) {
      const auto at = static_cast<std::size_t>(row * m.columns + k);
      w[at] = m.precision == Precision::bf16 ? float_of(m.bits[at])
                                             : static_cast<float>(m.q[at]) * m.scale[static_cast<std::size_t>(row)];
    }
}

namespace detail {

PackedMatrix<float> empty_quantized(const QuantizedKernels& kernels, Index units, int gates, Index depth, Index lanes) {
  PackedMatrix<float> m = empty_shape<float>(units, gates, depth, lanes);
  const Index columns = m.panels * m.width * lanes, groups = divide_up(depth, kernels.group);
  const Index stretches = std::max<Index>(1, divide_up(depth, kernels.deepest));
  m.data = Buffer<float>(columns * groups);  // 32 bits a lane
  m.scale = Buffer<float>(columns);
  m.offset.assign(static_cast<std::size_t>(columns * stretches), 0);
  m.quantized = {&kernels, m.data.data(), columns, m.scale.data(), m.offset.data()};
  return m;
}

void fill_quantized(PackedMatrix<float>& m, const QuantizedRow& row, Index column) {
  const QuantizedMatrix& from = *row.matrix;
  const Index columns = m.columns(), panel_columns = columns / m.panels, group = m.quantized.kernels->group;
  const Index groups = divide_up(m.depth, group), panel = column / panel_columns;
  char* const to = reinterpret_cast<char*>(m.data.data()) +
                   (panel * groups * panel_columns + column % panel_columns) * Index(sizeof(float));
  const QuantizedKernels& kernels = *m.quantized.kernels;
  const std::size_t first = static_cast<std::size_t>(row.row * from.columns);
  GRU_NATIVE_COUNTING(m.needed_columns[static_cast<std::size_t>(column)] = 1);
  for (Index k = 0; k < m.depth; ++k) {
    char* const lane = to + k / group * panel_columns * Index(sizeof(float));
    if (from.precision == Precision::bf16) {
      std::memcpy(lane + k % group * 2, &from.bits[first + static_cast<std::size_t>(k)], 2);
      continue;
    }
    const std::int8_t q = from.q[first + static_cast<std::size_t>(k)];
    std::memcpy(lane + k % group, &q, 1);
    m.offset[static_cast<std::size_t>(k / kernels.deepest * columns + column)] -= kernels.zero_point * q;
  }
  if (from.precision == Precision::int8) m.scale.data()[column] = from.scale[static_cast<std::size_t>(row.row)];
}

}  // namespace detail
}  // namespace gru_native
