// The whole layer in C++: gradients by central differences, the same bits on any number of threads, and errors.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/support/problem.h"

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

// Sequence 0 has a hole in every place, sequence 1 none, sequence 2 nothing else.
std::vector<std::uint8_t> holes(std::int64_t seq_len, std::int64_t batch) {
  std::vector<std::uint8_t> mask;
  for (std::int64_t t = 0; t < seq_len; ++t)
    for (std::int64_t b = 0; b < batch; ++b) mask.push_back(b == 1 ? 7 : b == 2 ? 0 : t % 2);
  return mask;
}

enum class Holes { none, zero, hold };

void check_gradients(const LayerSpec& spec, bool ragged, Holes with, unsigned seed) {
  RandomCall<double> p(spec, 5, 3, ragged, seed);
  p.training = true;
  if (with != Holes::none) p.mask = holes(p.seq_len, p.batch);
  if (with == Holes::hold) p.masked_output = MaskedOutput::hold;
  const Loss loss{random_numbers<double>(p.y.size(), seed + 1000), random_numbers<double>(p.h.size(), seed + 1001),
                  random_numbers<double>(p.c.size(), seed + 1002)};
  const auto tape = p.layer.forward_with_tape(p.call());

  std::vector<double> dx(p.x.size()), dh0(p.h0.size()), dc0(p.c0.size());
  std::vector<std::vector<double>> dweights;
  BackwardCall<double> b;
  b.dy = {loss.dy.data(), p.batch * p.outputs, p.outputs};
  b.dfinal = {loss.dh.data(), loss.dc.data()};
  b.dx = {dx.data(), p.batch * spec.input_size, spec.input_size};
  b.dinitial = {dh0.data(), dc0.empty() ? nullptr : dc0.data()};
  for (const auto& w : p.layer.weights()) dweights.emplace_back(static_cast<std::size_t>(w.size()));
  for (auto& dw : dweights) b.dweights.push_back(dw.data());
  p.layer.backward(*tape, b);

  const auto compare = [&](const char* name, const auto& set, const std::vector<double>& gradient) {
    std::mt19937 pick(seed);
    for (int i = 0; i < 12 && !gradient.empty(); ++i) {
      const std::size_t at = pick() % gradient.size();
      const double kept = set(at, 0.), step = 1e-5;
      const auto loss_at = [&](double value) {
        set(at, value);
        return loss.of(p);
      };
      const double numeric = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
      loss_at(kept);
      CHECK(std::fabs(numeric - gradient[at]) <= 1e-6 * (1 + std::fabs(numeric)),
            "%s[%zu]: %.12g by differences, %.12g backward", name, at, numeric, gradient[at]);
    }
  };
  const auto array = [](std::vector<double>& values) {
    return [&values](std::size_t at, double value) { return std::exchange(values[at], value); };
  };
  compare("x", array(p.x), dx);
  compare("h0", array(p.h0), dh0);
  compare("c0", array(p.c0), dc0);
  for (std::size_t i = 0; i < dweights.size(); ++i)
    compare(
        p.layer.weights()[i].name.c_str(),
        [&](std::size_t at, double value) { return set_weight(p.layer, i, at, value); }, dweights[i]);
}

// Sequence 0 with holes is the sequence of its other steps: the same bits.
void check_mask(const LayerSpec& spec) {
  RandomCall<float> p(spec, 7, 3, false, 91);
  p.mask = holes(p.seq_len, p.batch);
  p.layer.forward(p.call());
  const std::vector<float> masked_y = p.y, masked_h = p.h;
  const auto at = [&](const std::vector<float>& a, std::int64_t t, std::int64_t columns) {
    return a.begin() + t * p.batch * columns;
  };
  const std::int64_t steps = p.seq_len / 2;
  for (std::int64_t t = 0; t < steps; ++t)
    std::copy_n(p.x.begin() + (2 * t + 1) * p.batch * spec.input_size, spec.input_size,
                p.x.begin() + t * p.batch * spec.input_size);
  p.mask.clear();
  p.lengths = {steps, p.seq_len, 0};
  p.layer.forward(p.call());
  for (std::int64_t t = 0; t < p.seq_len; ++t) {
    const auto y = at(masked_y, t, p.outputs);
    if (t % 2) CHECK(std::equal(y, y + p.outputs, at(p.y, t / 2, p.outputs)), "other bits at %d", int(t));
    else CHECK(std::all_of(y, y + p.outputs, [](float v) { return v == 0; }), "not 0 at %d", int(t));
  }
  std::vector<float> short_h = p.h, long_h = masked_h;
  const std::int64_t n = spec.state_size();
  for (std::int64_t i = 0; i < p.states; i += p.batch) {  // sequence 1 had another x in its first steps
    std::fill_n(short_h.begin() + (i + 1) * n, n, 0.f);
    std::fill_n(long_h.begin() + (i + 1) * n, n, 0.f);
  }
  CHECK(short_h == long_h, "other bits in h");
}

