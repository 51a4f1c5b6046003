// A step in the audio thread, one sample at a time and in blocks: our streams, the same cells by hand with Eigen, and
// RTNeural's where the build was given its folder. Prints JSON; ../audio.py makes tables of it.
//
//   audio [rounds]
//
// One input, float32, one thread, denormals flushed as programs for audio have it. All compute the same numbers, which
// is checked first.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "by_hand.h"
#include "gru_native/gru_native.h"
#if defined(WITH_RTNEURAL)
#include "rtneural.h"
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace gru_native;

constexpr int block = 64;

double now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

std::vector<float> random_numbers(std::size_t n, float limit) {
  static std::mt19937 random(7);
  std::uniform_real_distribution<float> number(-limit, limit);
  std::vector<float> all(n);
  std::generate(all.begin(), all.end(), [&] { return number(random); });
  return all;
}

struct Contender {
  const char* name;
  std::function<void(const float* x, float* y, int frames)> run;
  std::vector<double> one, in_block;  // nanoseconds a step
};

struct Row {
  const char* cell;
  int hidden;
  bool head;
  std::vector<Contender> contenders;
};

// Steps of a cell, and of a dense layer behind it.
template <class C>
struct Alone {
  C cell;
  void operator()(float x, float*& y) {
    const auto& h = cell.step(x);
    y = std::copy_n(h.data(), h.size(), y);
  }
};
template <class C, class D>
struct Chain {
  C cell;
  D head;
  void operator()(float x, float*& y) { *y++ = head.step(cell.step(x)); }
};

template <class Network>
Contender contender(const char* name, const std::shared_ptr<Network>& network) {
  return {name,
          [network](const float* x, float* y, int frames) {
            for (int t = 0; t < frames; ++t) (*network)(x[t], y);
          },
          {},
          {}};
}

struct Weights {
  std::vector<float> w, u, b_w, b_u, head_w, head_b;
  Weights(std::size_t gates, std::size_t hidden, float limit)
      : w(random_numbers(gates * hidden, limit)),
        u(random_numbers(gates * hidden * hidden, limit)),
        b_w(random_numbers(gates * hidden, limit)),
        b_u(random_numbers(gates * hidden, limit)),
        head_w(random_numbers(hidden, limit)),
        head_b(random_numbers(1, limit)) {}
};

template <class L>
void load(L& layer, const std::vector<const std::vector<float>*>& weights) {
  const auto edit = layer.edit();
  for (std::size_t i = 0; i < weights.size(); ++i)
    std::copy(weights[i]->begin(), weights[i]->end(), edit[static_cast<std::int64_t>(i)].data);
}

Contender ours(Cell cell, int hidden, bool head, const Weights& v) {
  LayerSpec spec;
  spec.cell = cell, spec.input_size = 1, spec.hidden_size = hidden;
  const auto layer = std::make_shared<Layer<float>>(spec);
  load(*layer, {&v.w, &v.u, &v.b_w, &v.b_u});
  std::vector<ModelBlock<float>> blocks;
  blocks.emplace_back(layer);
  if (head) {
    DenseSpec dense;
    dense.input_size = hidden, dense.output_size = 1;
    const auto last = std::make_shared<Dense<float>>(dense);
    load(*last, {&v.head_w, &v.head_b});
    blocks.emplace_back(last);
  }
  const auto stream = std::make_shared<Stream<float>>(std::make_shared<BasicModel<float>>(blocks), 1, 1);
  return {"gru_native", [stream](const float* x, float* y, int frames) { stream->process(x, y, frames); }, {}, {}};
}

template <class C, class D>
Contender theirs(const char* name, bool head, const Weights& v) {
  C cell(v.w.data(), v.u.data(), v.b_w.data(), v.b_u.data());
  if (!head) return contender(name, std::make_shared<Alone<C>>(Alone<C>{std::move(cell)}));
  return contender(name,
                   std::make_shared<Chain<C, D>>(Chain<C, D>{std::move(cell), D(v.head_w.data(), v.head_b.data())}));
}

template <int H>
void add(std::vector<Row>& all, bool head) {
  const float limit = 1 / std::sqrt(static_cast<float>(H));
  const Weights lstm(4, H, limit), gru(3, H, limit);
  all.push_back({"lstm", H, head, {}});
  all.back().contenders.push_back(ours(Cell::lstm, H, head, lstm));
  all.back().contenders.push_back(theirs<by_hand::Lstm<H>, by_hand::Head<H>>("Eigen", head, lstm));
#if defined(WITH_RTNEURAL)
  all.back().contenders.push_back(theirs<rtneural::Lstm<H>, rtneural::Head<H>>("RTNeural", head, lstm));
#endif
  all.push_back({"gru", H, head, {}});
  all.back().contenders.push_back(ours(Cell::gru, H, head, gru));
  all.back().contenders.push_back(theirs<by_hand::Gru<H>, by_hand::Head<H>>("Eigen", head, gru));
#if defined(WITH_RTNEURAL)
  all.back().contenders.push_back(theirs<rtneural::Gru<H>, rtneural::Head<H>>("RTNeural", head, gru));
#endif
}

// Medians of three stretches.
double of_a_step(const Contender& c, const float* x, float* y, int frames) {
  constexpr int steps = 1024;
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) {
    const double begin = now();
    for (int t = 0; t < steps; t += frames) c.run(x + t % block, y, frames);
    times.push_back((now() - begin) / steps);
  }
  return median(times);
}

void check(Row& row, const std::vector<float>& x) {
  std::vector<float> first;
  for (Contender& c : row.contenders) {
    std::vector<float> y(static_cast<std::size_t>(block * row.hidden));
    c.run(x.data(), y.data(), block);
    if (first.empty()) first = y;
    for (std::size_t i = 0; i < y.size(); ++i)
      if (!(std::fabs(y[i] - first[i]) < 1e-4F)) throw std::runtime_error(std::string(c.name) + " has other outputs");
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1) throw std::invalid_argument(std::string("rounds is ") + argv[1] + "; expected at least 1");
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040U);
#endif
  std::vector<Row> all;
  for (const bool head : {false, true})
    add<8>(all, head), add<16>(all, head), add<20>(all, head), add<40>(all, head), add<64>(all, head);
  const std::vector<float> x = random_numbers(2 * block, 1);
  std::vector<float> y(block * 64);
  for (Row& row : all) check(row, x);
  for (int round = 0; round < rounds; ++round)  // interleaved, so that drift hits all alike
    for (Row& row : all)
      for (Contender& c : row.contenders) {
        c.one.push_back(of_a_step(c, x.data(), y.data(), 1));
        c.in_block.push_back(of_a_step(c, x.data(), y.data(), block));
      }
  std::printf("{\"isa\": \"%s\", \"steps\": [", active_isa().c_str());
  const char* comma = "";
  for (const Row& row : all)
    for (const Contender& c : row.contenders) {
      std::printf("%s\n {\"cell\": \"%s\", \"hidden\": %d, \"head\": %s, \"library\": \"%s\", ", comma, row.cell,
                  row.hidden, row.head ? "true" : "false", c.name);
      std::printf("\"one\": %.1f, \"block\": %.1f}", median(c.one), median(c.in_block));
      comma = ",";
    }
  std::printf("]}\n");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "audio: %s\n", error.what());
  return 1;
}
