// RTRL against back-propagation through all steps, and OutputRnn free against taught with its own outputs, from C++.
#include <memory>
#include <stdexcept>
#include <string>

#include "tests/support/problem.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class T>
std::vector<std::vector<T>> like_weights(const std::vector<Weight<const T>>& weights) {
  std::vector<std::vector<T>> arrays;
  for (const auto& w : weights) arrays.emplace_back(static_cast<std::size_t>(w.size()));
  return arrays;
}
template <class T>
std::vector<T*> pointers(std::vector<std::vector<T>>& arrays) {
  std::vector<T*> all;
  for (auto& a : arrays) all.push_back(a.data());
  return all;
}

void check_rtrl(const LayerSpec& spec, unsigned seed) {
  RandomCall<double> p(spec, 6, 2, false, seed);
  const auto dy = random_numbers<double>(p.y.size(), seed + 1), dh = random_numbers<double>(p.h.size(), seed + 2);
  const auto dc = random_numbers<double>(p.c.size(), seed + 3);
  const double* const no_c = nullptr;
  auto expected = like_weights(p.layer.weights());
  BackwardCall<double> b;
  b.dy = {dy.data(), p.batch * p.outputs, p.outputs};
  b.dfinal = {dh.data(), dc.empty() ? no_c : dc.data()};
  b.dweights = pointers(expected);
  p.layer.backward(*p.layer.forward_with_tape(p.call()), b);

  Rtrl<double> r(std::shared_ptr<const Layer<double>>(std::shared_ptr<void>(), &p.layer), p.batch);
  r.load_state({p.h0.data(), p.c0.empty() ? no_c : p.c0.data()});
  auto step = like_weights(p.layer.weights()), sum = step;
  const auto add = [&](const double* dy_t, const States<const double>& dstate) {
    r.gradient(dy_t, dstate, pointers(step));
    for (std::size_t w = 0; w < sum.size(); ++w)
      for (std::size_t i = 0; i < sum[w].size(); ++i) sum[w][i] += step[w][i];
  };
  std::vector<double> y(static_cast<std::size_t>(p.batch * p.outputs)), h(p.h.size()), c(p.c.size());
  for (std::int64_t t = 0; t < p.seq_len; ++t) {
    if (t % 2 == 0) {  // another one goes on
      std::vector<double> carried(static_cast<std::size_t>(r.carried_size()));
      r.save_carried(carried.data());
      Rtrl<double> other(std::shared_ptr<const Layer<double>>(std::shared_ptr<void>(), &p.layer), p.batch);
      other.load_carried(carried.data());
      r = std::move(other);
    }
    r.step(p.x.data() + t * p.batch * spec.input_size, y.data());
    add(dy.data() + t * p.batch * p.outputs, {});
    for (std::size_t i = 0; i < y.size(); ++i)
      CHECK(y[i] == p.y[static_cast<std::size_t>(t) * y.size() + i], "y of step %d, number %zu", int(t), i);
  }
  add(nullptr, {dh.data(), dc.empty() ? no_c : dc.data()});
  r.save_state({h.data(), c.empty() ? nullptr : c.data()});
  CHECK(h == p.h && c == p.c, "the final state");
  for (std::size_t w = 0; w < sum.size(); ++w)
    for (std::size_t i = 0; i < sum[w].size(); ++i)
      CHECK(std::fabs(sum[w][i] - expected[w][i]) <= 1e-10 * (1 + std::fabs(expected[w][i])),
            "%s[%zu]: %.15g, back-propagation has %.15g", p.layer.weights()[w].name.c_str(), i, sum[w][i],
            expected[w][i]);
  CHECK(throws<std::invalid_argument>([&] { r.gradient(dy.data(), {}, {}); }, "dweights.size() is 0"),
        "too few arrays");
}

template <class T>
void check_output_rnn(unsigned seed) {
  constexpr std::int64_t seq_len = 7, batch = 3, inputs = 5, outputs = 19;
  OutputRnn<T> layer({inputs, 21, outputs, true, Activation::tanh, Activation::sigmoid});
  seed = randomize(layer, seed);
  const auto x = random_numbers<T>(seq_len * batch * inputs, seed++),
             start = random_numbers<T>(batch * outputs, seed++);
  std::vector<T> y(seq_len * batch * outputs), taught(y.size());
  OutputRnnForwardCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.x = {x.data(), batch * inputs, inputs};
  call.initial = start.data();
  call.y = {y.data(), batch * outputs, outputs};
  layer.forward(call);
  call.targets = {y.data(), batch * outputs, outputs};
  call.y.data = taught.data();
  layer.forward(call);
  CHECK(y == taught, "free and taught outputs");
  call.x.data = nullptr;
  CHECK(throws<std::invalid_argument>([&] { layer.forward(call); }, "x.data is null"), "no x");
}

}  // namespace

int main() {
  unsigned seed = 1;
  for (const LayerSpec& spec : all_cells(3, 7, 1, false))
    if (!spec.lstm.gate_recurrence && !spec.layer_norm) check_rtrl(spec, seed += 10);
  const auto refused = [](const LayerSpec& spec, const char* text) {
    const auto layer = std::make_shared<const Layer<float>>(spec);
    CHECK(throws<std::invalid_argument>([&] { Rtrl<float> r(layer); }, text), "%s", text);
  };
  refused(spec_of(Cell::gru, 3, 4, 2), "num_layers is 2");
  refused(spec_of(Cell::gru, 3, 4, 1, true), "bidirectional");
  check_output_rnn<float>(100);
  check_output_rnn<double>(200);
  return done("rtrl");
}
