// Trains a GRU to remember the two marked bits of a sequence and to tell whether they differ: train_xor FILE
//
// An input is a bit (-1 or 1) and a mark (0 or 1); the answer is the sign of the output at the end.
#include <gru_native/gru_native.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

constexpr int steps = 12, batch = 64, hidden = 24;
std::mt19937 random_bits(1);
int below(int n) { return static_cast<int>(random_bits() % static_cast<unsigned>(n)); }

struct Examples {
  std::vector<float> x, differ;  // [steps][batch][bit, mark] and [batch], 0 or 1

  Examples() : x(steps * batch * 2), differ(batch) {
    for (int b = 0; b < batch; ++b) {
      const auto at = [&](int t, int k) -> float& { return x[(t * batch + b) * 2 + k]; };
      for (int t = 0; t < steps; ++t) at(t, 0) = below(2) ? 1 : -1;
      const int first = below(steps - 1), second = first + 1 + below(steps - 1 - first);
      at(first, 1) = at(second, 1) = 1;
      differ[b] = at(first, 0) != at(second, 0);
    }
  }
};

// A layer, the gradients of its weights, and Adam's moments of them (Kingma and Ba 2015).
template <class L>
struct Trained {
  std::shared_ptr<L> layer;
  gru_native::WeightArrays<float> gradients, m, v;

  template <class Spec>
  explicit Trained(const Spec& spec)
      : layer(std::make_shared<L>(spec)), gradients(layer->weights()), m(gradients), v(gradients) {
    for (const auto& weight : layer->edit())
      for (float& w : weight) w = 0.2f * (2 * (random_bits() * 0x1p-32f) - 1);
  }

  void adam(float rate, int step) {
    const float scale = rate * std::sqrt(1 - std::pow(0.999f, step)) / (1 - std::pow(0.9f, step));
    const auto weights = layer->edit();
    for (std::int64_t k = 0; k < gradients.size(); ++k)
      for (std::size_t i = 0; i < gradients[k].size(); ++i) {
        const float g = gradients[k][i];
        m[k][i] += 0.1f * (g - m[k][i]);
        v[k][i] += 0.001f * (g * g - v[k][i]);
        weights[k][i] -= scale * m[k][i] / (std::sqrt(v[k][i]) + 1e-8f);
      }
  }
};

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("expected the name of a file to write");
  gru_native::LayerSpec spec;
  spec.cell = gru_native::Cell::gru;
  spec.input_size = 2;
  spec.hidden_size = hidden;
  Trained<gru_native::Layer<float>> gru(spec);
  Trained<gru_native::Dense<float>> head(gru_native::DenseSpec{hidden, 1});

  std::vector<float> h(batch * hidden), dh(h.size()), answer(batch), danswer(batch);
  gru_native::ForwardCall<float> read;  // all of a sequence; only the final state is wanted
  read.seq_len = steps;
  read.batch = batch;
  read.final.h = h.data();
  gru_native::DenseForwardCall<float> tell;
  tell.seq_len = 1;
  tell.batch = batch;
  tell.x = gru_native::time_major(h.data(), batch, hidden);
  tell.y = gru_native::time_major(answer.data(), batch, 1);
  gru_native::DenseBackwardCall<float> head_back;
  head_back.dy = gru_native::time_major(danswer.data(), batch, 1);
  head_back.dx = gru_native::time_major(dh.data(), batch, hidden);
  head_back.dweights = head.gradients.pointers();
  gru_native::BackwardCall<float> gru_back;
  gru_back.dfinal.h = dh.data();
  gru_back.dweights = gru.gradients.pointers();

  double loss = 0, right = 0;  // means of the last 100 steps
  for (int step = 1; step <= 3000 && (step % 100 != 1 || right < 0.995); ++step) {
    if (step % 100 == 1) loss = right = 0;
    const Examples examples;
    read.x = gru_native::time_major(examples.x.data(), batch, 2);
    const auto gru_tape = gru.layer->forward_with_tape(read);
    const auto head_tape = head.layer->forward_with_tape(tell);
    for (int b = 0; b < batch; ++b) {  // cross-entropy, and its gradient
      const float z = answer[b], target = examples.differ[b];
      loss += (std::log1p(std::exp(-std::fabs(z))) + std::fmax(z, 0) - z * target) / (100 * batch);
      right += ((z > 0) == (target > 0)) / (100. * batch);
      danswer[b] = (1 / (1 + std::exp(-z)) - target) / batch;
    }
    head.layer->backward(*head_tape, head_back);
    gru.layer->backward(*gru_tape, gru_back);
    gru.adam(0.01f, step);
    head.adam(0.01f, step);
    if (step % 100 == 0) std::printf("step %4d: loss %.4f, %.2f %% right\n", step, loss, 100 * right);
  }
  gru_native::Model({gru.layer, head.layer}).save(argv[1]);
  // Every batch was new: these were sequences that it had not seen.
  std::printf("%.2f %% of the last %d sequences right, saved as %s\n", 100 * right, 100 * batch, argv[1]);
  return right > 0.95 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "train_xor: %s\n", error.what());
  return 1;
}
