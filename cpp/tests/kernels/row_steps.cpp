// The steps of a row by itself have the bits of a batch's, in every ISA: products into gates, then the cell on them.
#include <algorithm>
#include <cstring>

#include "engine/matrix/panels.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

constexpr Index steps = 5;

// Panels of blocks of units, as numbers or, of a form, of few bits.
template <class T>
struct Panels {
  std::vector<T> numbers;
  std::vector<std::uint8_t> bytes;
  std::vector<float> scale;
  std::vector<std::int32_t> offset;
  QuantizedWeights weights{};
  bool few_bits = false;

  Panels(Index columns, Index panel, Index depth, const QuantizedKernels* form, unsigned seed)
      : numbers(random_numbers<T>(static_cast<std::size_t>(columns * depth), seed)), few_bits(form) {
    if (!form) return;
    const Index groups = divide_up(depth, form->group);
    bytes.assign(static_cast<std::size_t>(columns * groups * 4), 0);
    offset.assign(static_cast<std::size_t>(columns), 0);
    scale = random_numbers<float>(static_cast<std::size_t>(columns), seed + 1, 0.01);
    for (Index c = 0; c < columns; ++c)
      for (Index k = 0; k < depth; ++k) {
        const auto number = static_cast<float>(numbers[static_cast<std::size_t>(c * depth + k)]);
        std::uint8_t* const lane = bytes.data() + ((c / panel * groups + k / form->group) * panel + c % panel) * 4;
        if (form->group == 4) {
          const int q = std::clamp(static_cast<int>(40 * number), -127, 127);
          lane[k % 4] = static_cast<std::uint8_t>(q);
          offset[static_cast<std::size_t>(c)] -= form->zero_point * q;
        } else {
          std::uint32_t bits;
          std::memcpy(&bits, &number, 4);
          const auto upper = static_cast<std::uint16_t>(bits >> 16);
          std::memcpy(lane + k % 2 * 2, &upper, 2);
        }
      }
    weights = {form, bytes.data(), columns, scale.data(), offset.data()};
  }
  const QuantizedWeights* of_few_bits() const { return few_bits ? &weights : nullptr; }
};

// The forms of both products; null: numbers.
struct Forms {
  const QuantizedKernels *input, *recurrent;
};

template <class T>
void check(const Kernels<T>& kernels, const CellKernels<T>& cell, void (*row_steps)(const RowSteps<T>&), Forms forms,
           Index hidden, Index inputs, bool zero_state, const char* isa) {
  const auto numbers = [](Index n, unsigned seed) { return random_numbers<T>(static_cast<std::size_t>(n), seed); };
  const Index lanes = kernels.lanes, blocks = divide_up(hidden, lanes), units = blocks * lanes;
  const Index columns = units * cell.input.count, stride = units * cell.slots;
  const Index panel = lanes * cell.input.count;
  const Panels<T> input(columns, panel, inputs, forms.input, 1), recurrent(columns, panel, hidden, forms.recurrent, 8);
  const std::vector<T> bias = numbers(stride, 3), x = numbers(steps * inputs, 4);
  std::vector<T> h = numbers(2 * units, 5), c = numbers(units, 6);
  if (zero_state) std::fill_n(h.begin(), units, T(0));
  std::vector<T> row_h = h, row_c = c, y(static_cast<std::size_t>(steps * hidden)), row_y(y.size() + 1, T(7));

  RowSteps<T> r{};
  r.steps = steps, r.inputs = inputs, r.hidden = hidden, r.blocks = blocks;
  r.input = input.numbers.data(), r.recurrent = recurrent.numbers.data(), r.bias = bias.data();
  r.few_bits_of_input = input.of_few_bits(), r.few_bits_of_recurrent = recurrent.of_few_bits();
  r.x = x.data(), r.x_step = inputs, r.y = row_y.data(), r.y_step = hidden;
  r.h[0] = row_h.data(), r.h[1] = row_h.data() + units, r.c = row_c.data();
  r.zero_state = zero_state;
  row_steps(r);

  std::vector<T> gates(static_cast<std::size_t>(stride));
  const auto product = [&](const Panels<T>& panels, Index depth, Slots slots, const T* a, const T* start) {
    Product<T> p{};
    p.panels = panels.numbers.data();
    p.quantized = panels.of_few_bits();
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
    if (!recurrent.of_few_bits() && hidden <= most_k_in_two_sums) s.product.sums = 2;
    s.blocks_in_panel = 1, s.block_end = blocks, s.hidden = hidden, s.rows = 1;
    s.gates = {gates.data(), stride};
    s.h_prev = {from, units, nullptr}, s.h = {to, units, nullptr}, s.c = {c.data(), units, nullptr};
    s.y = {y.data() + t * hidden, hidden, nullptr};
    cell.forward(s);
  }
  CHECK(std::equal(y.begin(), y.end(), row_y.begin()), "%s: other y, %d units, %d inputs", isa,
        static_cast<int>(hidden), static_cast<int>(inputs));
  CHECK(row_y.back() == T(7), "%s: written past y", isa);
  // What pads the units is nobody's: half vectors leave it alone.
  const auto same = [&](const std::vector<T>& of_batch, const std::vector<T>& of_row, Index begin) {
    return std::equal(of_batch.begin() + begin, of_batch.begin() + begin + hidden, of_row.begin() + begin);
  };
  for (const Index begin : {Index(0), units})
    CHECK(same(h, row_h, begin), "%s: other h, %d units", isa, static_cast<int>(hidden));
  CHECK(!cell.has_c || same(c, row_c, 0), "%s: other c, %d units", isa, static_cast<int>(hidden));
}

template <class T>
void check(const Kernels<T>& kernels, const CellKernels<T>& cell, void (*row_steps)(const RowSteps<T>&), Forms forms,
           const char* isa) {
  for (Index hidden = 1; hidden < 7 * kernels.lanes; hidden += hidden < 2 * kernels.lanes ? 1 : 5)
    for (const Index inputs : {1, 3, 20}) check(kernels, cell, row_steps, forms, hidden, inputs, hidden % 3 == 0, isa);
}

template <class T>
void check(const Kernels<T>& kernels, const char* isa) {
  int cells = 0;
  for (const CellKernels<T>& cell : kernels.cell) {
    if (!cell.row_steps) continue;
    ++cells;
    check(kernels, cell, cell.row_steps, {}, isa);
  }
#if !defined(GRU_NATIVE_COUNT)
  CHECK(cells == 2, "%s: %d cells", isa, cells);
#endif
}

// Where matrices of few columns stay numbers, one may be of few bits, or both.
void check(const Kernels<float>& kernels, const QuantizedKernels& form, const char* isa) {
  for (int kind = 0; kind < cell_kinds; ++kind) {
    if (!form.row_steps[kind]) continue;
    const CellKernels<float>& cell = kernels.cell[kind];
    check(kernels, cell, form.row_steps[kind], {&form, &form}, isa);
    check(kernels, cell, form.row_steps[kind], {nullptr, &form}, isa);
    check(kernels, cell, form.row_steps[kind], {&form, nullptr}, isa);
  }
}

}  // namespace

int main() {
  const FlushDenormals flush;
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32, isa->name);
    check(isa->f64, isa->name);
    for (const QuantizedForm& form : quantized_forms(*isa)) check(isa->f32, *form.kernels, isa->name);
  }
  return done("steps of a row");
}
