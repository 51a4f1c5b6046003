#include "engine/matrix/quantization.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "simd/bf16.h"
#include "spec/names.h"

namespace gru_native {
namespace {

constexpr Index lane_bytes = 4;  // of packed weights
constexpr Index float_bytes = 65536;     // of a matrix that is packed as floats
constexpr float largest_scale = std::numeric_limits<float>::max() / 127;

[[noreturn]] void refuse(const std::string& name, const std::string& what, std::size_t element,
                         const std::string& expected) {
  throw std::invalid_argument("tensor " + shown(name) + " holds " + what + " at element " + std::to_string(element) +
                              "; expected " + expected);
}

// The place of the first number that f holds for; how many there are if it does for none. Most often it is asked in
// vain, so all are looked at without a branch first.
template <class N, class F>
std::size_t first_that(const std::vector<N>& numbers, const F& f) {
  N any = 0;
  for (const N n : numbers) any = static_cast<N>(any | N(f(n)));
  if (!any) return numbers.size();
  return static_cast<std::size_t>(std::find_if(numbers.begin(), numbers.end(), f) - numbers.begin());
}

std::string number_text(float value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return "infinity";
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

QuantizedMatrix quantized(Precision precision, const char* name, const float* w, Index rows, Index columns) {
  QuantizedMatrix m;
  m.precision = precision;
  m.rows = rows;
  m.columns = columns;
  const auto n = static_cast<std::size_t>(rows * columns);
  in_parts(0, rows, macs_of_copy * static_cast<double>(columns), 1, [&](Index begin, Index end) {
    for (Index k = begin * columns; k < end * columns; ++k)
      if (!std::isfinite(w[k]))
        throw std::invalid_argument(std::string(name) + " has NaN or infinity in row " + std::to_string(k / columns) +
                                    "; expected finite weights");
  });
  if (precision == Precision::bf16) {
    m.bits.resize(n);
    in_parts(0, rows, macs_of_copy * static_cast<double>(columns), 1, [&](Index begin, Index end) {
      std::transform(w + begin * columns, w + end * columns, m.bits.begin() + begin * columns,
                     [](float f) { return to_bf16(f); });
    });
    return m;
  }
  m.q.resize(n);
  m.scale.resize(static_cast<std::size_t>(rows));
  Progress progress;
  for (Index row = 0; row < rows; ++row) {
    progress.add(macs_of_function * static_cast<double>(columns));
    const float* const from = w + row * columns;
    float largest = 0;
    for (Index k = 0; k < columns; ++k) largest = std::max(largest, std::fabs(from[k]));
    // A row of nothing but denormals is 0, with any scale: they are flushed in every call anyway.
    const bool is_zero = largest < std::numeric_limits<float>::min() * 127;
    const float scale = is_zero ? 1 : largest / 127;
    m.scale[static_cast<std::size_t>(row)] = scale;
    // In the sum with 1.5 * 2^23 a float keeps no fraction: to the nearest, ties to even.
    constexpr float whole = 12582912.0f;
    std::int8_t* const to = m.q.data() + row * columns;
    for (Index k = 0; k < columns; ++k)
      to[k] = static_cast<std::int8_t>(is_zero ? 0.0f : std::clamp(from[k] / scale, -127.0f, 127.0f) + whole - whole);
  }
  return m;
}

void check_quantized(const std::string& name, const QuantizedMatrix& m) {
  if (m.precision == Precision::bf16) {
    constexpr std::uint16_t exponent = 0x7f80;
    const auto infinite = [](std::uint16_t bits) { return (bits & exponent) == exponent; };
    if (const auto i = first_that(m.bits, infinite); i < m.bits.size())
      refuse(name, number_text(from_bf16(m.bits[i])), i, "finite numbers");
    return;
  }
  if (const auto i = first_that(m.q, [](std::int8_t q) { return q == -128; }); i < m.q.size())
    refuse(name, "-128", i, "-127 to 127");
  for (std::size_t i = 0; i < m.scale.size(); ++i)
    if (!(m.scale[i] > 0 && m.scale[i] <= largest_scale))
      refuse(scale_name(name), number_text(m.scale[i]), i, "positive numbers, of which 127 times is finite");
}

namespace {
float number_at(const QuantizedMatrix& m, Index row, Index k) {
  const auto at = static_cast<std::size_t>(row * m.columns + k);
  if (m.precision == Precision::bf16) return from_bf16(m.bits[at]);
  return static_cast<float>(m.q[at]) * m.scale[static_cast<std::size_t>(row)];
}
}  // namespace

void dequantize(const QuantizedMatrix& m, float* w) {
  Progress progress;
  for (Index row = 0; row < m.rows; ++row) {
    progress.add(macs_of_copy * static_cast<double>(m.columns));
    for (Index k = 0; k < m.columns; ++k) w[row * m.columns + k] = number_at(m, row, k);
  }
}

namespace detail {

// Small ones are floats of the same values: with few k activations and tiles of few bits take longer than is gained.
PackedMatrix<float> empty_quantized(const QuantizedKernels& kernels, Index units, int gates, Index depth, Index lanes) {
  if (depth <= kernels.float_depth && units * gates * depth * Index(sizeof(float)) <= float_bytes)
    return empty_panels<float>(units, gates, depth, lanes);
  PackedMatrix<float> m = empty_shape<float>(units, gates, depth, lanes);
  const Index columns = m.panels * m.width * lanes, groups = divide_up(depth, kernels.group);
  const Index stretches = std::max<Index>(1, divide_up(depth, kernels.deepest));
  m.data = Buffer<float>(columns * groups);  // 32 bits a lane
  m.scale = Buffer<float>(columns);
  m.offset.assign(static_cast<std::size_t>(columns * stretches), 0);
  m.quantized = {&kernels, m.data.data(), columns, m.scale.data(), m.offset.data()};
  return m;
}

void fill_column(PackedMatrix<float>& m, const QuantizedRow& row, Index column) {
  const QuantizedMatrix& from = *row.matrix;
  const Index columns = m.columns(), panel_columns = columns / m.panels, panel = column / panel_columns;
  const auto first = static_cast<std::size_t>(row.row * from.columns);
  if (!m.quantized.kernels) {
    GRU_NATIVE_COUNTING(m.needed_columns[static_cast<std::size_t>(column)] = 1);
    float* const to = m.data.data() + panel * m.depth * panel_columns + column % panel_columns;
    for (Index k = 0; k < m.depth; ++k) to[k * panel_columns] = number_at(from, row.row, k);
    return;
  }
  const QuantizedKernels& kernels = *m.quantized.kernels;
  const Index group = kernels.group, groups = divide_up(m.depth, group);
  const bool is_int8 = from.precision == Precision::int8;
  const char* const bytes = is_int8 ? reinterpret_cast<const char*>(from.q.data() + first)
                                    : reinterpret_cast<const char*>(from.bits.data() + first);
  GRU_NATIVE_COUNTING(m.needed_columns[static_cast<std::size_t>(column)] = 1);
  float* const to = m.data.data() + panel * groups * panel_columns + column % panel_columns;
  const Index whole = m.depth / group;
  for (Index g = 0; g < whole; ++g) std::memcpy(to + g * panel_columns, bytes + g * lane_bytes, lane_bytes);
  if (whole < groups)  // the rest of that lane is 0
    std::memcpy(to + whole * panel_columns, bytes + whole * lane_bytes,
                static_cast<std::size_t>(m.depth % group * (lane_bytes / group)));
  if (!is_int8) return;
  m.scale.data()[column] = from.scale[static_cast<std::size_t>(row.row)];
  if (kernels.zero_point == 0) return;
  for (Index begin = 0; begin < m.depth; begin += kernels.deepest) {
    const Index end = std::min(m.depth, begin + kernels.deepest);
    const std::int8_t* const q = from.q.data() + first;
    m.offset[static_cast<std::size_t>(begin / kernels.deepest * columns + column)] =
        -kernels.zero_point * std::accumulate(q + begin, q + end, std::int32_t(0));
  }
}

}  // namespace detail
}  // namespace gru_native
