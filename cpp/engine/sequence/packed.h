// The weights of a layer as the kernels want them.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "engine/matrix/derived.h"
#include "engine/matrix/quantization.h"
#include "gru_native/layer.h"
#include "runtime/team.h"
#include "spec/tensors.h"

namespace gru_native {

// Of `dense_input` below, at most.
inline constexpr Index most_dense_columns = 768;

// One direction of one layer.
template <class T>
struct PackedDirection {
  PackedMatrix<T> input, recurrent;
  PackedMatrix<T> dense_input;  // `input` once more, [gate][unit] without what pads each gate's vectors; or empty
  Buffer<T> dense_bias;       // likewise
  PackedMatrix<T> second;     // the GRU's candidate with reset before, or the LSTM's projection; else empty
  PackedMatrix<T> gates;      // gate recurrence: from i f o of the step before; else empty
  std::atomic<bool> finite{true};  // weight_hh and weight_rr: then a product with zeros is zero
  Buffer<T> bias;             // [block][slot][lane]
  Buffer<T> peephole;         // [block][i, f, o][lane]; or empty
  Buffer<T> gain_x, gain_h, gain_c, bias_c;  // layer normalisation: [block][slot of the product][lane]; or empty
  Buffer<T> h0, c0;           // the learned initial state; or empty
};

// The same matrices the other way round, for backward: k runs over gates, columns are inputs or units.
template <class T>
struct TransposedDirection {
  PackedMatrix<T> input, recurrent, second, gates;
};

template <class T>
struct PackedWeights {
  std::vector<PackedDirection<T>> forward;  // [layer * directions + direction]

  // Made when first asked for: inference never needs it. By the threads of the team, if there is one.
  const std::vector<TransposedDirection<T>>& transposed(TeamLease* team = nullptr) const;
  // To be called before the panels are written again.
  void forget_transposed() { transposed_.forget(); }

  int lanes = 0;
  Index blocks = 0;           // of hidden units
  Index outputs = 0;          // columns of h, of both projections where there are two

 private:
  Derived<std::vector<TransposedDirection<T>>> transposed_;
};

// Memory for weights of these shapes.
template <class T>
std::unique_ptr<PackedWeights<T>> reserve_packed(const LayerSpec& spec, const std::vector<Weight<const T>>& weights,
                                                 const std::vector<WeightIndex>& index);

// Writes the weights into it, by the threads of the team, if there is one. Asks for no memory.
template <class T>
void pack(PackedWeights<T>& packed, const LayerSpec& spec, const std::vector<Weight<const T>>& weights,
          const std::vector<WeightIndex>& index, TeamLease* team = nullptr);

// Weights that pack() would make the same of, but for those of few bits. Sums of two biases are the first of them.
template <class T>
void unpack(const PackedWeights<T>& packed, const LayerSpec& spec, const std::vector<Weight<T>>& weights,
            const std::vector<WeightIndex>& index);

// Of few bits: `matrices` has those of the weights that are matrices, at their places; of these, `weights` needs no
// data.
std::unique_ptr<PackedWeights<float>> pack_quantized(const LayerSpec& spec,
                                                     const std::vector<Weight<const float>>& weights,
                                                     const std::vector<QuantizedMatrix>& matrices,
                                                     const std::vector<WeightIndex>& index);

// Which of the kernels' cells computes it: Kernels::cell[..].
int cell_index(const LayerSpec& spec);

template <class T>
CellOptions<T> cell_options(const LayerSpec& spec, const PackedDirection<T>& weights);

}  // namespace gru_native
