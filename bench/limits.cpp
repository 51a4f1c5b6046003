// What this machine allows with the instructions of one ISA: multiply-adds a second, and bytes read a second from
// each level of the memory, by one core and by all at once; how long two cores take to hear from each other. Prints
// JSON. Each figure is the best of many short runs: a limit is what the machine can do, not what it does while
// something disturbs it.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cores.h"

namespace {

using namespace cores;

#if defined(__AVX512F__)
constexpr int vector_bytes = 64, chains = 24;
#elif defined(__AVX__)
constexpr int vector_bytes = 32, chains = 12;  // 16 registers: 12 sums, two factors, two to spare
#elif defined(__aarch64__)
constexpr int vector_bytes = 16, chains = 24;
#else
constexpr int vector_bytes = 16, chains = 12;  // no FMA here: a multiplication and an addition
#endif
typedef float V __attribute__((vector_size(vector_bytes)));
constexpr int lanes = vector_bytes / sizeof(float);

constexpr double long_enough = 0.001;  // seconds: of one run

volatile float sink;

// `chains` sums that do not wait for each other: more than latency x units of any core (4 x 2 on most).
void multiply_add(long rounds) {
  V sum[chains], x, y;
  for (int k = 0; k < lanes; ++k) x[k] = 0.5f, y[k] = 0.25f;
  asm volatile("" : "+m"(x), "+m"(y));  // the compiler must not know the factors
  for (int c = 0; c < chains; ++c) sum[c] = x;
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 32
    for (int c = 0; c < chains; ++c) sum[c] = sum[c] * x + y;
  }
  for (int c = 1; c < chains; ++c) sum[0] += sum[c];
  sink = sum[0][0];
}

// Adds up a block `passes` times; with `ahead`, asks for the lines that come so many bytes later.
template <bool prefetch>
void read_block(const V* p, long vectors, long passes) {
  constexpr long unroll = 16, sums = 8, ahead = 1024;
  V sum[sums] = {};
  for (long pass = 0; pass < passes; ++pass) {
    for (long i = 0; i < vectors; i += unroll) {
      if constexpr (prefetch)
        for (long line = 0; line < unroll * vector_bytes; line += 64)
          __builtin_prefetch(reinterpret_cast<const char*>(p + i) + ahead + line);
#pragma GCC unroll 16
      for (long k = 0; k < unroll; ++k) sum[k % sums] += p[i + k];
    }
    asm volatile("" ::: "memory");  // the next pass reads again
  }
  for (long k = 1; k < sums; ++k) sum[0] += sum[k];
  sink = sum[0][0];
}

// work(core, amount) on the first `cores` processors at once: the best rate of all together over `repeats` runs, in
// amounts a second. Runs are short, so that some of them find the machine undisturbed.
class Machine {
 public:
  explicit Machine(int repeats) : cpus_(processors()), repeats_(repeats) {}
  int cores() const { return static_cast<int>(cpus_.size()); }

  double best(int cores, const std::function<void(int, long)>& work) const {
    std::vector<double> begin(cores), end(cores);
    std::atomic<int> arrived{0};
    std::atomic<long> amount{1};
    double rate = 0;
    const auto meet = [&](int round) {  // a barrier: nobody goes on before all have arrived
      ++arrived;
      while (arrived.load() < round * cores) std::this_thread::yield();
    };
    const auto body = [&](int core) {
      pin(cpus_[core]);
      if (core == 0)  // how much is one run's worth
        for (double taken = 0; taken < long_enough;) {
          const double t = now();
          work(0, amount);
          taken = now() - t;
          if (taken < long_enough)
            amount = std::max(amount * 2, static_cast<long>(amount * long_enough / std::max(taken, 1e-7)));
        }
      else work(core, 1);
      for (int r = 0; r < repeats_; ++r) {
        meet(2 * r + 1);
        begin[core] = now();
        work(core, amount);
        end[core] = now();
        meet(2 * r + 2);
        if (core == 0) {
          const double taken =
              *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
          rate = std::max(rate, static_cast<double>(amount) * cores / taken);
        }
      }
    };
    std::vector<std::thread> threads;
    for (int core = 0; core < cores; ++core) threads.emplace_back(body, core);
    for (std::thread& t : threads) t.join();
    return rate;
  }

