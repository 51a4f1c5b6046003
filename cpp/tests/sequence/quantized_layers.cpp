// Layers and dense layers with weights of few bits, from C++: what they are made of, that a step asks for no memory,
// and what they refuse.
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

}  // namespace

int main() {
  check_layer(Precision::int8, 0.05);
  check_layer(Precision::bf16, 0.02);
  check_small();
  check_refusals();
  return done("quantized_layers");
}
