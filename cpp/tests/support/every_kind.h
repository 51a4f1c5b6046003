// Every kind of layer and loss with random weights and one call of each, forward and backward, as lists of numbers.
#pragma once
#include <functional>
#include <numeric>

#include "gru_native/decoding.h"
#include "gru_native/losses.h"
#include "tests/support/chain.h"

namespace gru_native::testing {

using Numbers = std::vector<float>;

inline Numbers numbers(std::int64_t n, unsigned seed) {
  return random_numbers<float>(static_cast<std::size_t>(n), seed, 0.5);
}

// Room for the gradients of all weights of a layer.
template <class L>
struct WeightRoom {
  explicit WeightRoom(const L& layer) {
    std::int64_t all = 0;
    for (const auto& w : layer.weights()) all += w.size();
    values.resize(static_cast<std::size_t>(all));
    float* at = values.data();
    for (const auto& w : layer.weights()) pointers.push_back(at), at += w.size();
  }
  Numbers values;
  std::vector<float*> pointers;
};

// y of forward, then y of forward_with_tape and the gradients of all weights. backward: a call that has its dy and dx.
template <class L, class Forward, class Backward>
Numbers train(const L& layer, const Forward& forward, Backward backward, Numbers& y) {
  layer.forward(forward);
  Numbers all = y;
  const auto tape = layer.forward_with_tape(forward);
  WeightRoom<L> room(layer);
  backward.dweights = room.pointers;
  layer.backward(*tape, backward);
  all.insert(all.end(), y.begin(), y.end());
  all.insert(all.end(), room.values.begin(), room.values.end());
  return all;
}

inline Numbers train(const Layer<float>& layer, std::int64_t seq_len, std::int64_t batch) {
  const LayerSpec& s = layer.spec();
  const std::int64_t outputs = s.directions() * s.output_size(), n = seq_len * batch;
  const Numbers x = numbers(n * s.input_size, 1), dy = numbers(n * outputs, 2);
  Numbers y(static_cast<std::size_t>(n * outputs)), dx(x.size());
  ForwardCall<float> f;
  f.seq_len = seq_len;
  f.batch = batch;
  f.x = time_major(x.data(), batch, s.input_size);
  f.y = time_major(y.data(), batch, outputs);
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch), seq_len - 1);
  if (batch > 1) f.lengths = lengths.data();
  f.training = true;
  BackwardCall<float> b;
  b.dy = time_major(dy.data(), batch, outputs);
  b.dx = time_major(dx.data(), batch, s.input_size);
  return train(layer, f, b, y);
}

inline Numbers train(const Dense<float>& layer, std::int64_t rows) {
  const DenseSpec& s = layer.spec();
  const Numbers x = numbers(rows * s.input_size, 1), dy = numbers(rows * s.output_size, 2);
  Numbers y(dy.size()), dx(x.size());
  DenseForwardCall<float> f;
  f.seq_len = rows;
  f.batch = 1;
  f.x = time_major(x.data(), 1, s.input_size);
  f.y = time_major(y.data(), 1, s.output_size);
  DenseBackwardCall<float> b;
  b.dy = time_major(dy.data(), 1, s.output_size);
  b.dx = time_major(dx.data(), 1, s.input_size);
  return train(layer, f, b, y);
}

inline Numbers train(const OutputRnn<float>& layer, std::int64_t seq_len, std::int64_t batch) {
  const OutputRnnSpec& s = layer.spec();
  const Numbers x = numbers(seq_len * batch * s.input_size, 1), dy = numbers(seq_len * batch * s.output_size, 2);
  Numbers y(dy.size()), dx(x.size());
  OutputRnnForwardCall<float> f;
  f.seq_len = seq_len;
  f.batch = batch;
  f.x = time_major(x.data(), batch, s.input_size);
  f.y = time_major(y.data(), batch, s.output_size);
  OutputRnnBackwardCall<float> b;
  b.dy = time_major(dy.data(), batch, s.output_size);
  b.dx = time_major(dx.data(), batch, s.input_size);
  return train(layer, f, b, y);
}

// Trees of which each is a heap: the children of node i are 2 i + 1 and 2 i + 2.
inline Numbers train(const TreeLayer<float>& layer, std::int64_t nodes) {
  const TreeSpec& s = layer.spec();
  const Numbers x = numbers(nodes * s.input_size, 1), dh = numbers(nodes * s.hidden_size, 2);
  Numbers h(dh.size()), c(dh.size()), dx(x.size());
  std::vector<std::int64_t> parents, slots;
  for (std::int64_t i = 0; i < nodes; ++i) parents.push_back(i == 0 ? -1 : (i - 1) / 2), slots.push_back((i + 1) % 2);
  TreeForwardCall<float> f;
  f.nodes = nodes;
  f.x = x.data();
  f.parents = parents.data();
  if (s.cell == TreeCell::nary) f.slots = slots.data();
  f.h = h.data();
  f.c = c.data();
  TreeBackwardCall<float> b;
  b.dh = dh.data();
  b.dx = dx.data();
  return train(layer, f, b, h);
}

// A ring, by its edges.
inline Numbers train(const GatedGraph<float>& layer, std::int64_t nodes) {
  const GraphSpec& s = layer.spec();
  const Numbers x = numbers(nodes * s.hidden_size, 1), dh = numbers(nodes * s.hidden_size, 2);
  Numbers h(dh.size()), dx(x.size());
  std::vector<std::int64_t> source(static_cast<std::size_t>(nodes)), target;
  std::iota(source.begin(), source.end(), std::int64_t(0));
  for (const std::int64_t v : source) target.push_back((v + 1) % nodes);
  GraphForwardCall<float> f;
  f.nodes = f.edges = nodes;
  f.annotation_size = s.hidden_size;
  f.annotations = x.data();
  f.source = source.data();
  f.target = target.data();
  f.h = h.data();
  GraphBackwardCall<float> b;
  b.dh = dh.data();
  b.dannotations = dx.data();
  return train(layer, f, b, h);
}

