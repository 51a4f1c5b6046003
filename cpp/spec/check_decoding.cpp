#include "spec/check_decoding.h"

#include <algorithm>
#include <cmath>

#include "spec/check_decoder.h"
#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {

template <class T>
void check_call(const CtcDecodingCall<T>& call) {
  check_size("classes", call.classes, 1);
  check_calls_size(call.seq_len, call.batch, call.classes);
  check_rows("logits", call.logits, call.seq_len, call.batch, call.classes);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
  check_class("blank", call.blank, call.classes);
}

template <class T>
void check_networks(const TransducerNetworks<T>& n) {
  check_size("classes", n.classes, 1);
  check_size("encoded_size", n.encoded_size, 1);
  check_class("blank", n.blank, n.classes);
  check_fits("what is joined", double(n.encoded_size) + double(n.classes),
             {{"encoded_size", n.encoded_size}, {"classes", n.classes}});
  if (!n.prediction) throw std::invalid_argument("prediction is null; expected a model");
  for (const ModelBlock<T>& block : n.prediction->blocks())
    if (const auto* layer = std::get_if<std::shared_ptr<const Layer<T>>>(&block);
        layer && (*layer)->spec().bidirectional)
      refuse("prediction", "a model with a bidirectional layer", "one direction: it is fed one label after the other");
  const std::int64_t inputs = n.prediction->input_size(), predicted = n.prediction->output_size();
  if (static_cast<double>(n.embedding.size()) != static_cast<double>(n.classes) * static_cast<double>(inputs))
    refuse("embedding.size()", std::to_string(n.embedding.size()),
           "classes=" + std::to_string(n.classes) + " times input_size=" + std::to_string(inputs) + " of prediction");
  if (n.joint) return;
  check_enum("join", n.join, TransducerJoin::add, "a TransducerJoin");
  check_enum("activation", n.activation, Activation::relu, "identity, tanh, sigmoid or relu");
  const bool adds = n.join == TransducerJoin::add;
  if (adds && n.encoded_size != predicted)
    refuse("encoded_size", std::to_string(n.encoded_size),
           std::to_string(predicted) + ", the output size of prediction, to which it is added");
  const std::int64_t joined = adds ? predicted : n.encoded_size + predicted;
  if (!n.output) {
    if (joined != n.classes)
      refuse("output", "null",
             "a model, or as many joined numbers (" + std::to_string(joined) + ") as classes (" +
                 std::to_string(n.classes) + ")");
    return;
  }
  if (n.output->state_size(1) != 0) refuse("output", "a model with a recurrent layer", "dense layers");
  if (n.output->input_size() != joined)
    refuse("output->input_size()", std::to_string(n.output->input_size()),
           std::to_string(joined) + ", the size of what is joined");
  if (n.output->output_size() != n.classes)
    refuse("output->output_size()", std::to_string(n.output->output_size()), "classes=" + std::to_string(n.classes));
}

template <class T>
void check_call(const TransducerNetworks<T>& networks, const TransducerDecodingCall<T>& call) {
  check_networks(networks);
  check_calls_size(call.seq_len, call.batch, networks.encoded_size);
  check_rows("encoded", call.encoded, call.seq_len, call.batch, networks.encoded_size);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
  check_size("beam_size", call.beam_size, 1);
  check_size("max_symbols", call.max_symbols, 1);
}

template <class T>
void check_call(const AttentionDecoderSpec& spec, const GenerationCall<T>& call) {
  check_class("start", call.start, spec.vocab_size);
  check_class("end", call.end, spec.vocab_size);
  check_size("max_steps", call.max_steps, 1);
  check_size("beam_size", call.beam_size, 1);
  if (!std::isfinite(call.length_penalty)) refuse("length_penalty", shown(call.length_penalty), "a finite number");
  if (call.attention && spec.attention == Attention::none)
    throw std::invalid_argument("attention is true; expected false: the decoder has none");
  DecoderForwardCall<T> step;
  step.seq_len = 1;
  step.batch = call.batch;
  step.targets = {&call.start, 0, 0};
  step.memory = call.memory;
  step.initial = call.initial;
  check_call(spec, step);
}

template <class T>
void refuse_memory(const AttentionDecoderSpec& spec, const GenerationCall<T>& call, std::int64_t sequence) {
  for (std::size_t m = 0; m < call.memory.size(); ++m) {
    const DecoderMemory<const T>& memory = call.memory[m];
    for (std::int64_t j = 0; j < (memory.lengths ? memory.lengths[sequence] : memory.seq_len); ++j) {
      const T* const h = memory.h.data + j * memory.h.step_stride + sequence * memory.h.batch_stride;
      const T* const found = std::find_if_not(h, h + spec.memory_size, [](T x) { return std::isfinite(x); });
      if (found != h + spec.memory_size)
        throw std::invalid_argument("memory: sequence " + std::to_string(sequence) + " of memory " + std::to_string(m) +
                                    " holds " + shown(*found) + " at position " + std::to_string(j) +
                                    "; expected finite numbers");
    }
  }
}

template <class T>
void check_hypotheses(const AttentionDecoderSpec& spec, const GenerationCall<T>& call, std::int64_t live) {
  double widest = double(spec.vocab_size) + 6 * double(spec.hidden_size) * double(spec.num_layers) +
                  double(spec.embedding_dim) + 4 * double(spec.context_size()) + 2 * double(spec.readout_columns());
  for (const DecoderMemory<const T>& memory : call.memory) widest += 4 * double(memory.seq_len) + spec.score_size();
  check_fits("the hypotheses", double(call.batch) * double(live) * widest,
             {{"batch", call.batch}, {"beam_size", call.beam_size}});
}

template void check_call(const AttentionDecoderSpec&, const GenerationCall<float>&);
template void refuse_memory(const AttentionDecoderSpec&, const GenerationCall<float>&, std::int64_t);
template void refuse_memory(const AttentionDecoderSpec&, const GenerationCall<double>&, std::int64_t);
template void check_hypotheses(const AttentionDecoderSpec&, const GenerationCall<float>&, std::int64_t);
template void check_hypotheses(const AttentionDecoderSpec&, const GenerationCall<double>&, std::int64_t);
template void check_call(const AttentionDecoderSpec&, const GenerationCall<double>&);
template void check_networks(const TransducerNetworks<float>&);
template void check_networks(const TransducerNetworks<double>&);
template void check_call(const TransducerNetworks<float>&, const TransducerDecodingCall<float>&);
template void check_call(const TransducerNetworks<double>&, const TransducerDecodingCall<double>&);
template void check_call(const CtcDecodingCall<float>&);
template void check_call(const CtcDecodingCall<double>&);

}  // namespace gru_native
