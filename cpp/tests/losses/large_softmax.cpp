// Softmax layers over large vocabularies from C++: probabilities, gradients by differences, rows that are touched, a
// step of an optimizer, and errors.
#include "gru_native/large_softmax.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "gru_native/model.h"
#include "gru_native/optim.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

constexpr std::int64_t words = 23, columns = 5, rows = 6;
const std::int64_t targets[rows] = {3, 22, 0, 3, 7, 11};
std::vector<double> counts() { return {5, 1, 2, 9, 3, 3, 1, 8, 2, 2, 4, 6, 1, 1, 7, 2, 3, 5, 1, 2, 2, 1, 6}; }

template <class T>
LargeSoftmax<T> make(LargeSoftmaxSpec spec) {
  spec.input_size = columns;
  spec.vocab_size = words;
  LargeSoftmax<T> layer(spec);
  auto edit = layer.edit();
  unsigned seed = 1;
  for (const Weight<T>& w : edit) {
    const std::vector<T> values = random_numbers<T>(static_cast<std::size_t>(w.size()), ++seed, 0.5);
    std::copy(values.begin(), values.end(), w.data);
  }
  return layer;
}

std::vector<LargeSoftmaxSpec> kinds() {
  std::vector<LargeSoftmaxSpec> specs(6);
  specs[0].kind = SampledSoftmax{8, Proposal::log_uniform, {}};
  specs[1].kind = SampledSoftmax{8, Proposal::counts, counts()};
  specs[2].kind = NoiseContrastive{8, Proposal::uniform, {}};
  specs[3].kind = ClassSoftmax{};
  specs[4].kind = TreeSoftmax{};
  specs[5].kind = TreeSoftmax{counts()};
  specs[5].bias = false;
  return specs;
}

template <class T>
LargeSoftmaxCall<T> call_of(const std::vector<T>& x) {
  LargeSoftmaxCall<T> call;
  call.rows = rows;
  call.x = x.data();
  call.targets = targets;
  call.ignore = 7;
  call.seed = 12;
  return call;
}

template <class T>
void check_probabilities(const LargeSoftmaxSpec& spec) {
  const LargeSoftmax<T> layer = make<T>(spec);
  const std::vector<T> x = random_numbers<T>(rows * columns, 9);
  std::vector<T> log_p(rows * words), own(rows), best(rows * 3);
  std::vector<std::int64_t> ids(rows * 3);
  layer.log_probability({rows, x.data(), nullptr, 0, log_p.data()});
  layer.log_probability({rows, x.data(), targets, 1, own.data()});
  layer.top_words({rows, x.data(), 3, ids.data(), best.data()});
  double mean = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::int64_t w = 0; w < words; ++w) sum += std::exp(static_cast<double>(log_p[r * words + w]));
    CHECK(std::fabs(sum - 1) < 1e-5, "kind %zu, row %d: the sum is %.9g", spec.kind.index(), int(r), sum);
    const double expected = log_p[r * words + targets[r]];
    CHECK(std::fabs(own[r] - expected) < 1e-5, "kind %zu: %.9g, not %.9g", spec.kind.index(), double(own[r]), expected);
    if (targets[r] != 7) mean -= expected / (rows - 1);
    CHECK(best[r * 3] == *std::max_element(&log_p[r * words], &log_p[r * words] + words), "no maximum");
    for (int k = 0; k < 3; ++k) CHECK(best[r * 3 + k] == log_p[r * words + ids[r * 3 + k]], "of another word");
  }
  CHECK(std::fabs(layer.forward(call_of(x)) - mean) < 1e-5, "the loss is another");
}

