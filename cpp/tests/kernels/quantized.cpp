// Products with int8 and bf16 weights, every form that this CPU can run: int8 against sums of integers, exactly and
// with the same bits from every form; bf16 against sums in double. Shared out among rows and panels, no bit changes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/table.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/memory.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

std::uint16_t bf16_of(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, 4);
  const std::uint32_t low = bits & 0xffffu, up = bits >> 16;
  return static_cast<std::uint16_t>(low > 0x8000u || (low == 0x8000u && (up & 1u)) ? up + 1 : up);
}
float float_of(std::uint16_t b) {
  const std::uint32_t bits = static_cast<std::uint32_t>(b) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

struct Problem {
  Index rows, panels, depth, lanes;
  int width;
  bool int8;
  const QuantizedKernels& kernels;
  Buffer<float> scratch;
  std::vector<float> a, start, acc, scale, w;  // w: [column][k], what the narrow weights stand for, without the scale
  std::vector<std::int32_t> offset;
  std::vector<std::uint8_t> panels_;
  QuantizedWeights weights{};

  Index columns() const { return panels * width * lanes; }
  Problem(Index rows, Index panels, Index depth, Index lanes, int width, bool int8, const QuantizedKernels& kernels,
          unsigned seed)
      : rows(rows),
        panels(panels),
        depth(depth),
        lanes(lanes),
        width(width),
        int8(int8),
        kernels(kernels),
        scratch(quantized_scratch / 4),
        a(random_numbers<float>(static_cast<std::size_t>(rows * depth), seed)),
        start(random_numbers<float>(static_cast<std::size_t>(rows * columns()), seed + 1)),
        acc(static_cast<std::size_t>(rows * columns())),
        scale(random_numbers<float>(static_cast<std::size_t>(columns()), seed + 2)),
        w(random_numbers<float>(static_cast<std::size_t>(columns() * depth), seed + 3)) {
    const Index groups = (depth + kernels.group - 1) / kernels.group;
    const Index stretches = std::max<Index>(1, (depth + kernels.deepest - 1) / kernels.deepest);
    panels_.assign(static_cast<std::size_t>(columns() * groups * 4), 0);
    offset.assign(static_cast<std::size_t>(stretches * columns()), 0);
    for (Index c = 0; c < columns(); ++c)
      for (Index k = 0; k < depth; ++k) {
        float& value = w[static_cast<std::size_t>(c * depth + k)];
        const Index panel = c / (width * lanes), lane = c % (width * lanes);
        std::uint8_t* const at = panels_.data() + ((panel * groups + k / kernels.group) * width * lanes + lane) * 4;
        if (int8) {
          const int q = k % 5 == 0 ? (k % 2 ? 127 : -127) : static_cast<int>(std::lround(value * 127)) % 128;
          value = static_cast<float>(q);
          at[k % 4] = static_cast<std::uint8_t>(q);
          offset[static_cast<std::size_t>(k / kernels.deepest * columns() + c)] -= kernels.zero_point * q;
        } else {
          const std::uint16_t b = bf16_of(value);
          value = float_of(b);
          std::memcpy(at + k % 2 * 2, &b, 2);
        }
      }
    weights = {&kernels, panels_.data(), columns(), scale.data(), offset.data()};
  }
  Product<float> product() {
    Product<float> p{};
    p.quantized = &weights;
    p.scratch = scratch.data();
    p.width = width;
    p.depth = depth;
    p.panel_end = panels;
    p.row_end = rows;
    p.a = {a.data(), depth, nullptr};
    p.a_k_stride = 1;
    p.start = {start.data(), columns(), nullptr};
    p.acc = {acc.data(), columns(), nullptr};
    p.acc_panel_step = width * lanes;
    for (int v = 0; v < width; ++v) p.acc_vector[v] = v * lanes;
    return p;
  }
};

// By the definition in kernels/quantized.h, in integers.
float int8_expected(const Problem& p, Index row, Index c) {
  const float* const a = p.a.data() + row * p.depth;
  float largest = 0;
  for (Index k = 0; k < p.depth; ++k) largest = std::max(largest, std::fabs(a[k]));
  const float inverse = largest > 0 ? 127.0f / largest : 0;
  float result = p.start[static_cast<std::size_t>(row * p.columns() + c)];
  for (Index begin = 0; begin < p.depth; begin += p.kernels.deepest) {
    std::int64_t sum = 0;
    for (Index k = begin; k < std::min(p.depth, begin + p.kernels.deepest); ++k) {
      const volatile float scaled = a[k] * inverse;
      sum += static_cast<std::int64_t>(std::nearbyint(static_cast<double>(scaled))) *
             static_cast<std::int64_t>(p.w[static_cast<std::size_t>(c * p.depth + k)]);
    }
    const float factor = largest / 127.0f * p.scale[static_cast<std::size_t>(c)];
    const volatile float term = static_cast<float>(sum) * factor;  // rounded by itself: no multiply-add
    result = result + term;
  }
  return result;
}

void check(bool int8, const QuantizedKernels& kernels, Index lanes, const char* isa, const char* form) {
  unsigned seed = 1;
  for (const int width : {3, 4})
    for (const Index rows : {1, 2, 3, 5, 6, 7, 9, 70})
      for (const Index depth : {1, 3, 4, 17, 300, 1030, 40000}) {
        if (depth > 2000 && rows != 1 && rows != 3) continue;
        Problem problem(rows, 1 + rows % 4, depth, lanes, width, int8, kernels, seed++);
        Product<float> p = problem.product();
        kernels.product(p);
        for (Index row = 0; row < rows; ++row)
          for (Index c = 0; c < problem.columns(); c += depth > 2000 ? 7 : 1) {
            const float got = problem.acc[static_cast<std::size_t>(row * problem.columns() + c)];
            if (int8) {
              const float expected = int8_expected(problem, row, c);
              CHECK(got == expected, "%s %s rows %td depth %td width %d: row %td column %td is %.9g, not %.9g", isa,
                    form, rows, depth, width, row, c, static_cast<double>(got), static_cast<double>(expected));
              continue;
            }
            double sum = problem.start[static_cast<std::size_t>(row * problem.columns() + c)], size = std::fabs(sum);
            for (Index k = 0; k < depth; ++k) {
              const double term = static_cast<double>(problem.a[static_cast<std::size_t>(row * depth + k)]) *
                                  static_cast<double>(problem.w[static_cast<std::size_t>(c * depth + k)]);
              sum += term;
              size += std::fabs(term);
            }
            // 2^-8: activations rounded to bf16, which one form does.
            const double tolerance = std::string(form) == "dot" ? 1.0 / 256 : 2e-6;
            CHECK(std::fabs(got - sum) <= tolerance * size,
                  "%s %s rows %td depth %td: row %td column %td is %g, not %g of %g", isa, form, rows, depth, row, c,
                  static_cast<double>(got), sum, size);
          }

        // The same bits in parts, and in the two steps that a cell takes.
        const std::vector<float> whole = problem.acc;
        for (const bool apart : {false, true}) {
          if (apart && kernels.rows_at_once(depth) < 2) continue;
          std::fill(problem.acc.begin(), problem.acc.end(), 0.0f);
          for (Index row = 0; row < rows; row += 2) {
            p.row_begin = row, p.row_end = std::min(row + 2, rows);
            p.panel_begin = 0, p.panel_end = problem.panels;
            if (apart) kernels.convert(p);
            for (Index panel = 0; panel < problem.panels; ++panel) {
              p.panel_begin = panel, p.panel_end = panel + 1;
              (apart ? kernels.multiply : kernels.product)(p);
            }
          }
          CHECK(whole == problem.acc, "%s %s: other bits when shared out (rows %td depth %td)", isa, form, rows, depth);
        }
      }
}

// Made floats once, panel by panel, weights give the bits of products that do it each time; nothing past them changes.
void check_widened(const QuantizedKernels& kernels, const Kernels<float>& full, const char* isa) {
  for (const int width : {3, 4})
    for (const Index rows : {Index(1), kernels.wide_from, Index(9)})
      for (const Index depth : {1, 3, 4, 300}) {
        Problem problem(rows, 3, depth, full.lanes, width, false, kernels, 7);
        Product<float> p = problem.product();
        p.k_stride = width * full.lanes;
        p.panel_stride = depth * p.k_stride;
        kernels.product(p);
        const std::vector<float> expected = problem.acc;
        std::vector<float> wide(static_cast<std::size_t>(3 * p.panel_stride + 1), 9.0f);
        for (Index panel = 2; panel >= 0; --panel) {
          p.panel_begin = panel, p.panel_end = panel + 1;
          kernels.widen(p, wide.data());
        }
        CHECK(wide.back() == 9, "%s: written past the panels", isa);
        p.panel_begin = 0, p.panel_end = 3;
        p.panels = wide.data();
        p.quantized = nullptr;
        std::fill(problem.acc.begin(), problem.acc.end(), 0.0f);
        full.product(p);
        CHECK(problem.acc == expected, "%s: other bits from wide panels (rows %td depth %td)", isa, rows, depth);
      }
}

// Rows with NaN, infinity, zeros and denormals: their own sums only.
void check_strange_rows(bool int8, const QuantizedKernels& kernels, Index lanes, const char* isa, const char* form) {
  Problem problem(5, 2, 37, lanes, 4, int8, kernels, 99);
  for (Index k = 0; k < problem.depth; ++k) {
    problem.a[static_cast<std::size_t>(2 * 37 + k)] = 0;
    problem.a[static_cast<std::size_t>(3 * 37 + k)] = 1e-41f;
  }
  Product<float> p = problem.product();
  kernels.product(p);
  const std::vector<float> without = problem.acc;
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    problem.a[37 + 11] = value;
    kernels.product(p);
    for (Index row = 0; row < 5; ++row)
      for (Index c = 0; c < problem.columns(); ++c) {
        const auto at = static_cast<std::size_t>(row * problem.columns() + c);
        if (row == 1)
          CHECK(!std::isfinite(problem.acc[at]) || !int8, "%s %s: %g hid a NaN", isa, form, problem.acc[at]);
        else CHECK(problem.acc[at] == without[at], "%s %s: row %td changed", isa, form, row);
        if (row == 2 || row == 3)
          CHECK(problem.acc[at] == problem.start[at], "%s %s: a row of zeros is not 0", isa, form);
      }
    for (Index c = 0; c < problem.columns(); ++c)
      CHECK(!std::isfinite(problem.acc[static_cast<std::size_t>(problem.columns() + c)]), "%s %s: finite", isa, form);
  }
}

}  // namespace

int main() {
  const FlushDenormals flush;
  for (const IsaKernels* isa : runnable_kernels()) {
    const Index lanes = isa->f32.lanes;
    for (const QuantizedForm& form : quantized_forms(*isa)) {
      const bool int8 = form.precision == Precision::int8;
      const char* const name = form.dot ? "dot" : "plain";
      check(int8, *form.kernels, lanes, isa->name, name);
      check_strange_rows(int8, *form.kernels, lanes, isa->name, name);
      if (form.kernels->widen) check_widened(*form.kernels, isa->f32, isa->name);
    }
  }
  return done("quantized");
}
