#include "spec/check_decoder.h"

#include "spec/checks.h"

namespace gru_native {
namespace {

std::string item(const std::string& name, std::size_t i) { return name + "[" + std::to_string(i) + "]"; }

template <class List>
void check_count(const char* name, const List& list, std::int64_t expected) {
  if (static_cast<std::int64_t>(list.size()) != expected)
    refuse(std::string(name) + ".size()", std::to_string(list.size()), std::to_string(expected));
}

void check_targets(const AttentionDecoderSpec& spec, const Sequences<const std::int64_t>& targets, std::int64_t seq_len,
                   std::int64_t batch, const std::int64_t* lengths) {
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t t = 0; t < (lengths ? lengths[b] : seq_len); ++t)
      if (const std::int64_t id = targets.data[t * targets.step_stride + b * targets.batch_stride];
          id < 0 || id >= spec.vocab_size)
        refuse("targets[" + std::to_string(t) + ", " + std::to_string(b) + "]", std::to_string(id),
               "0 to vocab_size-1=" + std::to_string(spec.vocab_size - 1));
}

}  // namespace

LayerSpec layers_of(const AttentionDecoderSpec& s) {
  LayerSpec layers;
  layers.cell = s.cell;
  layers.input_size = s.embedding_dim + (s.input_feeding ? s.context_size() : 0);
  layers.hidden_size = s.hidden_size;
  layers.num_layers = s.num_layers;
  layers.dropout = s.dropout;
  return layers;
}

void AttentionDecoderSpec::validate() const {
  check_size("vocab_size", vocab_size, 1);
  check_size("embedding_dim", embedding_dim, 1);
  check_size("hidden_size", hidden_size, 1);
  check_size("memory_size", memory_size, 1);
  check_size("num_layers", num_layers, 1);
  check_size("num_memories", num_memories, 1);
  check_size("attention_size", attention_size, 0);
  check_size("readout_size", readout_size, 0);
  check_size("location_channels", location_channels, 1);
  check_size("location_width", location_width, 1);
  if (cell != Cell::lstm && cell != Cell::gru) refuse("cell", std::to_string(static_cast<int>(cell)), "lstm or gru");
  check_enum("attention", attention, Attention::location, "an Attention");
  check_enum("readout", readout, ReadoutFunction::maxout, "a ReadoutFunction");
  if (location_width % 2 == 0) refuse("location_width", std::to_string(location_width), "an odd number");
  if (attention == Attention::dot && memory_size != hidden_size)
    refuse("memory_size", std::to_string(memory_size),
           "hidden_size=" + std::to_string(hidden_size) + " with dot attention");
  const double units = double(hidden_size) + double(attention_size);
  const double contexts = double(num_memories) * double(memory_size);
  const double location = double(location_channels) * (units + double(location_width));
  const double all = 4 * double(hidden_size) * (double(embedding_dim) + contexts + double(hidden_size) * num_layers) +
                     double(num_memories) * (units * (double(hidden_size) + double(memory_size)) + location) +
                     2 * (double(readout_size) + double(hidden_size)) *
                         (double(hidden_size) + contexts + double(embedding_dim) + double(vocab_size)) +
                     double(vocab_size) * double(embedding_dim);
  check_fits("the weights", all,
             {{"vocab_size", vocab_size},
              {"embedding_dim", embedding_dim},
              {"hidden_size", hidden_size},
              {"memory_size", memory_size},
              {"num_layers", num_layers},
              {"num_memories", num_memories}});
  layers_of(*this).validate();
}

template <class T>
void check_state(const char* name, const AttentionDecoderSpec& spec, const DecoderState<T>& state) {
  const std::string of = std::string(name) + ".";
  if (state.layers.c && spec.cell != Cell::lstm)
    throw std::invalid_argument(of + "layers.c is not null; expected none: only the LSTM has c");
  if (state.context && spec.attention == Attention::none)
    throw std::invalid_argument(of + "context is not null; expected none: the memory is the context");
  if (state.weights.empty()) return;
  if (spec.attention != Attention::location)
    throw std::invalid_argument(of + "weights is not empty; expected none: only location attention has them");
  check_count((of + "weights").c_str(), state.weights, spec.num_memories);
}