// Along the gradient itself, in which all its numbers count.
void check_differences(const LargeSoftmaxSpec& spec) {
  LargeSoftmax<double> layer = make<double>(spec);
  std::vector<double> x = random_numbers<double>(rows * columns, 9);
  const auto loss = [&] { return layer.forward_with_tape(call_of(x))->loss(); };
  const auto tape = layer.forward_with_tape(call_of(x));
  const auto touched = static_cast<std::int64_t>(tape->rows().size());
  std::vector<std::vector<double>> gradients;
  LargeSoftmaxBackwardCall<double> call;
  for (const auto& w : layer.weights()) {
    const bool some = w.name == "weight" || w.name == "bias";
    gradients.emplace_back(static_cast<std::size_t>((some ? touched : w.shape[0]) * (w.size() / w.shape[0])));
  }
  for (auto& g : gradients) call.dweights.push_back(g.data());
  std::vector<double> dx(rows * columns);
  call.dx = dx.data();
  layer.backward(*tape, call);

  const double step = 1e-6;
  const auto check = [&](double up, double down, double norm, const char* what) {
    const double slope = (up - down) / (2 * step);
    CHECK(std::fabs(slope - norm) < 1e-7 * std::max(1.0, norm), "kind %zu, %s: %.12g, not %.12g", spec.kind.index(),
          what, norm, slope);
  };
  const auto move_weights = [&](std::size_t i, double by) {
    auto edit = layer.edit();
    const Weight<double>& w = edit[static_cast<std::int64_t>(i)];
    const std::int64_t width = w.size() / w.shape[0];
    for (std::size_t k = 0; k < gradients[i].size(); ++k) {
      const auto row = static_cast<std::int64_t>(k) / width;
      const bool some = w.name == "weight" || w.name == "bias";
      w.data[(some ? tape->rows()[static_cast<std::size_t>(row)] : row) * width +
             static_cast<std::int64_t>(k) % width] += by * gradients[i][k];
    }
  };
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    double norm = 0;
    for (const double g : gradients[i]) norm += g * g;
    CHECK(norm > 0, "no gradient");
    move_weights(i, step);
    const double up = loss();
    move_weights(i, -2 * step);
    const double down = loss();
    move_weights(i, step);
    check(up, down, norm, layer.weights()[i].name.c_str());
  }
  const std::vector<double> before = x;
  double norm = 0;
  for (const double g : dx) norm += g * g;
  const auto moved = [&](double by) {
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = before[k] + by * dx[k];
    return loss();
  };
  check(moved(step), moved(-step), norm, "x");
  for (std::int64_t k = 4 * columns; k < 5 * columns; ++k) CHECK(dx[k] == 0, "the gradient of a row that is ignored");
}

void check_training(const LargeSoftmaxSpec& spec) {
  LargeSoftmax<float> layer = make<float>(spec);
  const std::vector<float> x = random_numbers<float>(rows * columns, 9);
  Optimizer<float> adam(Adam{0.05}, layer.weights());
  LargeSoftmaxCall<float> call = call_of(x);
  call.ignore.reset();
  const double before = layer.forward(call);
  for (int step = 0; step < 100; ++step) {
    call.seed = static_cast<std::uint64_t>(step);
    const auto tape = layer.forward_with_tape(call);
    const auto touched = static_cast<std::int64_t>(tape->rows().size());
    std::vector<std::vector<float>> memory;
    LargeSoftmaxBackwardCall<float> back;
    for (const auto& w : layer.weights()) memory.emplace_back(static_cast<std::size_t>(w.size()));
    for (auto& g : memory) back.dweights.push_back(g.data());
    layer.backward(*tape, back);
    std::vector<WeightGradient<float>> gradients;
    for (std::size_t i = 0; i < memory.size(); ++i) {
      const std::string& name = layer.weights()[i].name;
      if (name == "weight" || name == "bias") gradients.push_back({memory[i].data(), tape->rows().data(), touched});
      else gradients.push_back({memory[i].data(), nullptr, 0});
    }
    auto edit = layer.edit();
    adam.step(edit.weights(), gradients);
  }
  CHECK(layer.forward(call) < 0.5 * before, "kind %zu has learnt nothing", spec.kind.index());
}

