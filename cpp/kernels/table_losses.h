// The losses' part of the border between engine and kernels (kernels/table.h).
#pragma once
#include "simd/index.h"

namespace gru_native {

// The softmax of a row a is e^(a - top - log_sum): top is the largest of a, log_sum = log of the sum of e^(a - top).
// log_sum is NaN where there is no softmax: for a NaN, for +infinity, and where all are -infinity.
template <class T>
struct Normalizer {
  T top, log_sum;
};

// y = scale softmax(a) - shift, for a row of n numbers. y may be a.
template <class T>
struct SoftmaxRow {
  const T* a;
  Normalizer<T> z;
  T scale, shift;
  T* y;
  Index n;
};

// Rows are the user's: nothing past their end is read or written.
template <class T>
struct LossKernels {
  Normalizer<T> (*normalizer)(const T* a, Index n);
  T (*sum_above)(const T* a, T level, Index n);  // sum of a - level
  void (*scaled_softmax)(const SoftmaxRow<T>&);
};

// One step of CTC for all labels of a sequence, u = 0 .. labels (cells/ctc.h). Arrays are whole vectors of u, with a
// number before them and a number behind them, and what belongs to no state is -infinity.
struct CtcStep {
  Index labels;
  const double *b, *l;          // at the step before; backward: at the step after
  double blank;                 // log probabilities of that step's symbols
  const double *label, *skip;
  double *b_out, *l_out;
};

// e^(forward + backward - log_p), state by state.
struct CtcOccupancy {
  Index labels;
  const double *b_forward, *l_forward, *b_backward, *l_backward;
  double log_p;
  double* l;  // out
};

// A diagonal of the transducer's lattice, from its neighbour (cells/transducer.h), in arrays as CtcStep's.
struct TransducerStep {
  Index nodes;
  const double *x, *stay, *advance;
  double* x_out;
};
struct TransducerBackStep {
  Index nodes;
  const double *forward, *x;
  double log_p;
  double *stay, *advance;  // in: log probabilities; out: the probabilities that these steps are taken
  double* x_out;
};

// Log probabilities of whole sequences are large numbers whose differences count: they are float64 for any dtype.
struct LatticeKernels {
  int lanes;
  void (*ctc_forward)(const CtcStep&);
  void (*ctc_backward)(const CtcStep&);
  double (*ctc_occupancy)(const CtcOccupancy&);  // returns the sum of all blanks
  void (*transducer_forward)(const TransducerStep&);
  void (*transducer_backward)(const TransducerBackStep&);
};

}  // namespace gru_native