template <class T>
void check_call(const AttentionDecoderSpec& spec, const DecoderForwardCall<T>& call) {
  const double widest = double(spec.vocab_size) + 4 * double(spec.hidden_size) * double(spec.num_layers) +
                        double(spec.embedding_dim) + double(spec.context_size()) + double(spec.readout_columns());
  check_size("seq_len", call.seq_len, 1);
  check_size("batch", call.batch, 1);
  check_fits("the arrays", double(call.seq_len) * double(call.batch) * widest,
             {{"seq_len", call.seq_len}, {"batch", call.batch}});
  check_rows("targets", call.targets, call.seq_len, call.batch, 1);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
  check_targets(spec, call.targets, call.seq_len, call.batch, call.lengths);
  check_count("memory", call.memory, spec.num_memories);
  for (std::size_t m = 0; m < call.memory.size(); ++m) {
    const DecoderMemory<const T>& memory = call.memory[m];
    const std::string name = item("memory", m);
    check_size(name + ".seq_len", memory.seq_len, 1);
    if (spec.attention == Attention::none && memory.seq_len != 1)
      refuse(name + ".seq_len", std::to_string(memory.seq_len), "1 without attention");
    const double across = double(spec.memory_size) + double(spec.score_size()) + double(call.seq_len) + 2;
    check_fits("the arrays", double(memory.seq_len) * double(call.batch) * across,
               {{"memory.seq_len", memory.seq_len}, {"batch", call.batch}});
    check_rows((name + ".h").c_str(), memory.h, memory.seq_len, call.batch, spec.memory_size);
    check_lengths((name + ".lengths").c_str(), memory.lengths, call.batch, "seq_len", memory.seq_len);
    for (std::int64_t b = 0; memory.lengths && b < call.batch; ++b)
      check_size(item(name + ".lengths", static_cast<std::size_t>(b)), memory.lengths[b], 1);
  }
  if (call.logits.data) check_rows("logits", call.logits, call.seq_len, call.batch, spec.vocab_size);
  check_state("initial", spec, call.initial);
  check_state("final", spec, call.final);
}

template <class T>
void check_call(const AttentionDecoderSpec& spec, const DecoderBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, const std::vector<std::int64_t>& memory_len, std::size_t weights) {
  if (call.dlogits.data) check_rows("dlogits", call.dlogits, seq_len, batch, spec.vocab_size);
  check_state("dfinal", spec, call.dfinal);
  check_state("dinitial", spec, call.dinitial);
  if (!call.dmemory.empty()) check_count("dmemory", call.dmemory, spec.num_memories);
  for (std::size_t m = 0; m < call.dmemory.size(); ++m)
    if (call.dmemory[m].data)
      check_rows(item("dmemory", m).c_str(), call.dmemory[m], memory_len[m], batch, spec.memory_size);
  check_dweights(call.dweights.size(), weights);
}

template void check_state(const char*, const AttentionDecoderSpec&, const DecoderState<float>&);
template void check_state(const char*, const AttentionDecoderSpec&, const DecoderState<double>&);
template void check_state(const char*, const AttentionDecoderSpec&, const DecoderState<const float>&);
template void check_state(const char*, const AttentionDecoderSpec&, const DecoderState<const double>&);
template void check_call(const AttentionDecoderSpec&, const DecoderForwardCall<float>&);
template void check_call(const AttentionDecoderSpec&, const DecoderForwardCall<double>&);
template void check_call(const AttentionDecoderSpec&, const DecoderBackwardCall<float>&, std::int64_t, std::int64_t,
                         const std::vector<std::int64_t>&, std::size_t);
template void check_call(const AttentionDecoderSpec&, const DecoderBackwardCall<double>&, std::int64_t, std::int64_t,
                         const std::vector<std::int64_t>&, std::size_t);

}  // namespace gru_native
