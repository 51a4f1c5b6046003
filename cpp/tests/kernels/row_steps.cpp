// The steps of a row by itself have the bits of a batch's, in every ISA: products into gates, then the cell on them.
#include <algorithm>

#include "engine/matrix/panels.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

constexpr Index steps = 5;

template <class T>
void check(const Kernels<T>& kernels, const CellKernels<T>& cell, Index hidden, Index inputs, bool zero_state,
           const char* isa) {
  const auto numbers = [](Index n, unsigned seed) { return random_numbers<T>(static_cast<std::size_t>(n), seed); };
  const Index lanes = kernels.lanes, blocks = divide_up(hidden, lanes), units = blocks * lanes;
  const Index columns = units * cell.input.count, stride = units * cell.slots;
  std::vector<T> input = numbers(columns * inputs, 1), recurrent = numbers(columns * hidden, 2);
  const std::vector<T> bias = numbers(stride, 3), x = numbers(steps * inputs, 4);
  std::vector<T> h = numbers(2 * units, 5), c = numbers(units, 6);
  if (zero_state) std::fill_n(h.begin(), units, T(0));
  std::vector<T> row_h = h, row_c = c, y(static_cast<std::size_t>(steps * hidden)), row_y(y.size() + 1, T(7));

  RowSteps<T> r{};
  r.steps = steps, r.inputs = inputs, r.hidden = hidden, r.blocks = blocks;
  r.input = input.data(), r.recurrent = recurrent.data(), r.bias = bias.data();
  r.x = x.data(), r.x_step = inputs, r.y = row_y.data(), r.y_step = hidden;
  r.h[0] = row_h.data(), r.h[1] = row_h.data() + units, r.c = row_c.data();
  r.zero_state = zero_state;
  cell.row_steps(r);

  std::vector<T> gates(static_cast<std::size_t>(stride));
  const auto product = [&](const std::vector<T>& panels, Index depth, Slots slots, const T* a, const T* start) {
    Product<T> p{};
    p.panels = panels.data();
    p.width = slots.count, p.depth = depth;
    p.k_stride = slots.count * lanes, p.panel_stride = depth * p.k_stride;
    p.panel_end = blocks, p.row_end = 1;
    p.a = {a, depth, nullptr}, p.a_k_stride = 1;
    p.start = {start, 0, nullptr}, p.acc = {gates.data(), stride, nullptr};
    p.acc_panel_step = cell.slots * lanes;
    for (int v = 0; v < slots.count; ++v) p.acc_vector[v] = (slots.first + v) * lanes;
    return p;
  };
  for (Index t = 0; t < steps; ++t) {
    T *const from = h.data() + t % 2 * units, *const to = h.data() + (1 - t % 2) * units;
    gates = bias;
    kernels.product(product(input, inputs, cell.input, x.data() + t * inputs, gates.data()));
    Step<T> s{};
    s.product = product(recurrent, hidden, cell.recurrent, from, gates.data());
    s.blocks_in_panel = 1, s.block_end = blocks, s.hidden = hidden, s.rows = 1;
    s.gates = {gates.data(), stride};
    s.h_prev = {from, units, nullptr}, s.h = {to, units, nullptr}, s.c = {c.data(), units, nullptr};
    s.y = {y.data() + t * hidden, hidden, nullptr};
    cell.forward(s);
  }
  CHECK(std::equal(y.begin(), y.end(), row_y.begin()), "%s: other y, %d units, %d inputs", isa,
        static_cast<int>(hidden), static_cast<int>(inputs));
  CHECK(row_y.back() == T(7), "%s: written past y", isa);
  CHECK(std::equal(h.begin(), h.end(), row_h.begin()), "%s: other h, %d units", isa, static_cast<int>(hidden));
  CHECK(!cell.has_c || c == row_c, "%s: other c, %d units", isa, static_cast<int>(hidden));
}

template <class T>
void check(const Kernels<T>& kernels, const char* isa) {
  const FlushDenormals flush;
  int cells = 0;
  for (const CellKernels<T>& cell : kernels.cell) {
    if (!cell.row_steps) continue;
    ++cells;
    for (Index hidden = 1; hidden < 7 * kernels.lanes; hidden += hidden < 2 * kernels.lanes ? 1 : 5)
      for (const Index inputs : {1, 3, 20}) check(kernels, cell, hidden, inputs, hidden % 3 == 0, isa);
  }
#if !defined(GRU_NATIVE_COUNT)
  CHECK(cells == 2, "%s: %d cells", isa, cells);
#endif
}

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32, isa->name);
    check(isa->f64, isa->name);
  }
  return done("steps of a row");
}
