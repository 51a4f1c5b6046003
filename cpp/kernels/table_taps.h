// Convolutions, whose windows begin anywhere in an image: what crosses the border to their kernels (kernels/taps.h).
#pragma once
#include "simd/executed.h"
#include "simd/index.h"

namespace gru_native {

template <class T>
struct Rows;

// Numbers that lie side by side: where they begin behind the first of a row, and which k they are.
struct Run {
  Index from, first, depth;
};

// acc[row][column] = start[row][column] + sum over k = 0.. of a[row][from of k] * panel[k][column], in that order, for
// all runs of k at once. Panels are [panel][k][vector][lane].
//
// half, of float and one panel: its last vector has half as many columns. Of each it holds two sums side by side, over
// even and odd k, which are added in the end, so that no lane is padding. Of each pair of k the panel has the whole
// vectors of the one, those of the other, and then [column][k of the pair]; all runs are of even depth, and all sums
// begin where those of the first row do.
template <class T>
struct TapsProduct {
  const T* panels;
  Index panel_stride, panel_begin, panel_end;
  Index k_begin, k_end;   // of the k of the runs, those that are summed now
  int width;              // vectors in a panel, 1 to 4; the half one among them
  bool half;
  Rows<const T> a;
  const Run* runs;
  Index run_count;
  Rows<const T> start;
  Rows<T> acc;            // whole vectors are written, and of the half one that half
  Index row_begin, row_end;
  GRU_NATIVE_COUNTING(Work work; Index columns;)  // which are no padding
};

// dw[output][column] += sum over rows of d[row][output] * x[row][column], rows in their order.
template <class T>
struct TapsGradient {
  Index rows;
  const T *x, *d;
  const Index *x_offset, *d_offset;  // of each row
  Index columns;          // of x; whole vectors are read and written
  Index output_begin, output_end;
  T* dw;
  Index dw_stride;
  bool first;             // dw is written, not added to
};

template <class T>
struct TapsKernels {
  void (*product)(const TapsProduct<T>&);
  void (*gradient)(const TapsGradient<T>&);
  // See kernels/levels.h.
  void (*range)(const T* a, Index n, T* low, T* high);
  void (*to_levels)(const T* a, Index n, T step, T most, T factor, T* y);
};

}  // namespace gru_native
