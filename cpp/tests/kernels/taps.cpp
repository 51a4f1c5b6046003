// The products of convolutions of every ISA, depthwise ones too, the gradients of their weights and levels of 8 bits
// against plain ones in long double, and that cuts of k, of rows, of panels and of channels change no bit.
#include <algorithm>
#include <cmath>

#include "runtime/dispatch.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

// Rows that begin at even places of an image, in three runs, of which the last comes first in memory.
template <class T>
struct Problem {
  Index rows, columns, depth = 26;
  std::vector<Run> runs{{70, 0, 12}, {90, 12, 4}, {0, 16, 10}};
  std::vector<Index> offset;
  std::vector<T> image, weight, start;  // weight: [column][k]

  Problem(Index rows, Index columns, unsigned seed)
      : rows(rows),
        columns(columns),
        image(random_numbers<T>(static_cast<std::size_t>(2 * rows + 200), seed)),
        weight(random_numbers<T>(static_cast<std::size_t>(columns * depth), seed + 1)),
        start(random_numbers<T>(static_cast<std::size_t>(columns), seed + 2)) {
    for (Index row = 0; row < rows; ++row) offset.push_back((row * 7 % rows) * 2);
  }
  std::vector<T> panels(Index of_panel, bool pairs) const {
    std::vector<T> made;
    for (Index panel = 0; panel < columns; panel += of_panel)
      for (Index k = 0; k < depth; k += 1 + pairs)
        for (Index c = panel; c < panel + of_panel; ++c)
          for (Index odd = 0; odd <= pairs; ++odd)
            made.push_back(weight[static_cast<std::size_t>(c * depth + k + odd)]);
    return made;
  }
  TapsProduct<T> product(const std::vector<T>& panels, Index panel_count, std::vector<T>& acc) const {
    TapsProduct<T> p{};
    p.panels = panels.data();
    p.panel_stride = static_cast<Index>(panels.size()) / panel_count;
    p.panel_end = panel_count;
    p.k_end = depth;
    p.a = {image.data(), 0, offset.data()};
    p.runs = runs.data();
    p.run_count = static_cast<Index>(runs.size());
    p.start = {start.data(), 0, nullptr};
    p.acc = {acc.data(), columns, nullptr};
    p.row_end = rows;
    return p;
  }
  void check_sums(const std::vector<T>& acc, const char* isa) const {
    const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;
    for (Index row = 0; row < rows; ++row)
      for (Index c = 0; c < columns; ++c) {
        long double sum = start[static_cast<std::size_t>(c)];
        for (const Run& run : runs)
          for (Index k = 0; k < run.depth; ++k)
            sum += static_cast<long double>(
                       image[static_cast<std::size_t>(offset[static_cast<std::size_t>(row)] + run.from + k)]) *
                   weight[static_cast<std::size_t>(c * depth + run.first + k)];
        const T got = acc[static_cast<std::size_t>(row * columns + c)];
        CHECK(std::fabs(static_cast<double>(got - sum)) <= tolerance * (1 + std::fabs(static_cast<double>(sum))),
              "%s %td rows, %td columns: [%td][%td] is %g", isa, rows, columns, row, c, static_cast<double>(got));
      }
    for (std::size_t i = static_cast<std::size_t>(rows * columns); i < acc.size(); ++i)
      CHECK(acc[i] == 7, "%s %td rows, %td columns: written behind them", isa, rows, columns);
  }
};

template <class T>
void check_products(const Kernels<T>& kernels, const char* isa) {
  for (const Index rows : {1, 2, 5, 12, 13, 70})
    for (int width = 1; width <= 4; ++width) {
      const Problem<T> problem(rows, 2 * width * kernels.lanes, static_cast<unsigned>(rows + width));
      const std::vector<T> panels = problem.panels(width * kernels.lanes, false);
      std::vector<T> acc(static_cast<std::size_t>(rows * problem.columns + 8), T(7)), cut = acc;
      TapsProduct<T> p = problem.product(panels, 2, acc);
      p.width = width;
      kernels.taps.product(p);
      problem.check_sums(acc, isa);
      p.acc.base = cut.data();
      for (const Index k : {Index(0), Index(5), Index(14)}) {  // within runs
        p.k_begin = k, p.k_end = k == 0 ? 5 : k == 5 ? 14 : problem.depth;
        for (Index panel = 2; panel-- > 0;)
          for (const bool second : {false, true}) {
            p.panel_begin = panel, p.panel_end = panel + 1;
            p.row_begin = second ? rows / 2 : 0, p.row_end = second ? rows : rows / 2;
            if (p.row_begin < p.row_end) kernels.taps.product(p);
          }
        p.start = {cut.data(), problem.columns, nullptr};
      }
      CHECK(cut == acc, "%s %td rows, width %d: other bits in parts", isa, rows, width);
    }
}