void check_threads(const LayerSpec& spec, std::int64_t steps = 7, std::int64_t batch = 9) {
  RandomCall<float> p(spec, steps, batch, true, 77);
  p.training = true;
  const auto run = [&](int threads) {
    set_num_threads(threads);
    const auto tape = p.layer.forward_with_tape(p.call());
    std::vector<float> result = p.y, dx(p.x.size());
    result.insert(result.end(), p.h.begin(), p.h.end());
    std::vector<std::vector<float>> dweights;
    BackwardCall<float> b;
    b.dy = {p.y.data(), p.batch * p.outputs, p.outputs};
    b.dx = {dx.data(), p.batch * spec.input_size, spec.input_size};
    for (const auto& w : p.layer.weights()) dweights.emplace_back(static_cast<std::size_t>(w.size()));
    for (auto& dw : dweights) b.dweights.push_back(dw.data());
    p.layer.backward(*tape, b);
    result.insert(result.end(), dx.begin(), dx.end());
    for (const auto& dw : dweights) result.insert(result.end(), dw.begin(), dw.end());
    return result;
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 5}) CHECK(run(threads) == one, "other bits on %d threads", threads);
}

// Dropout and zoneout draw by the seed, with or without a tape, and only in training.
void check_training(LayerSpec spec) {
  RandomCall<float> p(spec, 7, 3, true, 17);
  const auto outputs = [&](bool training, std::uint64_t seed) {
    ForwardCall<float> call = p.call();
    call.training = training;
    call.seed = seed;
    p.layer.forward(call);
    const std::vector<float> y = p.y;
    const auto tape = p.layer.forward_with_tape(call);
    CHECK(p.y == y, "other bits with a tape");
    return y;
  };
  CHECK(outputs(true, 1) == outputs(true, 1) && outputs(true, 1) != outputs(true, 2), "not by the seed");
  CHECK(outputs(false, 1) == outputs(false, 2) && outputs(false, 1) != outputs(true, 1), "not in training only");
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
  spec.lstm.output_activation = static_cast<Activation>(99);
  CHECK(refused(spec, "output_activation is 99"), "no error");
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
  spec = spec_of(Cell::rnn, 3, 4);
  spec.gate_activation = Activation::softsign;
  CHECK(refused(spec, "gate_activation"), "no error");
  spec = spec_of(Cell::rnn_relu, 3, 4);
  spec.nonlinearity = Activation::elu;
  CHECK(refused(spec, "nonlinearity"), "no error");
  spec = spec_of(Cell::rnn, 3, 4);
  spec.nonlinearity = Activation::scaled_tanh;
  CHECK(refused(spec, "nonlinearity is (\"scaled_tanh\", nan, nan)"), "no error");
  spec.nonlinearity = {Activation::elu, -1};
  Layer<float>{spec};  // good for inference
  RandomCall<float> turning(spec, 2, 2, false, 1);
  CHECK(throws<std::invalid_argument>([&] { turning.layer.forward_with_tape(turning.call()); }, "training"),
        "no error");
  spec.activation_clip = -1;
  CHECK(refused(spec, "activation_clip is -1"), "no error");
  spec = spec_of(Cell::gru, 3, 4);
  spec.lstm.peephole = true;
  CHECK(refused(spec, "LstmVariant"), "no error");
  CHECK(throws<std::invalid_argument>([] { set_num_threads(0); }, "n is 0"), "no error");

  RandomCall<float> a(spec_of(Cell::gru, 3, 4), 2, 2, false, 1), other(spec_of(Cell::gru, 3, 4), 2, 2, false, 1);
  const auto tape = a.layer.forward_with_tape(a.call());
  CHECK(throws<std::invalid_argument>([&] { other.layer.backward(*tape, {}); }, "tape"), "no error");

  const auto bad = [&](auto change, const char* text) {
    ForwardCall<float> call = a.call();
    change(call);
    return throws<std::invalid_argument>([&] { a.layer.forward(call); }, text) &&
           (!call.y.data || throws<std::invalid_argument>([&] { a.layer.forward_with_tape(call); }, text));
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
  const std::uint8_t mask[4] = {1, 0, 1, 1};
  CHECK(bad([&](auto& c) { c.mask = {mask, -2, 1}; }, "mask.step_stride is -2"), "no error");
  CHECK(bad([](auto& c) { c.masked_output = static_cast<MaskedOutput>(2); }, "masked_output is 2"), "no error");
  BackwardCall<float> b;
  b.dweights.resize(3);
  CHECK(throws<std::invalid_argument>([&] { a.layer.backward(*tape, b); }, "dweights.size() is 3"), "no error");
  b.dweights.clear();
  b.dx = {a.x.data(), 6, -3};
  CHECK(throws<std::invalid_argument>([&] { a.layer.backward(*tape, b); }, "dx.batch_stride is -3"), "no error");
}

// load() is an edit, whatever was there before, for forward and for tapes that go on.
template <class T>
void check_load(const LayerSpec& spec) {
  RandomCall<T> p(spec, 6, 4, false, 1);
  const auto gradients = [&](const Tape<T>& tape) {
    std::vector<T> dx(p.x.size());
    BackwardCall<T> b;
    b.dy = {p.y.data(), p.batch * p.outputs, p.outputs};
    b.dx = {dx.data(), p.batch * spec.input_size, spec.input_size};
    p.layer.backward(tape, b);
    return dx;
  };
  const auto pointers = [](const std::vector<std::vector<T>>& from) {
    std::vector<const T*> to;
    for (const auto& w : from) to.push_back(w.data());
    return to;
  };
  std::shared_ptr<const Tape<T>> kept = p.layer.forward_with_tape(p.call());
  const std::vector<T> y_kept = p.y, dx_kept = gradients(*kept);
  for (unsigned seed = 2; seed < 6; ++seed) {
    std::vector<std::vector<T>> values;
    for (const auto& w : p.layer.weights()) {
      values.push_back(
          random_numbers<T>(static_cast<std::size_t>(w.size()), 100 * seed + static_cast<unsigned>(values.size())));
      for (T& v : values.back()) v *= T(0.1);
    }
    CHECK(p.layer.load(pointers(values)), "other weights");
    CHECK(!p.layer.load(pointers(values)), "the same weights");
    const auto tape = p.layer.forward_with_tape(p.call());
    const std::vector<T> y = p.y, dx = gradients(*tape);
    pack_anew(p.layer);  // the same weights, packed from nothing
    const auto fresh = p.layer.forward_with_tape(p.call());
    CHECK(p.y == y && gradients(*fresh) == dx, "seed %u: other bits than after commit", seed);
    p.y = y_kept;
    CHECK(gradients(*kept) == dx_kept, "seed %u: an older tape has changed", seed);
    values.back().back() = -values.back().back();
    CHECK(p.layer.load(pointers(values)), "one sign");
  }
  CHECK(throws<std::invalid_argument>([&] { p.layer.load({}); }, "weights has 0 pointers; expected"), "no error");
  CHECK(throws<std::invalid_argument>([&] { p.layer.load(std::vector<const T*>(p.layer.weights().size())); },
                                      "weight_ih_l0 is null"),
        "no error");
}

}  // namespace

