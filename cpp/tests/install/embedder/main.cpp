// Runs every cell forward, backward and as a stream, and prints a checksum of all the bits for each.
// Must compile without exceptions and RTTI; weights and inputs are exact numbers, whatever the flags.
#include <gru_native/gru_native.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#if defined(WITH_EIGEN)
bool eigen_is_right();
#else
static bool eigen_is_right() { return true; }
#endif

namespace {

class Numbers {
 public:
  template <class T>
  void fill(T* values, std::size_t n) {  // multiples of 2^-15 in [-1/2, 1/2)
    for (std::size_t i = 0; i < n; ++i) {
      word_ = word_ * 6364136223846793005u + 1442695040888963407u;
      values[i] = static_cast<T>(static_cast<int>(word_ >> 49) - 16384) / static_cast<T>(32768);
    }
  }
  template <class L>
  void fill_weights(L& layer) {
    for (const auto& weight : layer.edit()) fill(weight.data, static_cast<std::size_t>(weight.size()));
  }
  template <class T>
  std::vector<T> of(std::int64_t n) {
    std::vector<T> values(static_cast<std::size_t>(n));
    fill(values.data(), values.size());
    return values;
  }

 private:
  std::uint64_t word_ = 1;
};

class Checksum {
 public:
  template <class T>
  void add(const std::vector<T>& values) {  // FNV-1a
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (std::size_t i = 0; i < values.size() * sizeof(T); ++i) sum_ = (sum_ ^ bytes[i]) * 1099511628211u;
  }
  unsigned long long value() const { return sum_; }

 private:
  std::uint64_t sum_ = 14695981039346656037u;
};

template <class T>
void run(const char* name, gru_native::LayerSpec spec) {
  const std::int64_t steps = 23, batch = 3, inputs = spec.input_size, outputs = spec.directions() * spec.output_size();
  Numbers numbers;
  gru_native::Layer<T> layer(spec);
  numbers.fill_weights(layer);
  const std::vector<T> x = numbers.of<T>(steps * batch * inputs), dy = numbers.of<T>(steps * batch * outputs);
  std::vector<T> y(dy.size()), dx(x.size());

  gru_native::ForwardCall<T> forward;
  forward.seq_len = steps;
  forward.batch = batch;
  forward.x = {x.data(), batch * inputs, inputs};
  forward.y = {y.data(), batch * outputs, outputs};
  const auto tape = layer.forward_with_tape(forward);
  gru_native::BackwardCall<T> backward;
  backward.dy = {dy.data(), batch * outputs, outputs};
  backward.dx = {dx.data(), batch * inputs, inputs};
  layer.backward(*tape, backward);
  Checksum sum;
  sum.add(y);
  sum.add(dx);

  if (!spec.bidirectional) {
    std::vector<T> streamed(y.size());
    gru_native::Stream<T> stream(layer, batch);
    for (std::int64_t t = 0; t < steps; ++t)
      stream.process({x.data() + t * batch * inputs, batch * inputs, inputs},
                     {streamed.data() + t * batch * outputs, batch * outputs, outputs}, 1);
    if (std::memcmp(streamed.data(), y.data(), y.size() * sizeof(T)) != 0) std::printf("other bits in a stream! ");
  }
  std::printf("%s %d: %016llx y[7] = %.9g\n", name, static_cast<int>(8 * sizeof(T)), sum.value(),
              static_cast<double>(y[7]));
}

// A model, and a stream on it by the path that may not throw.
template <class T>
void run_model() {
  gru_native::LayerSpec spec;
  spec.cell = gru_native::Cell::lstm;
  spec.input_size = 2;
  spec.hidden_size = 21;
  const auto lstm = std::make_shared<gru_native::Layer<T>>(spec);
  const auto dense =
      std::make_shared<gru_native::Dense<T>>(gru_native::DenseSpec{21, 3, true, gru_native::DenseActivation::softmax});
  Numbers numbers;
  numbers.fill_weights(*lstm);
  numbers.fill_weights(*dense);
  const auto model =
      std::make_shared<const gru_native::BasicModel<T>>(std::vector<gru_native::ModelBlock<T>>{lstm, dense});

  const std::vector<T> x = numbers.of<T>(50 * 2);
  std::vector<T> y(50 * 3), streamed(y.size());
  gru_native::ModelCall<T> call;
  call.seq_len = 50;
  call.batch = 1;
  call.x = {x.data(), 2, 2};
  call.y = {y.data(), 3, 3};
  model->forward(call);
  gru_native::Stream stream(model);
  static_assert(noexcept(stream.process(x.data(), streamed.data(), 1)), "");
  for (const int t : {0, 13, 26, 39}) stream.process(x.data() + t * 2, streamed.data() + t * 3, t < 39 ? 13 : 11);
  if (std::memcmp(streamed.data(), y.data(), y.size() * sizeof(T)) != 0) std::printf("other bits in a stream! ");
  Checksum sum;
  sum.add(y);
  std::printf("model %d: %016llx y[7] = %.9g\n", static_cast<int>(8 * sizeof(T)), sum.value(),
              static_cast<double>(y[7]));
}

template <class T>
void run_all() {
  using gru_native::Cell;
  gru_native::LayerSpec spec;
  spec.input_size = 5;
  spec.hidden_size = 37;
  spec.num_layers = 2;
  spec.cell = Cell::rnn_tanh;
  run<T>("rnn", spec);
  spec.cell = Cell::gru;
  run<T>("gru", spec);
  spec.bidirectional = true;
  spec.reset_after = false;
  run<T>("gru, both ways, reset before", spec);
  spec.cell = Cell::lstm;
  run<T>("lstm, both ways", spec);
  spec.bidirectional = false;
  spec.proj_size = 11;
  run<T>("lstm, projected", spec);
  run_model<T>();
}

}  // namespace

int main() {
  if (!eigen_is_right()) return 1;
  run_all<float>();
  if (!eigen_is_right()) return 1;
  run_all<double>();
  return eigen_is_right() ? 0 : 1;
}
