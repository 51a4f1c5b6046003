// The whole layer in C++: gradients by central differences, the same bits on any number of threads, and errors.
#include <stdexcept>
#include <string>

#include "tests/problem.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

// loss = sum of dy * y + dh * h + dc * c, so that its gradients are what backward is given.
struct Loss {
  std::vector<double> dy, dh, dc;
  double of(RandomCall<double>& p) const {
    p.layer.forward(p.call());
    double sum = 0;
    for (std::size_t i = 0; i < dy.size(); ++i) sum += dy[i] * p.y[i];
    for (std::size_t i = 0; i < dh.size(); ++i) sum += dh[i] * p.h[i];
    for (std::size_t i = 0; i < dc.size(); ++i) sum += dc[i] * p.c[i];
    return sum;
  }
};

void check_gradients(const LayerSpec& spec, bool ragged, unsigned seed) {
  RandomCall<double> p(spec, 5, 3, ragged, seed);
  const Loss loss{random_numbers<double>(p.y.size(), seed + 1000), random_numbers<double>(p.h.size(), seed + 1001),
                  random_numbers<double>(p.c.size(), seed + 1002)};
  const auto tape = p.layer.forward(p.call(), 0, true);

  std::vector<double> dx(p.x.size()), dh0(p.h0.size()), dc0(p.c0.size());
  std::vector<std::vector<double>> dweights;
  BackwardCall<double> b;
  b.dy = {loss.dy.data(), p.batch * p.outputs, p.outputs};
  b.dfinal = {loss.dh.data(), loss.dc.data()};
  b.dx = {dx.data(), p.batch * spec.input_size, spec.input_size};
  b.dinitial = {dh0.data(), dc0.empty() ? nullptr : dc0.data()};
  for (const Weight<double>& w : p.layer.weights())
    dweights.emplace_back(static_cast<std::size_t>(w.shape[0] * (w.shape.size() > 1 ? w.shape[1] : 1)));
  for (auto& dw : dweights) b.dweights.push_back(dw.data());
  p.layer.backward(*tape, b);

  const auto compare = [&](const char* name, double* values, const std::vector<double>& gradient, bool weights) {
    std::mt19937 pick(seed);
    for (int i = 0; i < 12 && !gradient.empty(); ++i) {
      const std::size_t at = pick() % gradient.size();
      const double kept = values[at], step = 1e-5;
      const auto loss_at = [&](double value) {
        values[at] = value;
        if (weights) p.layer.commit();
        return loss.of(p);
      };
      const double numeric = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
      loss_at(kept);
      CHECK(std::fabs(numeric - gradient[at]) <= 1e-6 * (1 + std::fabs(numeric)),
            "%s[%zu]: %.12g by differences, %.12g backward", name, at, numeric, gradient[at]);
    }
  };
  compare("x", p.x.data(), dx, false);
  compare("h0", p.h0.data(), dh0, false);
  compare("c0", p.c0.data(), dc0, false);
  for (std::size_t i = 0; i < dweights.size(); ++i)
    compare(p.layer.weights()[i].name.c_str(), p.layer.weights()[i].data, dweights[i], true);
}

void check_threads(const LayerSpec& spec) {
  RandomCall<float> p(spec, 7, 9, true, 77);
  const auto run = [&](int threads) {
    set_num_threads(threads);
    const auto tape = p.layer.forward(p.call(), 5, true);
    std::vector<float> result = p.y, dx(p.x.size());
    result.insert(result.end(), p.h.begin(), p.h.end());
    std::vector<std::vector<float>> dweights;
    BackwardCall<float> b;
    b.dy = {p.y.data(), p.batch * p.outputs, p.outputs};
    b.dx = {dx.data(), p.batch * spec.input_size, spec.input_size};
    for (const Weight<float>& w : p.layer.weights())
      dweights.emplace_back(static_cast<std::size_t>(w.shape[0] * (w.shape.size() > 1 ? w.shape[1] : 1)));
    for (auto& dw : dweights) b.dweights.push_back(dw.data());
    p.layer.backward(*tape, b);
    result.insert(result.end(), dx.begin(), dx.end());
    for (const auto& dw : dweights) result.insert(result.end(), dw.begin(), dw.end());
    return result;
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 5}) CHECK(run(threads) == one, "other bits on %d threads", threads);
}

