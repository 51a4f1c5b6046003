// The cost of Model::load for a file of about 10 MB, and of a stream on it. Prints JSON.
//
//   load FILE   where FILE may be written
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <random>
#include <vector>

#include "gru_native/gru_native.h"

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <class F>
double median_ms(const F& f) {
  std::vector<double> times;
  for (int i = 0; i < 15; ++i) {
    const double begin = now();
    f();
    times.push_back((now() - begin) * 1e3);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("expected the name of a file that may be written");
  using namespace gru_native;
  LayerSpec spec;
  spec.input_size = 64;
  spec.hidden_size = 460;
  spec.num_layers = 2;  // 2.65 million weights
  const auto layer = std::make_shared<Layer<float>>(spec);
  std::mt19937 random(7);
  std::uniform_real_distribution<float> weight(-0.04f, 0.04f);
  std::size_t bytes = 0;
  for (const auto& w : layer->edit()) {
    std::generate(w.begin(), w.end(), [&] { return weight(random); });
    bytes += static_cast<std::size_t>(w.size()) * sizeof(float);
  }
  Model({std::shared_ptr<const Layer<float>>(layer)}).save(argv[1]);
  const double load = median_ms([&] { Model::load(argv[1]); });
  const auto model = Model::load(argv[1]);
  const double stream = median_ms([&] { Stream s(model); });
  std::printf("{\"bytes\": %zu, \"load_ms\": %.2f, \"stream_ms\": %.2f}\n", bytes, load, stream);
  return std::remove(argv[1]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "load: %s\n", error.what());
  return 1;
}