void check_pairs(const Kernels<float>& kernels, const char* isa) {
  for (const Index rows : {1, 2, 5, 12, 13, 70})
    for (const int halves : {1, 2, 3, 5}) {
      const Problem<float> problem(rows, halves * kernels.lanes / 2, static_cast<unsigned>(rows + halves));
      const std::vector<float> panels = problem.panels(problem.columns, true);
      std::vector<float> acc(static_cast<std::size_t>(rows * problem.columns + 8), 7), alone = acc;
      TapsProduct<float> p = problem.product(panels, 1, acc);
      p.width = 1;
      p.halves = halves;
      kernels.taps.product(p);
      problem.check_sums(acc, isa);
      p.acc.base = alone.data();
      for (Index row = rows; row-- > 0;) {
        p.row_begin = row, p.row_end = row + 1;
        kernels.taps.product(p);
      }
      CHECK(alone == acc, "%s %td rows, %d halves: other bits alone", isa, rows, halves);
    }
}

template <class T>
void check_gradients(const Kernels<T>& kernels, const char* isa) {
  const Index rows = 37, lanes = kernels.lanes;
  for (const Index columns : {Index(1), lanes, 2 * lanes + 1, 3 * lanes, 4 * lanes, 5 * lanes - 1, 7 * lanes})
    for (const Index outputs : {1, 3, 8, 13}) {
      const auto x = random_numbers<T>(static_cast<std::size_t>(2 * rows + 8 * lanes), 1);
      const auto d = random_numbers<T>(static_cast<std::size_t>(rows * 14), 2);
      std::vector<Index> offset;
      for (Index row = 0; row < rows; ++row) offset.push_back(2 * (rows - 1 - row));
      const Index stride = (columns + lanes - 1) / lanes * lanes;
      std::vector<T> dw(static_cast<std::size_t>(outputs * stride), T(NAN)), cut = dw;
      TapsGradient<T> g{0,         rows,  {x.data(), 0, offset.data()}, {d.data(), 14, nullptr}, columns, 0, outputs,
                        dw.data(), stride};
      kernels.taps.gradient(g);
      for (Index o = 0; o < outputs; ++o)
        for (Index c = 0; c < columns; ++c) {
          long double sum = 0;
          for (Index row = 0; row < rows; ++row)
            sum += static_cast<long double>(d[static_cast<std::size_t>(row * 14 + o)]) *
                   x[static_cast<std::size_t>(offset[static_cast<std::size_t>(row)] + c)];
          CHECK(std::fabs(static_cast<double>(dw[static_cast<std::size_t>(o * stride + c)] - sum)) <=
                    (sizeof(T) == 4 ? 1e-4 : 1e-12),
                "%s %td columns: gradient [%td][%td]", isa, columns, o, c);
        }
      g.dw = cut.data();
      for (const Index end : {Index(11), rows}) {
        g.row_begin = end == rows ? 11 : 0, g.row_end = end;
        for (g.output_begin = 0; g.output_begin < outputs; g.output_begin = g.output_end) {
          g.output_end = std::min(outputs, g.output_begin + 5);
          kernels.taps.gradient(g);
        }
      }
      CHECK(cut == dw, "%s %td columns, %td outputs: other bits in parts", isa, columns, outputs);
    }
}