void check_errors() {
  const auto refused = [](LayerSpec spec, const char* name) {
    return throws<std::invalid_argument>([&] { Layer<float> layer(spec); }, name);
  };
  CHECK(refused(spec_of(Cell::lstm, 0, 4), "input_size is 0"), "no error");
  CHECK(refused(spec_of(Cell::lstm, 3, -1), "hidden_size is -1"), "no error");
  CHECK(refused(spec_of(Cell::lstm, 3, 4, 0), "num_layers is 0"), "no error");
  CHECK(refused(spec_of(Cell::lstm, 3, 4, 1, false, 4), "proj_size is 4"), "no error");
  CHECK(refused(spec_of(Cell::gru, 3, 4, 1, false, 2), "proj_size is 2"), "no error");
  CHECK(refused(spec_of(Cell::lstm, std::int64_t(1) << 62, std::int64_t(1) << 62), "larger than memory"), "no error");
  LayerSpec spec = spec_of(Cell::lstm, 3, 4);
  spec.dropout = std::nan("");
  CHECK(refused(spec, "dropout"), "no error");
  spec = spec_of(Cell::lstm, 3, 4);
  spec.lstm.output_activation = static_cast<Activation>(9);
  CHECK(refused(spec, "output_activation is 9"), "no error");
  spec = spec_of(Cell::lstm, 3, 4);
  spec.lstm.coupled_gates = true, spec.lstm.forget_gate = false;
  CHECK(refused(spec, "coupled_gates"), "no error");
  spec = spec_of(Cell::lstm, 3, 4);
  spec.lstm.gate_recurrence = true, spec.lstm.output_gate = false;
  CHECK(refused(spec, "gate_recurrence"), "no error");
  for (const Cell cell : {Cell::rnn_tanh, Cell::rnn_relu, Cell::gru}) {
    spec = spec_of(cell, 3, 4, 1, false, 0, false);
    spec.layer_norm = true;
    CHECK(refused(spec, "layer_norm"), "no error");
  }
  spec = spec_of(Cell::lstm, 3, 4);
  spec.lstm.cell_clip = -1;
  CHECK(refused(spec, "cell_clip is -1"), "no error");
  spec = spec_of(Cell::lstm, 3, 4);
  spec.candidate_activation = Activation::relu;
  CHECK(refused(spec, "candidate_activation"), "no error");
  spec = spec_of(Cell::gru, 3, 4);
  spec.lstm.peephole = true;
  CHECK(refused(spec, "LstmVariant"), "no error");
  CHECK(throws<std::invalid_argument>([] { set_num_threads(0); }, "n is 0"), "no error");

  RandomCall<float> a(spec_of(Cell::gru, 3, 4), 2, 2, false, 1), other(spec_of(Cell::gru, 3, 4), 2, 2, false, 1);
  const auto tape = a.layer.forward(a.call(), 0, true);
  CHECK(throws<std::invalid_argument>([&] { other.layer.backward(*tape, {}); }, "tape"), "no error");

  const auto bad = [&](auto change, const char* text) {
    ForwardCall<float> call = a.call();
    change(call);
    return throws<std::invalid_argument>([&] { a.layer.forward(call); }, text) &&
           (!call.y.data || throws<std::invalid_argument>([&] { a.layer.forward(call, 0, true); }, text));
  };
  const std::int64_t lengths[2] = {2, -1};
  CHECK(bad([](auto& c) { c.x.data = nullptr; }, "x.data is null"), "no error");
  CHECK(bad([](auto& c) { c.x.step_stride = -6; }, "x.step_stride is -6"), "no error");
  CHECK(bad([](auto& c) { c.y.batch_stride = 3; }, "y.batch_stride is 3; expected at least 4"), "no error");
  CHECK(bad([](auto& c) { c.y.data = nullptr, c.final = {}; }, "y.data is null"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = 0; }, "seq_len is 0"), "no error");
  CHECK(bad([](auto& c) { c.batch = -1; }, "batch is -1"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = std::int64_t(1) << 62; }, "larger than memory"), "no error");
  CHECK(bad([&](auto& c) { c.lengths = lengths; }, "lengths[1] is -1"), "no error");
  BackwardCall<float> b;
  b.dweights.resize(3);
  CHECK(throws<std::invalid_argument>([&] { a.layer.backward(*tape, b); }, "dweights.size() is 3"), "no error");
  b.dweights.clear();
  b.dx = {a.x.data(), 6, -3};
  CHECK(throws<std::invalid_argument>([&] { a.layer.backward(*tape, b); }, "dx.batch_stride is -3"), "no error");
}

}  // namespace

int main() {
  unsigned seed = 1;
  for (const bool bidirectional : {false, true})
    for (const std::int64_t hidden : {1, 5, 17})
      for (const LayerSpec& spec : all_cells(3, hidden, 2, bidirectional)) {
        check_gradients(spec, false, seed++);
        check_gradients(spec, true, seed++);
      }
  for (const bool bidirectional : {false, true})
    for (const LayerSpec& spec : all_cells(30, 96, 2, bidirectional)) check_threads(spec);
  check_errors();
  return done("layer");
}
