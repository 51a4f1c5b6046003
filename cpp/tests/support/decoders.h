// A decoder with random weights at its calls: teacher forcing forward and backward, a beam search, a stream.
#pragma once
#include "gru_native/generation.h"
#include "tests/support/every_kind.h"

namespace gru_native::testing {

inline AttentionDecoderSpec decoder_of(std::int64_t hidden, Attention attention) {
  AttentionDecoderSpec spec;
  spec.vocab_size = 2 * hidden + 3;
  spec.embedding_dim = 5;
  spec.hidden_size = hidden;
  spec.memory_size = 4;
  spec.num_layers = 2;
  spec.attention = attention;
  spec.location_width = 5;
  return spec;
}

// A memory of some sequences, of different lengths.
struct RandomMemory {
  RandomMemory(const AttentionDecoderSpec& spec, std::int64_t seq_len, std::int64_t batch)
      : seq_len(seq_len), batch(batch), size(spec.memory_size), h(numbers(seq_len * batch * size, 3)) {
    for (std::int64_t b = 0; b < batch; ++b) lengths.push_back(1 + (b * 7 + seq_len - 1) % seq_len);
  }
  std::vector<DecoderMemory<const float>> views() const {
    return {{seq_len, time_major(h.data(), batch, size), lengths.data()}};
  }

  std::int64_t seq_len, batch, size;
  Numbers h;
  std::vector<std::int64_t> lengths;
};

inline Numbers train(const AttentionDecoder<float>& decoder, std::int64_t seq_len, std::int64_t batch) {
  const AttentionDecoderSpec& s = decoder.spec();
  const RandomMemory memory(s, 6, batch);
  std::vector<std::int64_t> targets;
  for (std::int64_t i = 0; i < seq_len * batch; ++i) targets.push_back(i * 5 % s.vocab_size);
  const Numbers dlogits = numbers(seq_len * batch * s.vocab_size, 2);
  Numbers logits(dlogits.size()), dmemory(memory.h.size());
  DecoderForwardCall<float> f;
  f.seq_len = seq_len;
  f.batch = batch;
  f.targets = time_major(static_cast<const std::int64_t*>(targets.data()), batch, 1);
  f.memory = memory.views();
  f.logits = time_major(logits.data(), batch, s.vocab_size);
  DecoderBackwardCall<float> b;
  b.dlogits = time_major(dlogits.data(), batch, s.vocab_size);
  b.dmemory = {time_major(dmemory.data(), batch, s.memory_size)};
  return train(decoder, f, b, logits);
}

// Ids, scores and attention weights of all hypotheses.
inline Numbers generated(const AttentionDecoder<float>& decoder, std::int64_t batch, std::int64_t beam_size,
                         std::int64_t max_steps) {
  const RandomMemory memory(decoder.spec(), 6, batch);
  GenerationCall<float> call;
  call.batch = batch;
  call.memory = memory.views();
  call.start = 1;
  call.max_steps = max_steps;
  call.beam_size = beam_size;
  call.attention = true;
  Numbers all;
  for (const std::vector<Generated<float>>& found : generate(decoder, call))
    for (const Generated<float>& g : found) {
      for (const std::int64_t id : g.ids) all.push_back(static_cast<float>(id));
      all.push_back(static_cast<float>(g.score));
      for (const std::vector<float>& weights : g.attention) all.insert(all.end(), weights.begin(), weights.end());
    }
  return all;
}

// The logits of some steps of a stream, from its beginning on.
inline Numbers streamed(DecoderStream<float>& stream, std::int64_t words, int steps) {
  Numbers all(static_cast<std::size_t>(steps * stream.batch() * words));
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(stream.batch()), 1);
  stream.load_state();
  for (int step = 0; step < steps; ++step) {
    stream.step(tokens.data(), all.data() + step * stream.batch() * words);
    for (std::int64_t& token : tokens) token = (token * 3 + 1) % words;
  }
  return all;
}

}  // namespace gru_native::testing
