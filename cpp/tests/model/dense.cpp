// The dense layer against a plain one in long double, its gradients by differences, the same bits, and errors.
#include <stdexcept>
#include <string>

#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr DenseActivation functions[] = {DenseActivation::identity, DenseActivation::tanh,
                                         DenseActivation::sigmoid,  DenseActivation::relu,
                                         DenseActivation::softmax,  DenseActivation::log_softmax};

// Element j of f(a).
long double exact(DenseActivation f, const std::vector<long double>& a, std::size_t j) {
  long double sum = 0;
  for (const long double each : a) sum += std::exp(each);
  switch (f) {
    case DenseActivation::identity: return a[j];
    case DenseActivation::tanh: return std::tanh(a[j]);
    case DenseActivation::sigmoid: return 1 / (1 + std::exp(-a[j]));
    case DenseActivation::relu: return a[j] > 0 ? a[j] : 0;
    case DenseActivation::softmax: return std::exp(a[j]) / sum;
    case DenseActivation::log_softmax: return a[j] - std::log(sum);
  }
  throw std::invalid_argument("no activation of a dense layer");
}

template <class T>
struct Problem {
  Dense<T> dense;
  std::int64_t seq_len, batch;
  std::vector<std::int64_t> lengths;
  std::vector<T> x, y, dy;

  Problem(const DenseSpec& spec, std::int64_t seq_len, std::int64_t batch, bool ragged, unsigned seed)
      : dense(spec), seq_len(seq_len), batch(batch) {
    randomize(dense, seed);
    x = random_numbers<T>(static_cast<std::size_t>(seq_len * batch * spec.input_size), seed + 50);
    dy = random_numbers<T>(static_cast<std::size_t>(seq_len * batch * spec.output_size), seed + 51);
    y.resize(dy.size(), T(7));
    if (ragged)
      for (std::int64_t b = 0; b < batch; ++b) lengths.push_back((b * 5 + 2) % (seq_len + 1));
  }
  bool alive(std::int64_t t, std::int64_t b) const {
    return lengths.empty() || t < lengths[static_cast<std::size_t>(b)];
  }
  // Time first, or batch first.
  DenseForwardCall<T> call(bool batch_first = false) {
    const std::int64_t in = dense.spec().input_size, out = dense.spec().output_size;
    DenseForwardCall<T> c;
    c.seq_len = seq_len;
    c.batch = batch;
    c.x = {x.data(), in * (batch_first ? 1 : batch), in * (batch_first ? seq_len : 1)};
    c.lengths = lengths.empty() ? nullptr : lengths.data();
    c.y = {y.data(), out * (batch_first ? 1 : batch), out * (batch_first ? seq_len : 1)};
    return c;
  }
  long double loss() {  // of many terms, so that differences need the digits
    dense.forward(call());
    long double sum = 0;
    for (std::int64_t t = 0; t < seq_len; ++t)
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int64_t k = 0; k < dense.spec().output_size; ++k) {
          const std::size_t at = static_cast<std::size_t>((t * batch + b) * dense.spec().output_size + k);
          if (alive(t, b)) sum += static_cast<long double>(y[at]) * static_cast<long double>(dy[at]);
        }
    return sum;
  }
};

