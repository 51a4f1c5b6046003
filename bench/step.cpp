// One step at a time from C++: the time of a step and the memory that it asks for. Prints JSON.
//
//   step [--quick] [--cells lstm,gru,rnn] [--threads 1,2]
//
// "stream" is Stream::process with one step, "block" with 64 (its time is that of one step, too); "forward" is
// Layer::forward with one step, the row T=1 of compare.py without the cost of a call from Python.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "gru_native/gru_native.h"

// --- every request for memory is counted: operator new here, the C functions through the linker's --wrap

namespace { std::atomic<long> allocations{0}; }

#if defined(COUNT_MALLOC)
#define COUNTED(result, name, declared, passed) \
  extern "C" result __real_##name declared;     \
  extern "C" result __wrap_##name declared {    \
    ++allocations;                              \
    return __real_##name passed;                \
  }
COUNTED(void*, malloc, (std::size_t n), (n))
COUNTED(void*, calloc, (std::size_t n, std::size_t size), (n, size))
COUNTED(void*, realloc, (void* p, std::size_t n), (p, n))
COUNTED(void*, aligned_alloc, (std::size_t alignment, std::size_t n), (alignment, n))
COUNTED(int, posix_memalign, (void** p, std::size_t alignment, std::size_t n), (p, alignment, n))
COUNTED(void*, mmap, (void* p, std::size_t n, int access, int kind, int file, long offset),
        (p, n, access, kind, file, offset))
#undef COUNTED
#else
#define COUNT_NEW ++allocations
#endif
#if !defined(COUNT_NEW)
#define COUNT_NEW (void)0  // malloc counts it
#endif

void* operator new(std::size_t n) {
  COUNT_NEW;
  if (void* p = std::malloc(n ? n : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using gru_native::Cell;
using gru_native::Layer;
using gru_native::Stream;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

constexpr int inputs = 16;   // different ones in turn
constexpr int in_block = 64;  // steps

struct Work {
  const char* what;  // "stream", "block" or "forward"
  std::string cell;
  std::int64_t input, hidden;
  int threads;
  std::shared_ptr<Layer<float>> layer;
  std::unique_ptr<Stream<float>> stream;
  std::vector<float> x, y, h, c;
  std::vector<double> seconds;
  long allocations = 0;

  void step(long k) {
    const float* input_k = x.data() + k % inputs * input;
    if (stream) {
      stream->process(input_k, y.data(), static_cast<std::size_t>(at_once()));
    } else {
      gru_native::ForwardCall<float> call;
      call.seq_len = call.batch = 1;
      call.x = {input_k, input, input};
      call.y = {y.data(), hidden, hidden};
      call.final = {h.data(), cell == "lstm" ? c.data() : nullptr};
      layer->forward(call);
    }
  }
  int at_once() const { return std::strcmp(what, "block") == 0 ? in_block : 1; }
  double calls(long n) {
    const double begin = now();
    for (long k = 0; k < n; ++k) step(k);
    return now() - begin;
  }
  // Median of 5 stretches of about a fifth of a millisecond each, after as much to warm up.
  void measure() {
    gru_native::set_num_threads(threads);
    long n = 1;
    for (double taken = 0; (taken = calls(n)) < 2e-4;) n = std::max(2 * n, static_cast<long>(n * 2e-4 / taken));
    const long before = ::allocations;
    double five[5];
    for (double& one : five) one = calls(n) / static_cast<double>(n * at_once());
    allocations += ::allocations - before;
    seconds.push_back(median({five, five + 5}));
  }
};

Cell cell_of(const std::string& name) {
  if (name == "lstm") return Cell::lstm;
  if (name == "gru") return Cell::gru;
  if (name == "rnn") return Cell::rnn_tanh;
  throw std::invalid_argument("--cells has " + name + "; expected lstm, gru or rnn");
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

void add(std::vector<Work>& all, const char* what, const std::string& cell, std::int64_t input, std::int64_t hidden,
         const std::vector<int>& threads) {
  gru_native::LayerSpec spec;
  spec.cell = cell_of(cell);
  spec.input_size = input;
  spec.hidden_size = hidden;
  const auto layer = std::make_shared<Layer<float>>(spec);
  std::mt19937 random(7);
  const float bound = 1 / std::sqrt(static_cast<float>(hidden));
  std::uniform_real_distribution<float> weight(-bound, bound), number(-1, 1);
  for (const auto& w : layer->edit()) {
    std::generate(w.begin(), w.end(), [&] { return weight(random); });
  }
  for (const int n : threads) {
    Work work{what, cell, input, hidden, n, layer, nullptr, {}, {}, {}, {}, {}};
    if (std::strcmp(what, "forward") != 0) work.stream = std::make_unique<Stream<float>>(*layer, 1, n);
    work.x.resize(static_cast<std::size_t>((inputs + in_block) * input));
    std::generate(work.x.begin(), work.x.end(), [&] { return number(random); });
    for (auto* out : {&work.y, &work.h, &work.c}) out->resize(static_cast<std::size_t>(work.at_once() * hidden));
    all.push_back(std::move(work));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  bool quick = false;
  std::vector<std::string> cells{"lstm", "gru"};
  std::vector<int> threads{1, 2};
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") {
      quick = true;
    } else if (option == "--cells" && i + 1 < argc) {
      cells = split(argv[++i]);
    } else if (option == "--threads" && i + 1 < argc) {
      threads.clear();
      for (const std::string& n : split(argv[++i])) threads.push_back(std::stoi(n));
    } else {
      throw std::invalid_argument(option + " is not an option; expected --quick, --cells or --threads with a list");
    }
  }
  std::vector<Work> all;
  for (const std::string& cell : cells) {
    for (const char* what : {"stream", "block"}) {
      for (const int hidden : {8, 16, 20, 40, 64}) add(all, what, cell, 1, hidden, threads);
      for (const int size : {64, 128, 256}) add(all, what, cell, size, size, threads);
    }
    for (const int size : {64, 128, 256, 512, 1024}) add(all, "forward", cell, size, size, threads);
  }
  const int rounds = quick ? 5 : 25;
  for (int round = 0; round < rounds; ++round)  // interleaved, so that drift hits all alike
    for (Work& work : all) {
      work.measure();
    }
  std::printf("{\"isa\": \"%s\", \"steps\": [", gru_native::active_isa().c_str());
  const char* comma = "";
  for (const Work& w : all) {
    std::printf("%s\n {\"what\": \"%s\", \"cell\": \"%s\", \"input\": %ld, \"hidden\": %ld, \"threads\": %d, ", comma,
                w.what, w.cell.c_str(), static_cast<long>(w.input), static_cast<long>(w.hidden), w.threads);
    std::printf("\"ns\": %.1f, \"allocations\": %ld}", median(w.seconds) * 1e9, w.allocations);
    comma = ",";
  }
  std::printf("]}\n");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "step: %s\n", error.what());
  return 1;
}
