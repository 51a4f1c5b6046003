// As every_kind.h and decoders.h have other kinds: softmaxes over large vocabularies, transducers, operations,
// optimizers.
#pragma once
#include "gru_native/large_softmax.h"
#include "gru_native/operation.h"
#include "gru_native/optim.h"
#include "gru_native/transducer_decoding.h"
#include "tests/support/decoders.h"

namespace gru_native::testing {

inline std::vector<std::int64_t> words(std::int64_t n, std::int64_t vocab_size) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i * 7) % vocab_size;
  return ids;
}

inline LargeSoftmaxSpec softmax_of(int kind, std::int64_t vocab_size) {
  LargeSoftmaxSpec spec;
  spec.input_size = 6;
  spec.vocab_size = vocab_size;
  if (kind == 0) spec.kind = SampledSoftmax{4, Proposal::log_uniform, {}};
  if (kind == 1) spec.kind = NoiseContrastive{4, Proposal::uniform, {}};
  if (kind == 2) spec.kind = ClassSoftmax{};
  if (kind == 3) spec.kind = TreeSoftmax{};
  return spec;
}

inline Numbers train(const LargeSoftmax<float>& layer, std::int64_t rows) {
  const LargeSoftmaxSpec& s = layer.spec();
  const Numbers x = numbers(rows * s.input_size, 1);
  const std::vector<std::int64_t> targets = words(rows, s.vocab_size);
  Numbers dx(x.size()), best(static_cast<std::size_t>(rows * 2));
  std::vector<std::int64_t> ids(best.size());
  LargeSoftmaxCall<float> call;
  call.rows = rows;
  call.x = x.data();
  call.targets = targets.data();
  call.seed = 3;
  layer.top_words({rows, x.data(), 2, ids.data(), best.data()});
  const double exact = layer.forward(call);
  const auto tape = layer.forward_with_tape(call);
  WeightRoom<LargeSoftmax<float>> room(layer);
  LargeSoftmaxBackwardCall<float> b;
  b.dx = dx.data();
  b.dweights = room.pointers;
  layer.backward(*tape, b);
  best.insert(best.end(), {static_cast<float>(exact), static_cast<float>(tape->loss())});
  best.insert(best.end(), dx.begin(), dx.end());
  best.insert(best.end(), room.values.begin(), room.values.end());
  return best;
}

inline Numbers train(const Operation<float>& operation, std::int64_t steps, std::int64_t batch) {
  const bool has_ids = std::holds_alternative<EmbeddingSpec>(operation.spec().kind);
  const std::int64_t inputs = std::max<std::int64_t>(operation.spec().input_size(), 1);
  const std::int64_t outputs = operation.spec().output_size(inputs);
  Numbers x = numbers(steps * batch * inputs, 1), dx(x.size());
  if (has_ids)
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 3);
  const std::int64_t out = operation.spec().output_len(steps);
  const Numbers dy = numbers(out * batch * outputs, 2);
  Numbers y(dy.size());
  OperationForwardCall<float> f;
  f.seq_len = steps;
  f.batch = batch;
  f.input_size = inputs;
  f.x = time_major(x.data(), batch, inputs);
  f.y = time_major(y.data(), batch, outputs);
  OperationBackwardCall<float> b;
  b.dy = time_major(dy.data(), batch, outputs);
  if (!has_ids) b.dx = time_major(dx.data(), batch, inputs);
  return train(operation, f, b, y);
}

inline std::vector<OperationSpec> operations(std::int64_t columns) {
  std::vector<OperationSpec> specs(4);
  Conv1dSpec convolution;
  convolution.in_channels = convolution.out_channels = columns;
  convolution.kernel_size = 3;
  specs[0].kind = convolution;
  specs[1].kind = LayerNormSpec{columns};
  specs[2].kind = EmbeddingSpec{3, columns};
  specs[3].kind = ActivationSpec{Activation::tanh};
  return specs;
}

inline TransducerNetworks<float> transducer_of(std::int64_t hidden_size, std::int64_t classes) {
  TransducerNetworks<float> n;
  n.classes = classes;
  n.encoded_size = 4;
  n.prediction = chain_of<float>({spec_of(Cell::lstm, 2, hidden_size)}, 3);
  n.embedding = numbers(classes * 2, 5);
  n.activation = Activation::tanh;
  n.output = chain_of<float>({dense_of(4 + hidden_size, classes)}, 4);
  return n;
}

// Labels and scores of a beam, then what a stream says.
inline Numbers decoded_transducer(const TransducerNetworks<float>& n, std::int64_t steps, std::int64_t batch) {
  const Numbers encoded = numbers(steps * batch * n.encoded_size, 6);
  TransducerDecodingCall<float> call;
  call.seq_len = steps;
  call.batch = batch;
  call.encoded = time_major(encoded.data(), batch, n.encoded_size);
  call.beam_size = 3;
  call.max_symbols = 3;
  Numbers all;
  for (const Hypotheses& found : transducer_beam(n, call))
    for (const Hypothesis& h : found) {
      for (const std::int64_t id : h.ids) all.push_back(static_cast<float>(id));
      all.push_back(static_cast<float>(h.score));
    }
  TransducerStream<float> stream(n, batch, 3);
  for (const auto& said : stream.process(call.encoded, steps))
    for (const std::int64_t id : said) all.push_back(static_cast<float>(id));
  all.push_back(static_cast<float>(stream.score(0)));
  return all;
}

// A layer's weights after two steps, from the beginning.
inline Numbers optimized(Dense<float>& layer) {
  randomize(layer, 9);
  Optimizer<float> adam(Adam{}, layer.weights());
  for (unsigned step = 0; step < 2; ++step) {
    std::vector<Numbers> values;
    std::vector<WeightGradient<float>> gradients;
    for (const auto& w : layer.weights()) values.push_back(numbers(w.size(), step));
    for (const Numbers& v : values) gradients.push_back({v.data()});
    const auto edit = layer.edit();
    adam.step(edit.weights(), gradients);
  }
  Numbers all;
  for (const auto& w : layer.weights()) all.insert(all.end(), w.data, w.data + w.size());
  return all;
}

}  // namespace gru_native::testing