template <class T>
void check_forward(const DenseSpec& spec, bool ragged, bool batch_first, unsigned seed) {
  Problem<T> p(spec, 5, 3, ragged, seed);
  const DenseForwardCall<T> call = p.call(batch_first);
  p.dense.forward(call);
  const T* const weight = p.dense.weights()[0].data;
  const T* const bias = spec.bias ? p.dense.weights()[1].data : nullptr;
  for (std::int64_t t = 0; t < p.seq_len; ++t)
    for (std::int64_t b = 0; b < p.batch; ++b) {
      std::vector<long double> a;
      for (std::int64_t j = 0; j < spec.output_size; ++j) {
        long double& sum = a.emplace_back(bias ? bias[j] : T(0));
        for (std::int64_t k = 0; k < spec.input_size; ++k)
          sum += static_cast<long double>(weight[j * spec.input_size + k]) *
                 call.x.data[t * call.x.step_stride + b * call.x.batch_stride + k];
      }
      for (std::size_t j = 0; j < a.size(); ++j) {
        const T got = call.y.data[t * call.y.step_stride + b * call.y.batch_stride + static_cast<std::int64_t>(j)];
        const double expected = p.alive(t, b) ? static_cast<double>(exact(spec.activation, a, j)) : 0;
        CHECK(std::fabs(static_cast<double>(got) - expected) <=
                  (sizeof(T) == 4 ? 1e-5 : 1e-13) * (1 + std::fabs(expected)),
              "y is %.17g, expected %.17g", static_cast<double>(got), expected);
      }
    }
}

void check_gradients(const DenseSpec& spec, bool ragged, unsigned seed) {
  Problem<double> p(spec, 4, 3, ragged, seed);
  const auto tape = p.dense.forward_with_tape(p.call());
  CHECK(tape->seq_len() == 4 && tape->batch() == 3, "the call's sizes");
  const std::vector<double> kept_x = p.x;
  std::fill(p.x.begin(), p.x.end(), 0.);  // the tape has its own
  std::fill(p.y.begin(), p.y.end(), 0.);
  std::vector<double> dx(p.x.size(), 9);
  WeightArrays<double> gradients(p.dense.weights());
  DenseBackwardCall<double> b;
  b.dy = time_major(p.dy.data(), p.batch, spec.output_size);
  b.dx = time_major(dx.data(), p.batch, spec.input_size);
  b.dweights = gradients.pointers();
  p.dense.backward(*tape, b);
  p.x = kept_x;
  const auto compare = [&](const char* name, const auto& set, const std::vector<double>& gradient) {
    std::mt19937 pick(seed);
    for (int i = 0; i < 12; ++i) {
      const std::size_t at = pick() % gradient.size();
      const double kept = set(at, 0.), step = 1e-6;
      const auto loss_at = [&](double value) {
        set(at, value);
        return p.loss();
      };
      const double numeric = static_cast<double>((loss_at(kept + step) - loss_at(kept - step)) / (2 * step));
      loss_at(kept);
      CHECK(std::fabs(numeric - gradient[at]) <= 1e-7 * (1 + std::fabs(numeric)),
            "%s[%zu]: %.12g by differences, %.12g backward", name, at, numeric, gradient[at]);
    }
  };
  const auto weight = [&](std::size_t w) {
    return [&p, w](std::size_t at, double value) { return set_weight(p.dense, w, at, value); };
  };
  compare("x", [&](std::size_t at, double value) { return std::exchange(p.x[at], value); }, dx);
  compare("weight", weight(0), gradients[0]);
  if (spec.bias) compare("bias", weight(1), gradients[1]);
}

template <class T>
std::vector<T> all_results(Problem<T>& p, int threads) {
  set_num_threads(threads);
  p.dense.forward(p.call());
  const std::vector<T> y = p.y;
  const auto tape = p.dense.forward_with_tape(p.call());
  CHECK(p.y == y, "other bits with a tape");
  std::vector<T> all = y, dx(p.x.size());
  WeightArrays<T> gradients(p.dense.weights());
  DenseBackwardCall<T> b;
  b.dy = time_major(p.dy.data(), p.batch, p.dense.spec().output_size);
  b.dx = time_major(dx.data(), p.batch, p.dense.spec().input_size);
  b.dweights = gradients.pointers();
  p.dense.backward(*tape, b);
  all.insert(all.end(), dx.begin(), dx.end());
  for (std::int64_t i = 0; i < gradients.size(); ++i) all.insert(all.end(), gradients[i].begin(), gradients[i].end());
  return all;
}

