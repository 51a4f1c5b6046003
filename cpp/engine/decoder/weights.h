// The weights of a decoder as the kernels want them.
#pragma once
#include <deque>
#include <memory>

#include "engine/matrix/lazily.h"
#include "engine/matrix/matrices.h"
#include "engine/matrix/weights.h"
#include "engine/sequence/packed.h"
#include "spec/decoder_tensors.h"

namespace gru_native {

// W, U (or general's W), V and F; those that a kind of score lacks are empty.
template <class T>
struct AttentionPanels {
  PackedMatrix<T> query, memory, location, filter;
};
template <class T>
struct PackedAttention : AttentionPanels<T> {
  Buffer<T> bias, v;  // whole panels
};

template <class T>
struct DecoderTransposed {
  std::vector<AttentionPanels<T>> attentions;
  PackedMatrix<T> readout, output;
};

template <class T>
struct PackedDecoder {
  Buffer<T> embedding;  // [token][embedding_dim]
  std::unique_ptr<PackedWeights<T>> layers;
  std::vector<PackedAttention<T>> attentions;  // [memory]
  PackedMatrix<T> readout, output;
  Buffer<T> bias_readout, bias_output;
  // Columns of the readout's pre-activations. maxout: the even ones, padded to whole vectors, then the odd ones.
  Index readout_width = 0, readout_second = 0;

  // The row of weight_readout that makes a column; -1: padding.
  Index readout_row(Index column, Index columns) const {
    if (readout_second == 0) return column < columns ? column : -1;
    const Index place = column < readout_second ? column : column - readout_second;
    return place < columns ? 2 * place + (column < readout_second ? 0 : 1) : -1;
  }
  const DecoderTransposed<T>& transposed() const;  // inference never needs it

 private:
  Lazily<DecoderTransposed<T>> transposed_;
};

template <class T>
std::shared_ptr<PackedDecoder<T>> reserve_packed(const AttentionDecoderSpec& spec, const LayerSpec& layers,
                                                 const std::vector<Weight<const T>>& weights,
                                                 const DecoderIndex& index);
// Asks for no memory.
template <class T>
void pack(PackedDecoder<T>& packed, const AttentionDecoderSpec& spec, const LayerSpec& layers,
          const std::vector<Weight<const T>>& weights, const DecoderIndex& index);
// The other way round, but for biases of the layers, which may be the sums of two.
template <class T>
void unpack(const PackedDecoder<T>& packed, const AttentionDecoderSpec& spec, const LayerSpec& layers,
            const std::vector<Weight<T>>& weights, const DecoderIndex& index);

}  // namespace gru_native
