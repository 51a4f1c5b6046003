// Matrices of few bits: as they are kept and saved, and packed as the kernels read them (simd/dot.h).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/matrix/panels.h"
#include "gru_native/precision.h"
#include "runtime/interruption.h"

namespace gru_native {

// int8: row r, column k stands for q[r * columns + k] * scale[r]. bf16: for the float whose upper half is
// bits[r * columns + k].
struct QuantizedMatrix {
  Precision precision = Precision::full;
  Index rows = 0, columns = 0;
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  std::vector<std::uint16_t> bits;

  Index size() const { return rows * columns; }
};

// From floats, [row][column]. int8: symmetric, scale = max |w| / 127 of each row, to the nearest whole number, ties to
// even. Throws std::invalid_argument, beginning with `name`, for NaN and infinity.
QuantizedMatrix quantized(Precision precision, const char* name, const float* w, Index rows, Index columns);
// The name of an int8 matrix's scales.
inline std::string scale_name(const std::string& matrix) { return matrix + ".scale"; }
// Of numbers that come from outside. Throws std::invalid_argument, naming the matrix or its scales, unless all are
// finite, whole numbers from -127 to 127, and scales positive.
void check_quantized(const std::string& name, const QuantizedMatrix& m);
// What it stands for, [row][column].
void dequantize(const QuantizedMatrix& m, float* w);

// One row of a matrix; of none: a column of zeros when packed.
struct QuantizedRow {
  const QuantizedMatrix* matrix = nullptr;
  Index row = 0;
};

// As pack_rows: row(gate, unit) is the QuantizedRow that becomes a column.
template <class RowOf>
PackedMatrix<float> pack_quantized(const QuantizedKernels& kernels, Index units, int gates, Index depth, Index lanes,
                                   const RowOf& row);

// The rest is what pack_quantized is made of.
namespace detail {
PackedMatrix<float> empty_quantized(const QuantizedKernels& kernels, Index units, int gates, Index depth, Index lanes);
void fill_column(PackedMatrix<float>& m, const QuantizedRow& row, Index column);
}  // namespace detail
template <class RowOf>
void fill_quantized(PackedMatrix<float>& m, Index units, Index lanes, const RowOf& row) {
  Progress progress;
  for (Index panel = 0; panel < m.panels; ++panel)
    for (int v = 0; v < m.width; ++v)
      for (Index lane = 0; lane < lanes; ++lane) {
        const Index unit = (panel * m.blocks_in_panel() + v / m.gates) * lanes + lane;
        if (unit >= units) continue;
        progress.add(macs_of_function * static_cast<double>(m.depth));
        const QuantizedRow from = row(v % m.gates, unit);
        if (from.matrix) detail::fill_column(m, from, (panel * m.width + v) * lanes + lane);
      }
}

template <class RowOf>
PackedMatrix<float> pack_quantized(const QuantizedKernels& kernels, Index units, int gates, Index depth, Index lanes,
                                   const RowOf& row) {
  PackedMatrix<float> m = detail::empty_quantized(kernels, units, gates, depth, lanes);
  fill_quantized(m, units, lanes, row);
  return m;
}

}  // namespace gru_native