  double handover() const { return cores() > 1 ? handover_ns(cpus_[0], cpus_[1], 25) : 0; }

 private:
  std::vector<int> cpus_;
  int repeats_;
};

struct Block {
  explicit Block(std::size_t bytes) {
    constexpr std::size_t huge = std::size_t(2) << 20;
    bytes = (bytes + 2 * huge - 1) / huge * huge;  // room to prefetch past the end
    data = static_cast<char*>(std::aligned_alloc(huge, bytes));
    if (!data) std::abort();
    madvise(data, bytes, MADV_HUGEPAGE);
    std::memset(data, 0, bytes);
  }
  char* data;
};

// The size of a data cache of the first processor, as the kernel tells it (CPUID counts all of a package's L3).
long cache_bytes(int level, long otherwise) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::string kind;
    int its_level = 0;
    long kilobytes = 0;
    std::ifstream(folder + "type") >> kind;
    std::ifstream(folder + "level") >> its_level;
    std::ifstream(folder + "size") >> kilobytes;  // "32K"
    if (its_level == level && kind != "Instruction" && kilobytes > 0) return kilobytes << 10;
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::string(argv[1]) == "--quick";
  const Machine machine(quick ? 15 : 50);
  const int cores = machine.cores();
  const long l1 = cache_bytes(1, 32 << 10), l2 = cache_bytes(2, 512 << 10);
  const long l3 = std::max(cache_bytes(3, 8 << 20), 2 * l2);
  const long memory = std::min(4 * l3, 512L << 20);

  const auto fma = [&](int n) {
    return machine.best(n, [](int, long amount) { multiply_add(amount * 1000); }) * 1000 * chains * lanes * 2 / 1e9;
  };
  std::printf("{\"isa\": \"%s\", \"cores\": %d, \"gflops\": {\"one\": %.1f, ", ISA_NAME, cores, fma(1));
  std::printf("\"all\": %.1f},\n \"handover_ns\": %.1f,\n \"levels\": [", fma(cores), machine.handover());

  std::vector<Block> blocks;
  for (int core = 0; core < cores; ++core) blocks.emplace_back(memory);
  const auto read = [&](int n, long bytes) {  // GB/s of n cores together, each in a block of its own
    bytes = std::max(bytes / (16 * vector_bytes), 1L) * 16 * vector_bytes;
    double best = 0;
    for (const bool prefetch : {false, true})
      best = std::max(best, machine.best(n, [&](int core, long passes) {
        const V* p = reinterpret_cast<const V*>(blocks[core].data);
        (prefetch ? read_block<true> : read_block<false>)(p, bytes / vector_bytes, passes);
      }));
    return best * static_cast<double>(bytes) / 1e9;
  };
  // Each level is read in blocks that lie well inside it and well outside the level above.
  struct {
    const char* name;
    long capacity, alone, shared;
  } const levels[] = {{"L1", l1, l1 * 3 / 4, l1 * 3 / 4},
                      {"L2", l2, l2 * 5 / 8, l2 * 5 / 8},
                      {"L3", l3, std::max(l3 / 4, 2 * l2), std::max(l3 / 4 / cores, 2 * l2)},
                      {"memory", 0, memory, std::max(memory / cores, 32L << 20)}};
  for (const auto& level : levels) {
    std::printf("%s\n  {\"name\": \"%s\", \"capacity\": %ld, ", &level == levels ? "" : ",", level.name,
                level.capacity);
    std::printf("\"one\": %.1f, \"all\": %.1f}", read(1, level.alone), read(cores, level.shared));
  }
  std::printf("],\n \"curve\": [");
  for (long bytes = 16 << 10; bytes <= memory / cores; bytes *= 2)
    std::printf("%s\n  {\"bytes\": %ld, \"one\": %.1f, \"all\": %.1f}", bytes == 16 << 10 ? "" : ",", bytes,
                read(1, bytes), read(cores, bytes));
  std::printf("]}\n");
}
