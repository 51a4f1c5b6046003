// The tensors of a decoder: names and shapes.
#pragma once
#include "gru_native/attention_decoder.h"
#include "spec/check_decoder.h"
#include "spec/tensors.h"

namespace gru_native {

// Where the tensors of a memory's attention lie in the decoder's list; -1: not there.
struct AttentionIndex {
  int query = -1, memory = -1, bias = -1, score = -1, location = -1, filter = -1;
};
struct DecoderIndex {
  int embedding = -1, readout = -1, bias_readout = -1, output = -1, bias_output = -1;
  std::vector<WeightIndex> layers;
  std::vector<AttentionIndex> attentions;
};

// add(name, shape), one after the other, returns the place of each.
template <class Add>
DecoderIndex each_weight(const AttentionDecoderSpec& s, const Add& add) {
  using Shape = std::vector<std::int64_t>;
  DecoderIndex index;
  index.embedding = add("weight_embedding", Shape{s.vocab_size, s.embedding_dim});
  each_weight(layers_of(s), [&](std::int64_t i, auto place, const std::string& name, const Shape& shape) {
    index.layers.resize(static_cast<std::size_t>(i) + 1);
    place(index.layers.back()) = add(name, shape);
  });
  const bool general = s.attention == Attention::general, location = s.attention == Attention::location;
  const bool additive = s.attention == Attention::additive || location;
  for (std::int64_t m = 0; m < s.num_memories; ++m) {
    const auto named = [&](const char* name) { return std::string(name) + "_m" + std::to_string(m); };
    AttentionIndex& at = index.attentions.emplace_back();
    if (general) at.memory = add(named("weight_memory"), Shape{s.hidden_size, s.memory_size});
    if (!additive) continue;
    at.query = add(named("weight_query"), Shape{s.score_size(), s.hidden_size});
    at.memory = add(named("weight_memory"), Shape{s.score_size(), s.memory_size});
    at.bias = add(named("bias_score"), Shape{s.score_size()});
    at.score = add(named("weight_score"), Shape{s.score_size()});
    if (!location) continue;
    at.location = add(named("weight_location"), Shape{s.score_size(), s.location_channels});
    at.filter = add(named("weight_filter"), Shape{s.location_channels, s.location_width});
  }
  const std::int64_t rows = s.readout_columns() * (s.readout == ReadoutFunction::maxout ? 2 : 1);
  index.readout = add("weight_readout", Shape{rows, s.hidden_size + s.context_size() + s.embedding_dim});
  index.bias_readout = add("bias_readout", Shape{rows});
  index.output = add("weight_output", Shape{s.vocab_size, s.readout_columns()});
  index.bias_output = add("bias_output", Shape{s.vocab_size});
  return index;
}

// f(name, shape)
template <class F>
void each_name(const AttentionDecoderSpec& spec, const F& f) {
  each_weight(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { return f(name, shape), 0; });
}

}  // namespace gru_native