int main() {
  unsigned seed = 1;
  for (const bool bidirectional : {false, true})
    for (const std::int64_t hidden : {1, 5, 17}) {
      if (std::getenv("GRU_NATIVE_FEW_SHAPES") && hidden != 5) continue;  // instrumented code takes minutes
      for (const LayerSpec& spec : all_cells(3, hidden, 2, bidirectional)) {
        check_gradients(spec, false, Holes::none, seed++);
        check_gradients(spec, true, Holes::none, seed++);
        check_gradients(spec, false, Holes::zero, seed++);
        check_gradients(spec, true, Holes::hold, seed++);
      }
    }
  for (const bool bidirectional : {false, true})
    for (const LayerSpec& spec : all_cells(30, 96, 2, bidirectional)) {
      check_threads(spec);
      check_mask(spec);
    }
  // Rows are shared out, and the steps are more than one chunk of them.
  check_threads(spec_of(Cell::gru, 3, 17, 1, false), 160, 44);
  check_threads(spec_of(Cell::lstm, 3, 17, 1, false), 160, 44);
  for (const bool bidirectional : {false, true})
    for (const LayerSpec& spec : all_cells(20, 70, 2, bidirectional)) {
      check_load<float>(spec);
      check_load<double>(spec);
    }
  for (const bool bidirectional : {false, true})
    for (const double zoneout : {0., 0.25}) {
      LayerSpec spec = spec_of(Cell::lstm, 3, 20, 3, bidirectional);
      spec.dropout = zoneout > 0 ? 0 : 0.5;
      spec.zoneout = zoneout;
      spec.zoneout_cell = zoneout / 2;
      check_training(spec);
      check_gradients(spec, true, Holes::none, seed++);
      spec.dropout = 0.5;
      check_gradients(spec, true, Holes::zero, seed++);
      check_threads(spec);
    }
  check_errors();
  return done("layer");
}
