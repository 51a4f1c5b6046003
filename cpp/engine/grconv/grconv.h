// The pyramids of a batch, level by level; what GatedRecursiveConv and its tape keep behind their public faces.
#pragma once
#include "engine/matrix/panels.h"
#include "engine/matrix/weights.h"
#include "gru_native/grconv.h"

namespace gru_native {

// A level holds, sequence by sequence, its positions: length - level of them, if that is positive. All pairs of all
// sequences are then one product, and a pair is two rows that follow each other, read as one row twice as deep.
struct Pyramid {
  Index seq_len = 0, batch = 0, levels = 0;  // levels: the longest length
  std::vector<Index> length;                 // [batch]
  std::vector<Index> first;                  // [levels + 1]: where a level's rows begin in a buffer of all levels
  GRU_NATIVE_COUNTING(std::vector<unsigned char> begins_pair;)  // [row of all levels]; others are computed for nobody
  std::vector<std::vector<Index>> left;  // [levels]: of each row of a level, its left neighbour's in the one below

  Pyramid() = default;
  Pyramid(Index seq_len, Index batch, const std::int64_t* lengths);
  Index rows(Index level) const { return first[level + 1] - first[level]; }
  // Calls f(sequence, row of its first position) for the sequences that reach a level.
  template <class F>
  void each(Index level, const F& f) const {
    Index row = 0;
    for (Index b = 0; b < batch; ++b)
      if (length[b] > level) {
        f(b, row);
        row += length[b] - level;
      }
  }
};

template <class T>
struct PackedGrConv {
  PackedMatrix<T> input, input_transposed;
  PackedMatrix<T> pair, pair_transposed;  // k: left units, from right_at on right units; columns: units, then gates
  Buffer<T> start;  // biases of the same columns
  Index units, right_at;  // right_at: also the stride of rows
};

template <class T>
struct GatedRecursiveConv<T>::Impl {
  explicit Impl(const GrConvSpec& spec);

  GrConvSpec spec;
  WeightStore<T, PackedGrConv<T>> store;
  int ih, left, right, bias, gate_left, gate_right, gate_bias;

  const PairKernels<T>& kernels() const;
  int threads(const Pyramid& pyramid) const;
  void forward(const GrConvCall<T>& call, const Pyramid& pyramid, const PackedGrConv<T>& packed,
               ImplOf<GrConvTape<T>>* tape) const;
};

template <class T>
struct GrConvTape<T>::Impl : TapeOf<PackedGrConv<T>> {
  Impl(TapeOf<PackedGrConv<T>> base, Pyramid pyramid)
      : TapeOf<PackedGrConv<T>>(std::move(base)), pyramid(std::move(pyramid)) {}

  Pyramid pyramid;
  Matrix<T> x{};  // [row of level 0][input]
  Matrix<T> h{}, a{};  // rows of all levels; a of a pair lies in the row of its left neighbour
};

}  // namespace gru_native