template <class T>
void check_files(const LargeSoftmaxSpec& spec) {
  const LargeSoftmax<T> layer = make<T>(spec);
  const std::string path = "test_large_softmax_" + std::to_string(sizeof(T)) + ".safetensors";
  layer.save(path);
  const auto again = LargeSoftmax<T>::load(path);
  const std::vector<T> x = random_numbers<T>(rows * columns, 9);
  const LargeSoftmaxCall<T> call = call_of(x);
  CHECK(again.spec().kind.index() == spec.kind.index(), "kind of a layer from a file");
  CHECK(again.forward_with_tape(call)->loss() == layer.forward_with_tape(call)->loss(), "loss of one from a file");
  CHECK(again.forward(call) == layer.forward(call), "probabilities of one from a file");
  using Other = LargeSoftmax<std::conditional_t<sizeof(T) == 4, double, float>>;
  CHECK(throws<FileError>([&] { Other::load(path); }, path.c_str()), "another dtype");
  CHECK(throws<FileError>([&] { BasicModel<T>::load(path); }, "LargeSoftmax::load reads it"), "a model of it");
  std::remove(path.c_str());
  CHECK(throws<FileError>([&] { LargeSoftmax<T>::load(path); }, path.c_str()), "no file");
}

void check_errors() {
  const auto refused = [](const LargeSoftmaxSpec& spec, const char* text) {
    return throws<std::invalid_argument>([&] { LargeSoftmax<float> layer(spec); }, text);
  };
  LargeSoftmaxSpec spec;
  spec.input_size = 2;
  spec.vocab_size = 3;
  CHECK(refused(spec, "num_samples is 0; expected 1 to vocab_size=3"), "no error");
  spec.kind = NoiseContrastive{4, Proposal::uniform, {}};
  CHECK(refused(spec, "num_samples is 4"), "no error");
  spec.kind = SampledSoftmax{1, Proposal::counts, {1, 2, 0}};
  CHECK(refused(spec, "counts[2] is 0"), "no error");
  spec.kind = SampledSoftmax{1, static_cast<Proposal>(7), {}};
  CHECK(refused(spec, "proposal is 7"), "no error");
  spec.kind = ClassSoftmax{{0, 2, 2}};
  CHECK(refused(spec, "class 1 has no word"), "no error");
  spec.kind = TreeSoftmax{{1, 2}};
  CHECK(refused(spec, "counts.size() is 2"), "no error");

  LargeSoftmax<float> layer = make<float>(kinds()[0]), other = make<float>(kinds()[4]);
  std::vector<float> x(rows * columns, 1), y(words);
  const auto bad = [&](auto change, const char* text) {
    LargeSoftmaxCall<float> call = call_of(x);
    change(call);
    return throws<std::invalid_argument>([&] { layer.forward(call); }, text) &&
           throws<std::invalid_argument>([&] { layer.forward_with_tape(call); }, text);
  };
  using Call = LargeSoftmaxCall<float>;
  const std::int64_t outside[rows] = {0, 0, words, 0, 0, 0};
  CHECK(bad([&](Call& c) { c.targets = outside; }, "that of row 2 is 23; expected 0 to 22, or ignore=7"), "no error");
  CHECK(bad([&](Call& c) { c.rows = 0; }, "rows is 0"), "no error");
  CHECK(bad([&](Call& c) { c.x = nullptr; }, "x is null"), "no error");
  CHECK(bad([&](Call& c) { c.targets = nullptr; }, "targets is null"), "no error");
  x[2 * columns] = std::numeric_limits<float>::quiet_NaN();
  CHECK(bad([](Call&) {}, "row 2 has no softmax"), "no error");
  x[2 * columns] = 1;
  CHECK(throws<std::invalid_argument>([&] { layer.top_words({1, x.data(), 24, nullptr, nullptr}); }, "k is 24"),
        "none");
  CHECK(throws<std::invalid_argument>([&] { layer.log_probability({1, x.data(), outside + 2, 1, y.data()}); },
                                      "number 0 of row 0 is 23"),
        "no error");
  const auto tape = other.forward_with_tape(call_of(x));
  CHECK(throws<std::invalid_argument>([&] { layer.backward(*tape, {}); }, "another layer"), "no error");
  LargeSoftmaxBackwardCall<float> back;
  back.dweights = {nullptr};
  CHECK(throws<std::invalid_argument>([&] { other.backward(*tape, back); }, "dweights.size() is 1"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (const LargeSoftmaxSpec& spec : kinds()) {
      check_probabilities<float>(spec);
      check_probabilities<double>(spec);
      check_differences(spec);
      check_files<float>(spec);
      check_files<double>(spec);
      check_training(spec);
    }
  }
  check_errors();
  return done("large_softmax");
}
