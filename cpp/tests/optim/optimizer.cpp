// Optimizers from C++: three steps against their definitions in long double, rows, a layer that learns, and errors.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gru_native/dense.h"
#include "gru_native/optim.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

using Real = long double;

// Weight w after steps with these gradients.
Real after(const Sgd& s, Real w, const std::vector<Real>& gradients) {
  Real b = 0;
  for (std::size_t n = 0; n < gradients.size(); ++n) {
    const Real g = gradients[n] + s.weight_decay * w;
    b = n == 0 ? g : s.momentum * b + (1 - s.dampening) * g;
    w -= s.lr * (s.momentum == 0 ? g : s.nesterov ? g + s.momentum * b : b);
  }
  return w;
}
Real after(const Adagrad& s, Real w, const std::vector<Real>& gradients) {
  Real sum = s.initial_accumulator_value;
  for (std::size_t n = 0; n < gradients.size(); ++n) {
    const Real g = gradients[n] + s.weight_decay * w;
    sum += g * g;
    w -= s.lr / (1 + n * s.lr_decay) * g / (std::sqrt(sum) + s.eps);
  }
  return w;
}
Real after(const Adam& s, Real w, const std::vector<Real>& gradients) {
  Real m = 0, v = 0;
  for (std::size_t n = 1; n <= gradients.size(); ++n) {
    const Real g = gradients[n - 1] + (s.decoupled ? 0 : s.weight_decay) * w;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    const Real steps = static_cast<Real>(n), b1 = s.beta1, b2 = s.beta2;
    if (s.decoupled) w *= 1 - s.lr * s.weight_decay;
    w -= s.lr * m / (1 - std::pow(b1, steps)) / (std::sqrt(v / (1 - std::pow(b2, steps))) + s.eps);
  }
  return w;
}

template <class T>
void check_definition(const OptimizerSpec& spec, int threads) {
  set_num_threads(threads);
  const std::int64_t n = 70001;  // so many that threads share them
  std::vector<T> w = random_numbers<T>(static_cast<std::size_t>(n), 1);
  const std::vector<T> first = w;
  const std::vector<Weight<T>> weights{{"w", {n}, w.data()}};
  Optimizer<T> optimizer(spec, {{"w", {n}, nullptr}});
  std::vector<std::vector<T>> gradients;
  for (unsigned step = 0; step < 3; ++step) {
    gradients.push_back(random_numbers<T>(static_cast<std::size_t>(n), 2 + step));
    optimizer.step(weights, {{gradients.back().data()}});
  }
  CHECK(optimizer.steps()[0] == 3, "steps");
  for (std::size_t i = 0; i < w.size(); i += 7) {
    std::vector<Real> g;
    for (const std::vector<T>& gradient : gradients) g.push_back(gradient[i]);
    const Real expected = std::visit([&](const auto& kind) { return after(kind, first[i], g); }, spec);
    CHECK(std::fabs(w[i] - expected) <= (sizeof(T) == 4 ? 2e-5 : 1e-13) * (1 + std::fabs(expected)),
          "kind %zu, %d threads: w[%zu] is %.17g", spec.index(), threads, i, double(w[i]));
  }
}

void check_rows() {
  std::vector<float> w(12, 1), g{1, 2, 3, 4};
  const std::vector<std::int64_t> rows{1, 4};
  Optimizer<float> sgd(Sgd{0.5}, {{"w", {6, 2}, nullptr}, {"b", {3}, nullptr}});
  std::vector<float> b(3, 1);
  const std::vector<Weight<float>> weights{{"w", {6, 2}, w.data()}, {"b", {3}, b.data()}};
  sgd.step(weights, {{g.data(), rows.data(), 2}, {}});
  CHECK((w == std::vector<float>{1, 1, 0.5f, 0, 1, 1, 1, 1, -0.5f, -1, 1, 1}), "rows");
  CHECK((b == std::vector<float>{1, 1, 1}), "changed without a gradient");
  CHECK((sgd.steps() == std::vector<std::int64_t>{1, 0}), "steps");
}

