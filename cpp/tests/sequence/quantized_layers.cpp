// Layers of all kinds with weights of few bits, from C++: what they are made of, that a step asks for no memory, and
// what they refuse.
#include <cmath>
#include <string>

#include "gru_native/gru_native.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

template <class L>
void fill(L& layer, unsigned seed) {
  auto edit = layer.edit();
  for (const auto& w : edit.weights()) {
    const auto numbers = random_numbers<float>(static_cast<std::size_t>(w.size()), seed++, 0.2);
    std::copy(numbers.begin(), numbers.end(), w.data);
  }
}

Layer<float> gru() {
  LayerSpec spec;
  spec.cell = Cell::gru;
  spec.input_size = 11;
  spec.hidden_size = 50;
  Layer<float> layer(spec);
  fill(layer, 1);
  return layer;
}

void check_layer(Precision precision, double tolerance) {
  const Layer<float> layer = gru(), fast = layer.quantize(precision);
  CHECK(fast.spec().precision == precision && layer.spec().precision == Precision::full, "precision");
  const auto x = random_numbers<float>(20 * 3 * 11, 7);
  std::vector<float> y(20 * 3 * 50), z(y.size()), streamed(y.size());
  ForwardCall<float> call;
  call.seq_len = 20, call.batch = 3;
  call.x = {x.data(), 3 * 11, 11};
  call.y = {y.data(), 3 * 50, 50};
  layer.forward(call);
  call.y.data = z.data();
  fast.forward(call);
  double worst = 0;
  for (std::size_t k = 0; k < y.size(); ++k) worst = std::max(worst, std::fabs(double(y[k]) - double(z[k])));
  CHECK(worst > 0 && worst < tolerance, "differs by %g", worst);
  Stream<float> stream(fast, 3);
  stream.process(x.data(), streamed.data(), 20);
  CHECK(streamed == z, "a stream has other bits");
  for (std::size_t i = 0; i < layer.weights().size(); ++i) {
    const auto &w = layer.weights()[i], &q = fast.weights()[i];
    CHECK(w.name == q.name && w.shape == q.shape && q.data, "%s", w.name.c_str());
    for (std::int64_t k = 0; k < w.size(); ++k)
      CHECK(std::fabs(w.data[k] - q.data[k]) <= (w.shape.size() < 2 ? 0 : 0.01), "%s", w.name.c_str());
  }
}

// Small matrices of bf16 are packed as floats: the layer is one of full precision with the rounded weights.
void check_small() {
  LayerSpec spec;
  spec.cell = Cell::lstm;
  spec.input_size = 11;
  spec.hidden_size = 13;
  Layer<float> layer(spec), rounded(spec);
  fill(layer, 3);
  const Layer<float> fast = layer.quantize(Precision::bf16);
  {
    auto edit = rounded.edit();
    for (std::size_t i = 0; i < fast.weights().size(); ++i)
      std::copy_n(fast.weights()[i].data, fast.weights()[i].size(), edit.weights()[i].data);
  }
  const auto x = random_numbers<float>(9 * 2 * 11, 8);
  std::vector<float> y(9 * 2 * 13), z(y.size());
  ForwardCall<float> call;
  call.seq_len = 9, call.batch = 2;
  call.x = {x.data(), 2 * 11, 11};
  call.y = {y.data(), 2 * 13, 13};
  fast.forward(call);
  call.y.data = z.data();
  rounded.forward(call);
  CHECK(y == z, "other bits than those of its rounded weights");
}

void check_refusals() {
  const Layer<float> layer = gru();
  Layer<float> fast = layer.quantize(Precision::int8);
  const auto refuses = [](const auto& f, const char* part) { return throws<std::invalid_argument>(f, part); };
  CHECK(refuses([&] { layer.quantize(Precision::full); }, "expected int8 or bf16"), "full");
  CHECK(refuses([&] { fast.quantize(Precision::bf16); }, "already"), "twice");
  CHECK(refuses([&] { (void)fast.edit(); }, "edit the layer of full precision"), "edit");
  CHECK(refuses([&] { Layer<double>(layer.spec()).quantize(Precision::int8); }, "float64"), "double");
  CHECK(refuses([&] { Layer<float> made(fast.spec()); }, "precision is int8"), "constructor");
  CHECK(refuses([&] { Dense<double>(DenseSpec{3, 2}).quantize(Precision::int8); }, "float64"), "dense double");
}

