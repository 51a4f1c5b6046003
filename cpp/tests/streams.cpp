// A stream gives the bits of the whole sequence, however it is cut, and takes no memory once warm.
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include "tests/problem.h"

namespace { std::atomic<long> allocations{0}; }
void* operator new(std::size_t n) {
  ++allocations;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class T>
void check(const LayerSpec& spec, std::int64_t batch) {
  constexpr std::int64_t seq_len = 23;
  RandomCall<T> p(spec, seq_len, batch, false, 5);
  p.layer.forward(p.call());
  Stream<T> stream(p.layer, batch);
  std::vector<T> y(p.y.size());
  const auto run = [&](std::int64_t most) {
    stream.set_state({p.h0.data(), p.c0.empty() ? nullptr : p.c0.data()});
    for (std::int64_t t = 0, n = 1; t < seq_len; t += n, n = n % most + 1) {
      n = std::min(n, seq_len - t);
      const std::int64_t in = batch * spec.input_size, out = batch * p.outputs;
      stream.process({p.x.data() + t * in, in, spec.input_size}, {y.data() + t * out, out, p.outputs}, n);
    }
  };
  for (const std::int64_t most : {1, 2, 5, 23}) {
    std::fill(y.begin(), y.end(), T(0));
    run(most);
    CHECK(y == p.y, "other bits in chunks of up to %d", static_cast<int>(most));
    const States<T> s = stream.state();
    CHECK(std::equal(p.h.begin(), p.h.end(), s.h), "other final h");
    CHECK(p.c.empty() || std::equal(p.c.begin(), p.c.end(), s.c), "other final c");
  }
  set_num_threads(1);
  const long before = allocations;
  run(23);
  CHECK(allocations == before, "%ld allocations in a warm stream", allocations - before);
  stream.reset();
  for (std::size_t i = 0; i < p.h.size(); ++i) CHECK(stream.state().h[i] == 0, "state after reset");
}

}  // namespace

int main() {
  for (const std::int64_t hidden : {1, 8, 40})
    for (const std::int64_t layers : {1, 3})
      for (const LayerSpec& spec : all_cells(3, hidden, layers, false)) {
        check<float>(spec, 1);
        check<float>(spec, 3);
        check<double>(spec, 2);
      }
  CHECK(throws<std::invalid_argument>([] { Stream<float>(Layer<float>(spec_of(Cell::gru, 2, 3, 1, true)), 1); },
                                      "bidirectional"),
        "no error");
  CHECK(throws<std::invalid_argument>(
            [] { Stream<float>(Layer<float>(spec_of(Cell::gru, 2, 3)), std::int64_t(1) << 60); }, "batch_size"),
        "no error");
  return done("streams");
}
