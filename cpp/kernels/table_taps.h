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
// In pairs, of float and one panel: each column has two sums side by side, over even and odd k, which are added in the
// end. So a vector holds half as many columns, and fewer lanes are padding where there are few; and what a vector of k
// and k + 1 by turns is multiplied with is twice as much. Of each pair of k the panel is [column][k of the pair]; all
// runs are of even depth, and all sums begin where those of the first row do.
template <class T>
struct TapsProduct {
  const T* panels;
  Index panel_stride, panel_begin, panel_end;
  Index k_begin, k_end;   // of the k of the runs, those that are summed now
  int width;              // vectors in a panel, 1 to 4
  int halves;             // vectors in the panel in pairs: 1, 2, 3 or 5; 0: not in pairs
  Rows<const T> a;
  const Run* runs;
  Index run_count;
  Rows<const T> start;
  Rows<T> acc;            // whole vectors are written; in pairs, halves of them
  Index row_begin, row_end;
  GRU_NATIVE_COUNTING(Work work; Index columns;)  // which are no padding
};

// acc[row][channel] = start[row][channel] + sum over runs of a[row][from + channel] * weights[first][channel], in the
// order of the runs, which are of one k each.
template <class T>
struct DepthwiseProduct {
  const T* weights;
  Index stride;           // of k, in whole vectors
  Rows<const T> a;
  const Run* runs;
  Index run_count;
  Rows<const T> start;
  Rows<T> acc;
  Index channels;         // no others are read or written
  Index row_begin, row_end;
  GRU_NATIVE_COUNTING(Work work;)
};

// dw[output][column] = sum over rows 0 to row_end of d[row][output] * x[row][column], rows in their order. Sums of rows
// before row_begin are in dw.
template <class T>
struct TapsGradient {
  Index row_begin, row_end;
  Rows<const T> x, d;
  Index columns;          // of x; whole vectors are read and written
  Index output_begin, output_end;
  T* dw;
  Index dw_stride;
};

// dw[run][channel] = sum over rows 0 to row_end of d[row][channel] * x[row][from of the run + channel], rows in their
// order. Sums of rows before row_begin are in dw.
template <class T>
struct DepthwiseGradient {
  Index row_begin, row_end;
  Rows<const T> x, d;
  const Run* runs;
  Index run_count;
  Index channel_begin, channel_end;  // whole vectors are read and written
  T* dw;
  Index dw_stride;
  GRU_NATIVE_COUNTING(Index channels;)  // which are no padding
};

template <class T>
struct TapsKernels {
  void (*product)(const TapsProduct<T>&);
  void (*depthwise)(const DepthwiseProduct<T>&);
  void (*gradient)(const TapsGradient<T>&);
  void (*depthwise_gradient)(const DepthwiseGradient<T>&);
  // See kernels/levels.h.
  void (*range)(const T* a, Index n, T* low, T* high);
  void (*to_levels)(const T* a, Index n, T step, T most, T factor, T* y);
  void (*larger)(const T* a, const T* b, Index n, T* y);  // see kernels/largest.h
};

}  // namespace gru_native
