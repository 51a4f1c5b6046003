// What it takes to pack the weights of an LSTM 512 -> 512, beside a copy of as many numbers by as many threads. `new`
// asks for the memory, too, as the first call of a new layer might; `again` packs into memory that there is. Prints
// JSON.
//
//   packing THREADS
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <random>
#include <vector>

#include "engine/matrix/panels.h"
#include "gru_native/gru_native.h"

namespace {
using namespace gru_native;

template <class F>
double seconds(const F& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Times {
  std::vector<double> of;
  void add(double seconds) { of.push_back(seconds * 1e6); }
  double median() {
    std::sort(of.begin(), of.end());
    return of[of.size() / 2];
  }
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::invalid_argument("expected a number of threads");
  set_num_threads(std::atoi(argv[1]));
  LayerSpec spec;
  spec.input_size = spec.hidden_size = 512;
  std::mt19937 random(7);
  std::uniform_real_distribution<float> weight(-0.04f, 0.04f);
  Times new_copy, copy, fresh, again;
  for (int round = 0; round < 30; ++round) {
    Layer<float> layer(spec);
    std::vector<float> numbers;
    for (const auto& w : layer.weights()) numbers.resize(numbers.size() + static_cast<std::size_t>(w.size()));
    std::generate(numbers.begin(), numbers.end(), [&] { return weight(random); });
    const Index n = static_cast<Index>(numbers.size());
    // What is read has always just been written, by this thread.
    const auto edit = [&](Times& times) {
      std::optional<WeightEdit<float>> open;
      const double begun = seconds([&] { open.emplace(layer.edit()); });
      auto number = numbers.begin();
      for (const auto& w : *open)
        for (float& x : w) x = *number++;
      times.add(begun + seconds([&] { open.reset(); }));
    };
    const auto copy_to = [&](Buffer<float>& to, Times& times, bool is_new) {
      for (float& x : numbers) x += 1e-3f;
      times.add(seconds([&] {
        if (is_new) to = Buffer<float>(n);
        copy_shared(numbers.data(), n, to.data());
      }));
    };
    Buffer<float> to;
    for (int i = 0; i < 4; ++i) to = Buffer<float>(), copy_to(to, new_copy, true);
    for (int i = 0; i < 4; ++i) edit(fresh);  // more often edited, a layer keeps the memory
    for (int i = 0; i < 4; ++i) copy_to(to, copy, false), edit(i == 0 ? fresh : again);
  }
  std::printf("{\"copy_us\": %.1f, \"new_copy_us\": %.1f, \"again\": %.3f, \"new\": %.3f}\n", copy.median(),
              new_copy.median(), again.median() / copy.median(), fresh.median() / new_copy.median());
} catch (const std::exception& error) {
  std::fprintf(stderr, "packing: %s\n", error.what());
  return 1;
}