// Runs of one k in another order than in memory; x ends behind the last channel of the last row.
template <class T>
void check_depthwise(const Kernels<T>& kernels, const char* isa) {
  const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-12;
  const std::vector<Run> runs{{50, 1, 1}, {0, 0, 1}, {7, 2, 1}, {23, 10, 1}, {24, 9, 1}, {49, 3, 1},
                              {2, 4, 1},  {9, 5, 1}, {9, 7, 1}, {11, 6, 1},  {12, 8, 1}};
  const Index lanes = kernels.lanes, step = 3;
  for (const Index rows : {1, 2, 7, 8, 9, 150})
    for (const Index channels : {Index(1), Index(3), lanes, 2 * lanes + 1, 4 * lanes - 1}) {
      const Index stride = (channels + lanes - 1) / lanes * lanes;
      const auto x = random_numbers<T>(static_cast<std::size_t>((rows - 1) * step + 50 + channels), 1);
      const auto start = random_numbers<T>(static_cast<std::size_t>(channels), 2);
      const auto weight = random_numbers<T>(static_cast<std::size_t>(11 * stride), 3);
      std::vector<T> acc(static_cast<std::size_t>(rows * channels + 8), T(7)), cut = acc;
      DepthwiseProduct<T> p{};
      p.weights = weight.data();
      p.stride = stride;
      p.a = {x.data(), step, nullptr};
      p.runs = runs.data();
      p.run_count = static_cast<Index>(runs.size());
      p.start = {start.data(), 0, nullptr};
      p.acc = {acc.data(), channels, nullptr};
      p.channels = channels;
      p.row_end = rows;
      kernels.taps.depthwise(p);
      const auto x_at = [&](Index row, const Run& run, Index c) {
        return static_cast<long double>(x[static_cast<std::size_t>(row * step + run.from + c)]);
      };
      for (Index row = 0; row < rows; ++row)
        for (Index c = 0; c < channels; ++c) {
          long double sum = start[static_cast<std::size_t>(c)];
          for (const Run& run : runs)
            sum += x_at(row, run, c) * weight[static_cast<std::size_t>(run.first * stride + c)];
          CHECK(std::fabs(static_cast<double>(acc[static_cast<std::size_t>(row * channels + c)] - sum)) <= tolerance,
                "%s %td rows, %td channels: depthwise [%td][%td]", isa, rows, channels, row, c);
        }
      CHECK(acc.back() == 7, "%s %td rows, %td channels: written behind them", isa, rows, channels);
      p.acc.base = cut.data();
      for (Index row = rows; row-- > 0;) p.row_begin = row, p.row_end = row + 1, kernels.taps.depthwise(p);
      CHECK(cut == acc, "%s %td rows, %td channels: other bits alone", isa, rows, channels);

      const auto long_x = random_numbers<T>(static_cast<std::size_t>(rows * step + 50 + stride), 4);
      const auto d = random_numbers<T>(static_cast<std::size_t>((rows + 1) * stride), 5);
      std::vector<T> dw(static_cast<std::size_t>(11 * stride), T(NAN)), parts = dw;
      DepthwiseGradient<T> g{};
      g.x = {long_x.data(), step, nullptr};
      g.d = {d.data(), channels, nullptr};
      g.runs = runs.data();
      g.run_count = p.run_count;
      g.row_end = rows;
      g.channel_end = channels;
      g.dw = dw.data();
      g.dw_stride = stride;
      GRU_NATIVE_COUNTING(g.channels = channels);
      kernels.taps.depthwise_gradient(g);
      for (std::size_t i = 0; i < runs.size(); ++i)
        for (Index c = 0; c < channels; ++c) {
          long double sum = 0;
          for (Index row = 0; row < rows; ++row)
            sum += static_cast<long double>(d[static_cast<std::size_t>(row * channels + c)]) *
                   long_x[static_cast<std::size_t>(row * step + runs[i].from + c)];
          const T got = dw[i * static_cast<std::size_t>(stride) + static_cast<std::size_t>(c)];
          CHECK(std::fabs(static_cast<double>(got - sum)) <= tolerance,
                "%s %td rows, %td channels: gradient [%zu][%td]", isa, rows, channels, i, c);
        }
      g.dw = parts.data();
      for (g.channel_begin = 0; g.channel_begin < channels; g.channel_begin += lanes) {
        g.channel_end = std::min(channels, g.channel_begin + lanes);
        for (const Index begin : {Index(0), rows / 2}) {
          g.row_begin = begin, g.row_end = begin == 0 && rows > 1 ? rows / 2 : rows;
          kernels.taps.depthwise_gradient(g);
        }
      }
      CHECK(parts == dw, "%s %td rows, %td channels: other bits in parts", isa, rows, channels);
    }
}

void check_levels(const Kernels<float>& kernels, const char* isa) {
  for (Index n = 1; n < 40; ++n) {
    const auto a = random_numbers<float>(static_cast<std::size_t>(n), static_cast<unsigned>(n));
    float low = 9, high = 9;
    kernels.taps.range(a.data(), n, &low, &high);
    CHECK(low == std::min(0.0f, *std::min_element(a.begin(), a.end())), "%s: %td numbers, the least is %g", isa, n,
          static_cast<double>(low));
    CHECK(high == std::max(0.0f, *std::max_element(a.begin(), a.end())), "%s: %td numbers, the largest is %g", isa, n,
          static_cast<double>(high));
    std::vector<float> y(static_cast<std::size_t>(n + 1), 7);
    kernels.taps.to_levels(a.data(), n, 0.3f, 4, 0.5f, y.data());
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK(y[i] == 0.5f * std::min(4.0f, std::nearbyint(a[i] / 0.3f)), "%s: level of %g is %g", isa,
            static_cast<double>(a[i]), static_cast<double>(y[i]));
    CHECK(y.back() == 7, "%s: %td numbers and one more are written", isa, n);
  }
}

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) {
    check_products(isa->f32, isa->name);
    check_products(isa->f64, isa->name);
    check_pairs(isa->f32, isa->name);
    check_gradients(isa->f32, isa->name);
    check_gradients(isa->f64, isa->name);
    check_depthwise(isa->f32, isa->name);
    check_depthwise(isa->f64, isa->name);
    check_levels(isa->f32, isa->name);
  }
  return done("taps");
}