// Any other layer: near its float form, with the same weights by name, and for inference only. run: a call, and where
// its results go.
template <class L, class Spec, class Call, class Result>
void check_other(const char* kind, const Spec& spec, Call call, Result Call::* result, std::size_t numbers) {
  L layer(spec);
  fill(layer, 1);
  std::vector<float> y(numbers), z(numbers);
  call.*result = y.data();
  layer.forward(call);
  call.*result = z.data();
  for (const Precision precision : {Precision::int8, Precision::bf16}) {
    L fast = layer.quantize(precision);
    CHECK(fast.spec().precision == precision && layer.spec().precision == Precision::full, "%s", kind);
    fast.forward(call);
    double worst = 0;
    for (std::size_t k = 0; k < numbers; ++k) worst = std::max(worst, std::fabs(double(y[k]) - double(z[k])));
    CHECK(worst > 0 && worst < 0.05, "%s differs by %g", kind, worst);
    for (std::size_t i = 0; i < layer.weights().size(); ++i) {
      const auto &w = layer.weights()[i], &q = fast.weights()[i];
      const double tolerance = w.name.compare(0, 4, "bias") == 0 ? 0 : 0.01;
      CHECK(w.name == q.name && w.shape == q.shape && q.data, "%s", w.name.c_str());
      for (std::int64_t k = 0; k < w.size(); ++k) CHECK(std::fabs(w.data[k] - q.data[k]) <= tolerance, "%s", kind);
    }
    const auto refuses = [](const auto& f, const char* part) { return throws<std::invalid_argument>(f, part); };
    CHECK(refuses([&] { (void)fast.forward_with_tape(call); }, "train the layer of full precision"), "%s", kind);
    CHECK(refuses([&] { (void)fast.edit(); }, "edit the layer of full precision"), "%s", kind);
    CHECK(refuses([&] { fast.quantize(precision); }, "already"), "%s", kind);
    CHECK(refuses([&] { L made(fast.spec()); }, "; expected full"), "%s", kind);
  }
}

void check_trees_and_graphs() {
  const auto x = random_numbers<float>(5 * 30, 3);
  const std::vector<std::int64_t> parents{4, 4, 4, -1, -1}, slots{2, 0, 1, 0, 0}, source{0, 1, 2}, target{1, 4, 0};
  std::vector<float> c(5 * 40);
  TreeForwardCall<float> tree{5, x.data(), parents.data(), slots.data(), nullptr, c.data()};
  check_other<TreeLayer<float>>("child sum", TreeSpec{TreeCell::child_sum, 30, 40}, tree, &decltype(tree)::h, 5 * 40);
  check_other<TreeLayer<float>>("nary", TreeSpec{TreeCell::nary, 30, 40, 3}, tree, &decltype(tree)::h, 5 * 40);
  GraphForwardCall<float> graph{5, 30, x.data(), 3, source.data(), target.data()};
  check_other<GatedGraph<float>>("graph", GraphSpec{30, 2}, graph, &decltype(graph)::h, 5 * 30);
  ReadoutForwardCall<float> readout{5, x.data(), x.data()};
  check_other<GraphReadout<float>>("scores", ReadoutSpec{ReadoutKind::node_scores, 30, 30, 7}, readout,
                                   &decltype(readout)::y, 5 * 7);
}

}  // namespace

int main() {
  check_layer(Precision::int8, 0.05);
  check_layer(Precision::bf16, 0.02);
  check_small();
  check_refusals();
  check_trees_and_graphs();
  return done("quantized_layers");
}