void check_same_bits(DenseActivation f) {
  Problem<float> p(dense_of(130, 70, f), 30, 20, true, 5);
  const auto one = all_results(p, 1);
  for (const int threads : {2, 3, 5}) CHECK(all_results(p, threads) == one, "other bits on %d threads", threads);
  Problem<float> whole(dense_of(33, 21, f), 1, 13, false, 6);
  whole.dense.forward(whole.call());
  const std::vector<float> y = whole.y;
  whole.batch = 1;
  for (std::int64_t b = 0; b < 13; ++b) {
    DenseForwardCall<float> call = whole.call();
    call.x.data += b * 33;
    call.y.data += b * 21;
    whole.dense.forward(call);
  }
  CHECK(whole.y == y, "other bits row by row");
}

void check_errors() {
  const auto refused = [](const DenseSpec& spec, const char* text) {
    return throws<std::invalid_argument>([&] { Dense<float> dense(spec); }, text);
  };
  CHECK(refused(dense_of(0, 3), "input_size is 0"), "no error");
  CHECK(refused(dense_of(3, -1), "output_size is -1"), "no error");
  CHECK(refused(dense_of(std::int64_t(1) << 40, std::int64_t(1) << 40), "larger than memory"), "no error");
  CHECK(refused(dense_of(1, 1, static_cast<DenseActivation>(9)), "activation is 9"), "no error");
  Problem<float> p(dense_of(3, 4), 2, 2, true, 1);
  const auto bad = [&](auto change, const char* text) {
    DenseForwardCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { p.dense.forward(call); }, text);
  };
  CHECK(bad([](auto& c) { c.x.data = nullptr; }, "x.data is null"), "no error");
  CHECK(bad([](auto& c) { c.y.data = nullptr; }, "y.data is null"), "no error");
  CHECK(bad([](auto& c) { c.batch = 0; }, "batch is 0"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = -3; }, "seq_len is -3"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = c.batch = std::int64_t(1) << 40; }, "larger than memory"), "no error");
  CHECK(bad([](auto& c) { c.y.batch_stride = 1; }, "y.batch_stride is 1"), "no error");
  p.lengths[1] = 3;
  CHECK(bad([](auto&) {}, "lengths[1] is 3; expected 0 to seq_len=2"), "no error");
  p.lengths.clear();
  const auto tape = p.dense.forward_with_tape(p.call());
  const auto refused_back = [&](auto change, const char* text) {
    DenseBackwardCall<float> b;
    b.dy = time_major(p.dy.data(), p.batch, std::int64_t(4));
    change(b);
    return throws<std::invalid_argument>([&] { p.dense.backward(*tape, b); }, text);
  };
  CHECK(refused_back([](auto& b) { b.dy.data = nullptr; }, "dy.data is null"), "no error");
  CHECK(refused_back([](auto& b) { b.dweights.resize(1); }, "dweights.size() is 1; expected 0 or 2"), "no error");
  CHECK(refused_back([&](auto& b) { b.dx = {p.x.data(), 6, -3}; }, "dx.batch_stride is -3"), "no error");
  const Dense<float> other(p.dense.spec());
  CHECK(throws<std::invalid_argument>([&] { other.backward(*tape, {}); }, "tape was made by another layer"),
        "no error");
}

}  // namespace

int main() {
  unsigned seed = 1;
  for (const DenseActivation f : functions)
    for (const std::int64_t inputs : {1, 7, 40})
      for (const std::int64_t outputs : {1, 8, 35})
        for (const bool bias : {false, true})
          for (const bool ragged : {false, true}) {
            check_forward<float>(dense_of(inputs, outputs, f, bias), ragged, false, seed++);
            check_forward<double>(dense_of(inputs, outputs, f, bias), ragged, true, seed++);
            check_gradients(dense_of(inputs, outputs, f, bias), ragged, seed++);
          }
  for (const DenseActivation f : functions) check_same_bits(f);
  check_errors();
  return done("dense");
}