inline Numbers train(const GraphReadout<float>& layer, std::int64_t nodes) {
  const ReadoutSpec& s = layer.spec();
  const Numbers h = numbers(nodes * s.hidden_size, 1), x = numbers(nodes * s.annotation_size, 3);
  const Numbers dy = numbers(nodes * s.output_size, 2);
  Numbers y(static_cast<std::size_t>(s.kind == ReadoutKind::graph_sum ? s.output_size : nodes * s.output_size));
  Numbers dh(h.size());
  ReadoutForwardCall<float> f;
  f.nodes = nodes;
  f.h = h.data();
  f.annotations = x.data();
  f.y = y.data();
  ReadoutBackwardCall<float> b;
  b.dy = dy.data();
  b.dh = dh.data();
  return train(layer, f, b, y);
}

inline Numbers train(const GatedRecursiveConv<float>& layer, std::int64_t seq_len, std::int64_t batch) {
  const GrConvSpec& s = layer.spec();
  const Numbers x = numbers(seq_len * batch * s.input_size, 1), dy = numbers(batch * s.hidden_size, 2);
  Numbers y(dy.size()), dx(x.size());
  GrConvForwardCall<float> f;
  f.seq_len = seq_len;
  f.batch = batch;
  f.x = time_major(x.data(), batch, s.input_size);
  f.y = y.data();
  GrConvBackwardCall<float> b;
  b.dy = dy.data();
  b.dx = time_major(dx.data(), batch, s.input_size);
  return train(layer, f, b, y);
}

inline Numbers train_rtrl(const std::shared_ptr<const Layer<float>>& layer, std::int64_t batch, int steps) {
  const LayerSpec& s = layer->spec();
  const Numbers x = numbers(batch * s.input_size, 1), dy = numbers(batch * s.output_size(), 2);
  Numbers y(dy.size());
  Rtrl<float> rtrl(layer, batch);
  for (int step = 0; step < steps; ++step) rtrl.step(x.data(), y.data());
  WeightRoom<Layer<float>> room(*layer);
  rtrl.gradient(dy.data(), {}, room.pointers);
  y.insert(y.end(), room.values.begin(), room.values.end());
  return y;
}

inline Numbers cross_entropies(std::int64_t rows, std::int64_t classes) {
  const Numbers logits = numbers(rows * classes, 1);
  Numbers d(logits.size());
  std::vector<std::int64_t> targets(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<std::int64_t>(i * 7) % classes;
  CrossEntropyCall<float> call;
  call.rows = rows;
  call.classes = classes;
  call.logits = logits.data();
  call.targets = targets.data();
  call.dlogits = d.data();
  d.push_back(static_cast<float>(cross_entropy(call)));
  return d;
}

inline Numbers ctc_losses(std::int64_t seq_len, std::int64_t batch, std::int64_t classes, std::int64_t labels) {
  const Numbers logits = numbers(seq_len * batch * classes, 1);
  Numbers d(logits.size()), losses(static_cast<std::size_t>(batch));
  std::vector<std::int64_t> targets(static_cast<std::size_t>(batch * labels));
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = 1 + static_cast<std::int64_t>(i * 7) % (classes - 1);
  const std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch), labels);
  CtcCall<float> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.classes = classes;
  call.logits = time_major(logits.data(), batch, classes);
  call.targets = targets.data();
  call.target_lengths = lengths.data();
  call.losses = losses.data();
  call.dlogits = time_major(d.data(), batch, classes);
  ctc(call);
  d.insert(d.end(), losses.begin(), losses.end());
  return d;
}

// Labels and scores of a beam.
inline Numbers decoded_ctc(std::int64_t seq_len, std::int64_t batch, std::int64_t classes, std::int64_t beam_size) {
  const Numbers logits = numbers(seq_len * batch * classes, 1);
  CtcDecodingCall<float> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.classes = classes;
  call.logits = time_major(logits.data(), batch, classes);
  Numbers all;
  for (const Hypotheses& found : ctc_beam(call, beam_size))
    for (const Hypothesis& h : found) {
      for (const std::int64_t id : h.ids) all.push_back(static_cast<float>(id));
      all.push_back(static_cast<float>(h.score));
    }
  return all;
}

inline Numbers transducer_losses(std::int64_t seq_len, std::int64_t batch, std::int64_t classes, std::int64_t labels) {
  const Numbers logits = numbers(batch * seq_len * (labels + 1) * classes, 1);
  Numbers d(logits.size()), losses(static_cast<std::size_t>(batch));
  std::vector<std::int64_t> targets(static_cast<std::size_t>(batch * labels));
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = 1 + static_cast<std::int64_t>(i * 7) % (classes - 1);
  TransducerCall<float> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.labels = labels;
  call.classes = classes;
  call.logits = logits.data();
  call.targets = targets.data();
  call.losses = losses.data();
  call.dlogits = d.data();
  transducer(call);
  d.insert(d.end(), losses.begin(), losses.end());
  return d;
}

template <class L, class Spec>
std::shared_ptr<L> random_layer(const Spec& spec) {
  auto layer = std::make_shared<L>(spec);
  randomize(*layer, 9);
  return layer;
}

}  // namespace gru_native::testing
