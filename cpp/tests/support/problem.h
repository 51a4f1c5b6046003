// A layer with random weights and one random call, for the tests.
#pragma once
#include <algorithm>

#include "gru_native/gru_native.h"
#include "tests/support/check.h"
#include "tests/support/weights.h"

namespace gru_native::testing {

template <class T>
struct RandomCall {
  Layer<T> layer;
  std::int64_t seq_len, batch, outputs, states;
  std::vector<std::int64_t> lengths;
  std::vector<T> x, h0, c0, y, h, c;
  std::vector<std::uint8_t> mask;  // [seq_len][batch]; empty: none
  MaskedOutput masked_output = MaskedOutput::zero;
  bool training = false;

  RandomCall(const LayerSpec& spec, std::int64_t seq_len, std::int64_t batch, bool ragged, unsigned seed)
      : layer(spec),
        seq_len(seq_len),
        batch(batch),
        outputs(spec.directions() * spec.output_size()),
        states(spec.num_layers * spec.directions() * batch) {
    seed = randomize(layer, seed);
    const auto numbers = [&](std::int64_t n) { return random_numbers<T>(static_cast<std::size_t>(n), seed++); };
    x = numbers(seq_len * batch * spec.input_size);
    h0 = numbers(states * spec.state_size());
    if (spec.has_c()) c0 = numbers(states * spec.hidden_size);
    y.resize(static_cast<std::size_t>(seq_len * batch * outputs));
    h.resize(h0.size());
    c.resize(c0.size());
    if (ragged)
      for (std::int64_t b = 0; b < batch; ++b) lengths.push_back((b * 7 + seed) % (seq_len + 1));
  }

  ForwardCall<T> call() {
    const std::int64_t inputs = layer.spec().input_size;
    ForwardCall<T> f;
    f.seq_len = seq_len;
    f.batch = batch;
    f.x = time_major(x.data(), batch, inputs);
    f.lengths = lengths.empty() ? nullptr : lengths.data();
    f.initial = {h0.data(), c0.empty() ? nullptr : c0.data()};
    f.y = time_major(y.data(), batch, outputs);
    f.final = {h.data(), c.empty() ? nullptr : c.data()};
    if (!mask.empty()) f.mask = time_major(mask.data(), batch, 1);
    f.masked_output = masked_output;
    f.training = training;
    f.seed = 5;
    return f;
  }
};

inline LayerSpec spec_of(Cell cell, std::int64_t inputs, std::int64_t hidden, std::int64_t layers = 1,
                         bool bidirectional = false, std::int64_t proj = 0, bool reset_after = true) {
  LayerSpec spec;
  spec.cell = cell;
  spec.input_size = inputs;
  spec.hidden_size = hidden;
  spec.num_layers = layers;
  spec.bidirectional = bidirectional;
  spec.proj_size = proj;
  spec.reset_after = reset_after;
  return spec;
}

inline std::vector<LayerSpec> all_cells(std::int64_t inputs, std::int64_t hidden, std::int64_t layers,
                                        bool bidirectional) {
  std::vector<LayerSpec> specs;
  for (const Cell cell : {Cell::rnn_tanh, Cell::rnn_relu, Cell::lstm, Cell::gru})
    specs.push_back(spec_of(cell, inputs, hidden, layers, bidirectional));
  specs.push_back(spec_of(Cell::gru, inputs, hidden, layers, bidirectional, 0, false));
  if (hidden > 2) specs.push_back(spec_of(Cell::lstm, inputs, hidden, layers, bidirectional, hidden / 2));
  // Every set of gates, with peepholes where there is a gate; without relu and clip, whose kinks have no derivative.
  constexpr Activation smooth[] = {Activation::sigmoid, Activation::identity, Activation::tanh};
  for (int gates = 0; gates < 10; ++gates) {
    LayerSpec spec = spec_of(Cell::lstm, inputs, hidden, layers, bidirectional);
    spec.lstm.coupled_gates = gates >= 8;
    spec.lstm.input_gate = gates >= 8 || gates & 1;
    spec.lstm.forget_gate = gates >= 8 || gates & 2;
    spec.lstm.output_gate = gates >= 8 ? gates == 9 : (gates & 4) != 0;
    spec.lstm.peephole = gates > 0;
    spec.lstm.input_activation = smooth[gates % 3];
    spec.lstm.output_activation = smooth[(gates + 1) % 3];
    if (hidden > 2 && gates % 3 == 2) spec.proj_size = hidden / 2, spec.nonrecurrent_proj_size = hidden;
    specs.push_back(spec);
  }
  for (const std::int64_t proj : {std::int64_t(0), hidden / 2}) {
    specs.push_back(spec_of(Cell::lstm, inputs, hidden, layers, bidirectional, proj));
    specs.back().lstm.gate_recurrence = true;
    specs.back().lstm.peephole = proj > 0;
  }
  // Layer normalisation: of a single unit's c nothing would be left.
  for (const Cell cell : {Cell::lstm, Cell::gru})
    if (hidden > 2) {
      specs.push_back(spec_of(cell, inputs, hidden, layers, bidirectional));
      specs.back().layer_norm = true;
    }
  specs.push_back(spec_of(Cell::gru, inputs, hidden, layers, bidirectional));
  specs.back().candidate_activation = Activation::sigmoid;
  specs.push_back(spec_of(Cell::rnn, inputs, hidden, layers, bidirectional));
  specs.back().nonlinearity = Activation::softplus;
  specs.push_back(spec_of(Cell::lstm, inputs, hidden, layers, bidirectional));
  specs.back().gate_activation = {Activation::scaled_tanh, 0.75, 0.5};
  specs.back().lstm.output_activation = Activation::softsign;
  specs.back().activation_clip = 50;
  return specs;
}

}  // namespace gru_native::testing
