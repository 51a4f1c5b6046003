// What streams over outputs are made of, for those who take them to another process.
#pragma once
#include <memory>
#include <vector>

#include "engine/decoder/encoded_memory.h"
#include "engine/model/stream_blocks.h"
#include "gru_native/generation.h"
#include "gru_native/transducer_decoding.h"

namespace gru_native {

template <class T>
struct DecoderStreamParts {
  std::shared_ptr<AttentionDecoder<T>> decoder;  // with the weights that the stream has
  std::vector<GivenMemory<T>> memories;
  bool has_stepped;  // else it has no attention weights
};
template <class T>
DecoderStreamParts<T> parts_of(const DecoderStream<T>& stream);

template <class T>
struct TransducerStreamParts {
  std::vector<NewBlock<T>> prediction, output;  // with the weights that the stream has; none: it has no such network
  // Of each sequence: the score, and the state and the last output of the prediction network.
  std::vector<double> scores;
  std::vector<T> states, predicted;
};
template <class T>
TransducerStreamParts<T> parts_of(const TransducerStream<T>& stream);
// One that goes on from there.
template <class T>
TransducerStream<T> from_parts(TransducerStream<T> stream, const double* scores, const T* states, const T* predicted);
template <class T>
std::int64_t state_size_of(const TransducerStream<T>& stream);  // of a sequence

// One whose last step had these attention weights: of each memory [batch][seq_len].
template <class T>
DecoderStream<T> with_weights(DecoderStream<T> stream, const std::vector<const T*>& weights);

}  // namespace gru_native
