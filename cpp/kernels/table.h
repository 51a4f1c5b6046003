// What crosses the border between the engine (compiled once, baseline instructions) and the kernels
// (compiled once per ISA): plain structs and a constant table of function pointers. The structs have no
// member functions on purpose: an inline function shared by objects that are compiled under different -m
// flags would be merged by the linker into one copy, and that copy may not run on this CPU.
#pragma once
#include <cstdint>

#include "cells/options.h"
#include "kernels/table_attention.h"
#include "kernels/table_losses.h"
#include "kernels/table_optimizers.h"
#include "kernels/table_taps.h"
#include "simd/executed.h"

namespace gru_native {

// A list of rows: row i begins at base + (offset ? offset[i] : i * stride). Strides are in elements.
template <class T>
struct Rows {
  T* base;
  Index stride;
  const Index* offset;
};

// Weights of few bits, [panel][group of k][vector][lane] with 32 bits a lane (simd/dot.h), and how they are multiplied.
struct QuantizedKernels;
struct QuantizedWeights {
  const QuantizedKernels* kernels;
  const void* panels;
  Index columns;               // of all panels
  const float* scale;          // int8: of each column; else null
  const std::int32_t* offset;  // int8: what the sum of a column begins at, for each stretch of k; else null
};
// A member's room for activations in the weights' form, and the scales of up to 64 rows.
inline constexpr Index quantized_scratch_bytes = 32768;
inline constexpr Index quantized_scratch = quantized_scratch_bytes + 64 * 4;

// Recurrent products of layers with so few units are in two sums (Product::sums), whatever computes them.
inline constexpr Index most_k_in_two_sums = 16;

// acc[row][column] = start[row][column] + sum over k = 0.. of a[row][k] * panel[k][column], in that order, one
// fused (or on old CPUs rounded) multiply-add at a time, so that no result depends on how rows and
// columns are shared out. In n sums every n-th term belongs to the same one; the first begins at start, others at 0,
// and all are added in the end: as fixed an order and a shorter chain. Columns come in panels of `width` vectors of
// `lanes` elements.
template <class T>
struct Product {
  const T* panels;            // panel p, step k: panels + p * panel_stride + k * k_stride, width * lanes elements
  Index panel_stride, k_stride;
  Index panel_begin, panel_end;
  int width;                  // vectors in a panel: 3 or 4; in Kernels::product 1 or 2, too
  Index depth;                // number of k
  Rows<const T> a;            // element k of a row: a.base[... + k * a_k_stride]
  Index a_k_stride;           // 1, unless a is read down its columns (gradients of weights)
  Rows<const T> start;        // where sums begin: biases (stride 0) or earlier sums (the same rows as acc)
  Rows<T> acc;
  Index acc_panel_step;       // vector v of panel p lies at row + p * acc_panel_step + acc_vector[v]
  Index acc_vector[4];
  Index row_begin, row_end;
  bool last_panel_first;      // alternate between calls: what the one before read last is still in the cache
  int sums;                   // 2: of at most most_k_in_two_sums packed k; 4: of width 1 and one panel; else one
  bool one_column;            // `panels` is a column, k side by side and 0 up to a whole vector: each lane has a sum
  const QuantizedWeights* quantized;  // instead of `panels`; null: none. Of float only
  void* scratch;              // likewise: quantized_scratch bytes, at a 64-byte boundary; null: the product's own
  GRU_NATIVE_COUNTING(Needed needed;)
};

// One step of a cell for a batch of rows and a range of unit blocks (a block is `lanes` hidden units).
template <class T>
struct Step {
  Product<T> product;         // into the gates, for a range of panels; its row range follows from `rows`
  Index blocks_in_panel;
  Index block_end;            // blocks that exist: the last panel may hold more
  Index hidden;               // units that exist; the rest of the last block is padding
  Index rows;
  Matrix<T> gates;            // pre-activations in, activations out when saving
  Rows<const T> h_prev;       // h(t-1)
  Rows<T> h;                  // h(t)
  Rows<T> c;                  // c(t-1) in, c(t) out
  Matrix<T> u;                // what the second product of the step reads
  Product<T> gates_product;   // gate recurrence: into i f o from those of the step before, over the same panels
  Rows<const T> gates_prev;   // likewise: i(t-1), f(t-1), o(t-1), each `hidden` wide, not padded
  Rows<T> gates_next;
  Matrix<T> gates_prev_saved;
  Rows<T> y;                  // h(t) once more, for the user; not padded; base may be nullptr
  CellOptions<T> options;
  bool save;                  // training: keep the activations in `gates` and the old state in the next two
  Matrix<T> h_prev_saved, c_prev_saved;
};

// Steps of one row by itself, on one thread: products and cell in one go, so that a step of a small layer takes little
// more than its arithmetic. Each sum has the order that it has in Step.
template <class T>
struct RowSteps {
  Index steps, inputs, hidden, blocks;
  const T *input, *recurrent;  // panels of one block each, without gaps
  const T* bias;              // [block][slot][lane]
  const T* x;
  Index x_step;
  T* h[2];                    // h(t-1) and h(t) in turn: the first step reads h[turn]
  int turn;                   // and odd ones begin with the last panels: these are still in the cache
  T* c;                       // in place; nullptr if the cell has none
  T* y;                       // h(t) once more, for the user; not padded; or nullptr
  Index y_step;
  bool zero_state;            // h of the first step is 0, and so is its product
  const QuantizedWeights *few_bits_of_input, *few_bits_of_recurrent;  // instead of the panels above; or null
};
inline constexpr Index most_row_steps_depth = 1024;  // inputs and units, where there are weights of few bits

// Backward through the element-wise part of one step. The gradient of h(t) is dh (from step t+1) plus dy (from above).
template <class T>
struct BackStep {
  Index block_begin, block_end, hidden, rows;
  Matrix<const T> gates, h_prev, c_prev;  // as saved
  Rows<const T> dy;           // not padded; base may be nullptr
  Matrix<T> dh;               // in: from step t+1; out: the part of the gradient of h(t-1) that takes no product
  Matrix<T> dc;               // in: of c(t), out: of c(t-1)
  Matrix<const T> q;          // second part: gradient of u; where c is normalised on its way out: of c from there
  CellOptions<T> options;
  T* dpeephole;               // [block][i, f, o][lane], added to
  Matrix<const T> dgates_next;  // gate recurrence: gradient of i f o from step t+1, as gates_prev
  Matrix<T> dgates_x, dgates_h, dgates_u;  // out: as the input, recurrent and second product see the pre-activations
  Matrix<T> dgates_r;         // out, gate recurrence: of i f o once more, side by side
};

// Layer normalisation. Sums run over all blocks of a row, results are of [block_begin, block_end). What was normalised
// is [block][count][lane], as are its gain, its bias and their gradients.
template <class T>
struct NormRows {
  Index row_begin, row_end, blocks, hidden;
  int count;
  Matrix<T> a;                // in place
  T* scale;                   // of each row, out; or nullptr
  T eps;
};

// Rows in place: a = gain * a + bias, for each column its own. Whole vectors, the last one past `columns`.
template <class T>
struct AffineRows {
  Index row_begin, row_end, columns;
  Matrix<T> a;
  const T *gain, *bias;
};

// The pre-activations of a step, from the normalised product W x and the other one, U h-, as it is.
template <class T>
struct NormGates {
  Index rows, block_begin, block_end, blocks, hidden;
  int slots;
  Slots input, recurrent;
  const T *bias, *gain_x, *gain_h;  // bias: [block][slot][lane]
  Matrix<const T> x, h;
  Matrix<T> h_saved;          // normalised; base may be nullptr
  T* scale_saved;             // or nullptr
  Matrix<T> gates;            // out
};

template <class T>
struct NormBack {
  Index rows, block_begin, block_end, blocks, hidden;
  int count;
  Matrix<const T> d, y;       // gradient of gain * y + bias, and y
  const T *scale, *gain;
  Matrix<T> da;               // out: of what was normalised
  T *dgain, *dbias;           // added to; or nullptr
};

// A cell that sees c normalised makes its h only here.
template <class T>
struct OutputStep {
  Index rows, block_begin, block_end, blocks, hidden;
  Matrix<const T> gates;
  Rows<const T> c;
  const T *gain, *bias;
  CellOptions<T> options;
  Rows<T> h;
  Rows<T> y;                  // as in Step
  Matrix<T> c_saved;          // normalised; base may be nullptr
  T* scale_saved;             // or nullptr
};

template <class T>
struct OutputBackStep {
  Index rows, block_begin, block_end, hidden;
  Matrix<const T> gates, c;   // c normalised
  const T *gain, *bias;
  CellOptions<T> options;
  Rows<const T> dy;           // as in BackStep
  Matrix<T> dh;               // in: from step t+1; out: gradient of the output gate
  Matrix<T> dn;               // out: of gain * c + bias
};

// One cell, as the engine sees it: the shape of its step and its functions.
template <class T>
struct CellKernels {
  int slots;                  // vectors kept per block of units
  Slots input, recurrent, candidate;  // candidate.count > 0: the step has a second product, from u
  int torch_gate[max_slots];  // the row block of torch's weights that each slot comes from
  bool has_c;                 // the cell has a second state, c
  int recurrent_gates;        // gate recurrence: activations of these first slots are part of the state; else 0
  bool split_gradients;       // dgates_h is not dgates_x
  void (*forward)(const Step<T>&);
  void (*candidate_forward)(const Step<T>&);
  void (*row_steps)(const RowSteps<T>&);  // or null
  void (*backward)(const BackStep<T>&);
  void (*candidate_backward)(const BackStep<T>&);
  void (*output_forward)(const OutputStep<T>&);  // where c is normalised on its way out; else null
  void (*output_backward)(const OutputBackStep<T>&);
};

// A function of each of n numbers, or of the row that they are, and its gradient written from its output y = f(a).
template <class T>
struct ActivationKernels {
  void (*forward)(const T* a, T* y, Index n);  // whole vectors, the last one past n
  void (*backward)(const T* y, const T* dy, T* da, Index n);
};
// The same of a function of one number that is chosen when the program runs.
template <class T>
struct FunctionKernels {
  void (*forward)(const ChosenActivation<T>& f, const T* a, T* y, Index n);
  void (*backward)(const ChosenActivation<T>& f, const T* y, const T* dy, T* da, Index n);
  void (*swish)(const T* a, T* y, Index n);  // the one that has no gradient (cells/functions.h)
};
inline constexpr int activation_kinds = 4;        // in the order of Activation
inline constexpr int dense_activation_kinds = 6;  // in that of DenseActivation, which begins alike

// A level of a gated recursive convolution, for pairs [begin, end). Pair p makes row p of `above` from rows
// left[p] and left[p] + 1 of `below`; whatever else belongs to it lies in row left[p].
template <class T>
struct GrConvStep {
  Index begin, end;
  const Index* left;
  Index hidden, units;  // units: where the three gates lie, behind whole vectors of units
  Matrix<T> a;  // pre-activations in, activations out: [units][gates c, l, r]
  Matrix<const T> below;
  Matrix<T> above;
};
template <class T>
struct GrConvBackStep {
  Index begin, end;
  const Index* left;
  Index hidden, units;
  Matrix<const T> a, below, dabove;  // as grconv_forward left them
  Matrix<T> da;  // out: of the pre-activations
  Matrix<T> dneighbours;  // out: of both neighbours, but for the products; the right one's from right_at on
  Index right_at;
};
template <class T>
struct GrConvKernels {
  void (*forward)(const GrConvStep<T>&);
  void (*backward)(const GrConvBackStep<T>&);
};

// Rows [begin, end) of a readout: a holds `outputs` values, and from `units` on, in whole vectors, their gates.
template <class T>
struct ReadoutRows {
  Index begin, end, outputs, units;
  Matrix<T> a;  // forward: pre-activations in, activations out; backward: those in, gradients out
  Matrix<T> p;  // forward: out; backward: its gradient, in
};
template <class T>
struct ReadoutKernels {
  void (*forward)(const ReadoutRows<T>&);
  void (*backward)(const ReadoutRows<T>&);
};
inline constexpr int readout_kinds = 2;  // the value as it is, or its tanh

// Tree-LSTM: the element-wise part of some nodes of one height. Children come before their parents, and row r's are
// entries [child_begin[r], child_begin[r + 1]) of `child` and `forget_at`.
template <class T>
struct TreeStep {
  Index block_begin, block_end, row_begin, row_end, hidden;
  Matrix<T> gates;  // i g o: pre-activations in, activations out
  Matrix<T> h, c;  // of all nodes
  const Index *child_begin, *child;
  const Index* forget_at;  // where a child's forget gate begins
  T* forget;  // likewise pre-activations in, activations out
};

template <class T>
struct TreeBackStep {
  Index block_begin, block_end, row_begin, row_end, hidden, leaves;
  Matrix<const T> gates, c;  // as saved
  const Index *child_begin, *child, *forget_at;
  const T* forget;
  Rows<const T> dh_outside, dc_outside;  // the user's, not padded; base may be nullptr
  Rows<const T> dh;  // from the parent
  Matrix<T> dc;  // likewise; out: of the children
  Matrix<T> dgates;  // out, as gates
  T* dforget;  // out, as forget
  Matrix<T> dforget_sum;  // out: over the children; row r at r - leaves
};

// The plain cells, then those with options: the RNN, the GRU's two, and the LSTM for each set of gates: i + 2 f + 4 o,
// then coupled without and with o, then all with gate recurrence; and once more for each with c normalised.
enum class CellKind {
  rnn_tanh,
  rnn_relu,
  lstm,
  gru_reset_after,
  gru_reset_before,
  rnn_variant,
  gru_reset_after_variant,
  gru_reset_before_variant,
  lstm_variant
};
inline constexpr int lstm_gate_sets = 11;
inline constexpr int cell_kinds = static_cast<int>(CellKind::lstm_variant) + 2 * lstm_gate_sets;

// One form of dot product, of int8 or bf16.
struct QuantizedKernels {
  Index group;                // k in a lane
  Index deepest;              // k of a stretch; activations of one row that fit the scratch
  int zero_point;             // what is added to an int8 activation; offsets are -zero_point * sum of w
  Index (*rows_at_once)(Index depth);        // for which the scratch does; 0: not even for one
  void (*convert)(const Product<float>&);    // rows of p.a, at most rows_at_once, into the scratch
  void (*multiply)(const Product<float>&);   // the rows that `convert` left there
  void (*product)(const Product<float>&);    // both, for any number of rows and any depth
  Index wide_from;            // from so many rows on each product makes the weights floats anew; 0: none does
  void (*widen)(const Product<float>&, float* to);  // once, for products to come, with the same bits; or null
  Index float_depth;          // with so few k a small matrix is better packed as floats
  void (*row_steps[cell_kinds])(
      const RowSteps<float>&);  // as in CellKernels; null: of this cell or form there are none
};

template <class T>
struct Kernels {
  int lanes;
  void (*product)(const Product<T>&);
  void (*turn)(const T* const* rows, Index depth, T* to, Index stride);  // to[k * stride + i] = rows[i][k] or 0
  bool (*all_finite)(const T* a, Index n);
  void (*column_sums)(const T* a, Index stride, Index rows, Index columns, T* sums);  // sums[c] += a[0][c] + ...
  CellKernels<T> cell[cell_kinds];
  void (*norm_rows)(const NormRows<T>&);
  void (*norm_gates)(const NormGates<T>&);
  void (*norm_backward)(const NormBack<T>&);
  void (*affine_rows)(const AffineRows<T>&);
  GrConvKernels<T> grconv[activation_kinds];
  ReadoutKernels<T> readout[readout_kinds];
  ReadoutKernels<T> maxout;
  AttentionKernels<T> attention;
  void (*tree_forward)(const TreeStep<T>&);
  void (*tree_backward)(const TreeBackStep<T>&);
  ActivationKernels<T> activation[dense_activation_kinds];
  FunctionKernels<T> function;
  LossKernels<T> loss;
  OptimizerKernels<T> optimizer;
  TapsKernels<T> taps;
};

// All that one ISA offers.
struct IsaKernels {
  const char* name;
  Kernels<float> f32;
  Kernels<double> f64;
  LatticeKernels lattice;
  // The forms that any CPU of this ISA has, and those that some of them have besides; null: there are none.
  QuantizedKernels int8, bf16;
  const QuantizedKernels *int8_dot, *bf16_dot;
};

}  // namespace gru_native