void check_training() {
  DenseSpec spec;
  spec.input_size = spec.output_size = 1;
  Dense<double> layer(spec);
  Optimizer<double> adam(Adam{0.1}, layer.weights());
  const double x[] = {-1, 0, 2}, target[] = {-1, 1, 5};
  for (int step = 0; step < 500; ++step) {
    double y[3], dy[3], dw = 0, db = 0;
    DenseForwardCall<double> call;
    call.seq_len = 3;
    call.batch = 1;
    call.x = time_major(x, 1, 1);
    call.y = time_major(y, 1, 1);
    const auto tape = layer.forward_with_tape(call);
    for (int i = 0; i < 3; ++i) dy[i] = y[i] - target[i];
    DenseBackwardCall<double> back;
    back.dy = time_major<const double>(dy, 1, 1);
    back.dweights = {&dw, &db};
    layer.backward(*tape, back);
    auto edit = layer.edit();
    adam.step(edit.weights(), {{&dw}, {&db}});
  }
  CHECK(std::fabs(layer.weights()[0][0] - 2) < 1e-3 && std::fabs(layer.weights()[1][0] - 1) < 1e-3, "nothing learnt");
}

void check_states() {
  std::vector<double> w(5, 1), v(5, 1), g{1, 2, 3, 4, 5};
  Optimizer<double> first(Adam{}, {{"w", {5}, nullptr}}), second(Adam{}, {{"w", {5}, nullptr}});
  first.step({{"w", {5}, w.data()}}, {{g.data()}});
  CHECK(first.state().size() == 2 && first.state()[1].name == "w.exp_avg_sq", "states");
  v = w;
  for (std::size_t s = 0; s < 2; ++s) std::copy_n(first.state()[s].data, 5, second.state()[s].data);
  second.set_steps(first.steps());
  Optimizer<double> moved = std::move(first);
  for (int step = 0; step < 3; ++step) {
    moved.step({{"w", {5}, w.data()}}, {{g.data()}});
    second.step({{"w", {5}, v.data()}}, {{g.data()}});
  }
  CHECK(w == v, "not the same after states were copied");
}

void check_errors() {
  const auto refused = [](const OptimizerSpec& spec, const char* text) {
    return throws<std::invalid_argument>([&] { Optimizer<float> optimizer(spec, {}); }, text);
  };
  CHECK(refused(Sgd{-1}, "lr is -1"), "no error");
  CHECK(refused(Sgd{1, 0, 0, 0, true}, "nesterov is True"), "no error");
  CHECK(refused(Adagrad{1, 0, 0, 0, NAN}, "eps is nan"), "no error");
  CHECK(refused(Adam{1, 0.5, 1}, "betas[1] is 1"), "no error");
  Optimizer<float> adam(Adam{}, {{"w", {4, 3}, nullptr}});
  std::vector<float> w(12, 1), g(12, 1);
  const auto bad = [&](const std::vector<std::int64_t>& shape, WeightGradient<float> gradient, const char* text) {
    return throws<std::invalid_argument>([&] { adam.step({{"w", shape, w.data()}}, {gradient}); }, text);
  };
  const std::int64_t outside[] = {1, 4}, twice[] = {2, 2};
  CHECK(bad({3, 4}, {g.data()}, "has not the shape of w"), "no error");
  CHECK(bad({4, 3}, {g.data(), outside, 2}, "rows of w[1] is 4; expected 0 to 3"), "no error");
  CHECK(bad({4, 3}, {g.data(), twice, 2}, "rows of w[1] is 2; expected more"), "no error");
  CHECK(bad({4, 3}, {g.data(), twice, -1}, "num_rows is -1"), "no error");
  CHECK(throws<std::invalid_argument>([&] { adam.step({}, {}); }, "weights.size() is 0; expected 1"), "no error");
  CHECK(throws<std::invalid_argument>([&] { adam.set_lr(-3); }, "lr is -3"), "no error");
  CHECK(throws<std::invalid_argument>([&] { adam.set_steps({-1}); }, "steps[0] is -1"), "no error");
  CHECK(w == std::vector<float>(12, 1) && adam.steps()[0] == 0, "changed in spite of an error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3}) {
    for (const OptimizerSpec& spec :
         {OptimizerSpec(Sgd{0.1}), OptimizerSpec(Sgd{0.1, 0.9, 0.25, 0.01}),
          OptimizerSpec(Sgd{0.1, 0.9, 0, 0.01, true}), OptimizerSpec(Adagrad{0.1, 0.5, 0.01, 0.25}),
          OptimizerSpec(Adam{0.1, 0.8, 0.9, 1e-8, 0.01}), OptimizerSpec(Adam{0.1, 0.8, 0.9, 1e-8, 0.01, true})}) {
      check_definition<float>(spec, threads);
      check_definition<double>(spec, threads);
    }
  }
  check_rows();
  check_training();
  check_states();
  check_errors();
  return done("optimizer");
}
