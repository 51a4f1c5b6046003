// The matrix product, turned rows, layer normalisation and softmax of every ISA against plain ones in long double, for
// all tile heights, layouts and orders, and the product's promise: the same bits however rows and panels are shared
// out.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "gru_native/dense.h"
#include "gru_native/runtime.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/memory.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

template <class T>
struct Problem {
  Index rows, panels, depth, lanes;
  int width;
  bool strided;  // a down its columns, panels with gaps, as for gradients of weights
  std::vector<T> a, w, start, acc;

  Index columns() const { return panels * width * lanes; }
  Problem(Index rows, Index panels, Index depth, Index lanes, int width, bool strided, unsigned seed)
      : rows(rows),
        panels(panels),
        depth(depth),
        lanes(lanes),
        width(width),
        strided(strided),
        a(random_numbers<T>(static_cast<std::size_t>(rows * depth + 8), seed)),
        w(random_numbers<T>(static_cast<std::size_t>((columns() + 5) * depth), seed + 1)),
        start(random_numbers<T>(static_cast<std::size_t>(rows * columns()), seed + 2)),
        acc(static_cast<std::size_t>(rows * columns())) {}

  T a_at(Index row, Index k) const { return strided ? a[k * rows + row] : a[row * depth + k]; }
  T w_at(Index k, Index column) const {
    if (strided) return w[k * (columns() + 5) + column];
    const Index panel = column / (width * lanes), within = column % (width * lanes);
    return w[(panel * depth + k) * width * lanes + within];
  }
  Product<T> product() {
    Product<T> p{};
    p.panels = w.data();
    p.width = width;
    p.depth = depth;
    p.k_stride = strided ? columns() + 5 : width * lanes;
    p.panel_stride = strided ? width * lanes : depth * width * lanes;
    p.panel_end = panels;
    p.row_end = rows;
    p.a = {a.data(), strided ? 1 : depth, nullptr};
    p.a_k_stride = strided ? rows : 1;
    p.start = {start.data(), columns(), nullptr};
    p.acc = {acc.data(), columns(), nullptr};
    p.acc_panel_step = width * lanes;
    for (int v = 0; v < width; ++v) p.acc_vector[v] = v * lanes;
    return p;
  }
};

// In two sums, and of the first vector of one panel alone. Each row by itself has the bits that it has among others.
template <class T>
void check_orders(const Kernels<T>& kernels, const char* isa) {
  unsigned seed = 1;
  for (const int width : {3, 4})
    for (const Index rows : {1, 2, 3, 5, 7, 8, 13, 70})
      for (const Index depth : {1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 16, 65})
        for (const bool narrow : {false, true}) {
          if (narrow ? width == 3 : depth > most_k_in_two_sums) continue;
          Problem<T> problem(rows, narrow ? 1 : 2, depth, kernels.lanes, width, false, seed++);
          const T untouched = 7;
          problem.acc.assign(problem.acc.size(), untouched);
          Product<T> p = problem.product();
          if (narrow) p.width = 1;
          p.sums = narrow ? 4 : 2;
          kernels.product(p);
          for (Index row = 0; row < rows; ++row)
            for (Index c = 0; c < problem.columns(); ++c) {
              const T got = problem.acc[row * problem.columns() + c];
              if (narrow && c >= kernels.lanes) {
                CHECK(got == untouched, "%s: a narrow product wrote to column %td", isa, c);
                continue;
              }
              const Index sums = narrow ? 4 : 2;
              std::vector<long double> sum(static_cast<std::size_t>(sums), 0);
              long double size = std::fabs(problem.start[row * problem.columns() + c]);
              sum[0] = problem.start[row * problem.columns() + c];
              for (Index k = 0; k < depth; ++k) {
                const long double term = static_cast<long double>(problem.a_at(row, k)) * problem.w_at(k, c);
                sum[static_cast<std::size_t>(k % sums)] += term;
                size += std::fabs(term);
              }
              const long double all = narrow ? sum[0] + sum[1] + (sum[2] + sum[3]) : sum[0] + sum[1];
              const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-15;
              CHECK(std::fabs(static_cast<double>(got - all)) <= tolerance * static_cast<double>(size),
                    "%s rows %td depth %td width %d: row %td column %td", isa, rows, depth, p.width, row, c);
            }
          const std::vector<T> whole = problem.acc;
          problem.acc.assign(problem.acc.size(), untouched);
          for (Index row = rows - 1; row >= 0; --row) {
            p.row_begin = row, p.row_end = row + 1;
            kernels.product(p);
          }
          CHECK(whole == problem.acc, "%s: other bits row by row (rows %td depth %td width %d)", isa, rows, depth,
                p.width);
        }
}

// Of one column, beside a sum of more digits. What lies behind a row or an output is nobody's.
template <class T>
void check_one_column(const Kernels<T>& kernels, const char* isa) {
  const T nobodys = std::numeric_limits<T>::quiet_NaN();
  for (const Index rows : {1, 2, 4, 5, 11})
    for (Index depth = 1; depth < 3 * kernels.lanes + 2; ++depth) {
      const auto numbers = [&](Index n, unsigned seed) {
        return random_numbers<T>(static_cast<std::size_t>(n), seed + static_cast<unsigned>(100 * rows + depth));
      };
      const std::vector<T> w = numbers(depth, 1), x = numbers(rows * depth, 2), bias = numbers(1, 3);
      std::vector<T> column(static_cast<std::size_t>(4 * kernels.lanes), T(0));
      std::copy(w.begin(), w.end(), column.begin());
      std::vector<T> a(static_cast<std::size_t>(rows * (depth + 3)), nobodys);
      for (Index row = 0; row < rows; ++row) std::copy_n(&x[row * depth], depth, &a[row * (depth + 3)]);
      std::vector<T> y(static_cast<std::size_t>(2 * rows), T(7));
      Product<T> p{};
      p.panels = column.data(), p.width = 1, p.depth = depth, p.one_column = true;
      p.panel_end = 1, p.row_end = rows;
      p.a = {a.data(), depth + 3, nullptr}, p.a_k_stride = 1;
      p.start = {bias.data(), 0, nullptr}, p.acc = {y.data(), 2, nullptr};
      kernels.product(p);
      for (Index row = 0; row < rows; ++row) {
        long double sum = bias[0], size = std::fabs(sum);
        for (Index k = 0; k < depth; ++k) {
          const long double term = static_cast<long double>(x[row * depth + k]) * w[k];
          sum += term, size += std::fabs(term);
        }
        const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-15;
        CHECK(std::fabs(static_cast<double>(y[2 * row] - sum)) <= tolerance * static_cast<double>(size),
              "%s: one column, depth %td, row %td of %td", isa, depth, row, rows);
        CHECK(y[2 * row + 1] == T(7), "%s: one column was written beyond", isa);
      }
      const std::vector<T> whole = y;
      for (Index row = rows - 1; row >= 0; --row) {
        p.row_begin = row, p.row_end = row + 1;
        kernels.product(p);
      }
      CHECK(whole == y, "%s: one column has other bits row by row", isa);
    }
}

template <class T>
void check(const Kernels<T>& kernels, const char* isa) {
  check_orders(kernels, isa);
  check_one_column(kernels, isa);
  unsigned seed = 1;
  for (const bool strided : {false, true})
    for (const int width : {1, 2, 3, 4})
      for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 50, 100})
        for (const Index depth : {1, 2, 17, 300}) {
          Problem<T> problem(rows, 1 + rows % 4, depth, kernels.lanes, width, strided, seed++);
          Product<T> p = problem.product();
          kernels.product(p);
          const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-15;
          for (Index row = 0; row < rows; ++row)
            for (Index c = 0; c < problem.columns(); ++c) {
              long double sum = problem.start[row * problem.columns() + c], size = std::fabs(sum);
              for (Index k = 0; k < depth; ++k) {
                const long double term = static_cast<long double>(problem.a_at(row, k)) * problem.w_at(k, c);
                sum += term;
                size += std::fabs(term);
              }
              const T got = problem.acc[row * problem.columns() + c];
              CHECK(std::fabs(static_cast<double>(got - sum)) <= tolerance * static_cast<double>(size),
                    "%s rows %td depth %td width %d strided %d: row %td column %td is %g, not %Lg", isa, rows, depth,
                    width, strided, row, c, static_cast<double>(got), sum);
            }

          const std::vector<T> whole = problem.acc;
          problem.acc.assign(problem.acc.size(), T(0));
          for (Index row = 0; row < rows; row += 2)
            for (Index panel = 0; panel < problem.panels; ++panel) {
              p.row_begin = row, p.row_end = row + 2 < rows ? row + 2 : rows;
              p.panel_begin = panel, p.panel_end = panel + 1;
              kernels.product(p);
            }
          CHECK(whole == problem.acc, "%s: other bits when shared out (rows %td depth %td)", isa, rows, depth);
        }
}

// Rows of a layer of `hidden` units, [block][count][lane], with NaN where there is no unit.
template <class T>
struct NormProblem {
  Index rows = 3, hidden, lanes, blocks, stride;
  int count;
  NormProblem(Index hidden, int count, Index lanes)
      : hidden(hidden),
        lanes(lanes),
        blocks((hidden + lanes - 1) / lanes),
        stride(blocks * count * lanes),
        count(count) {}
  Index n() const { return hidden * count; }
  Index column(Index i) const { return ((i / lanes) / count * lanes + i % lanes); }  // unit of element i of a row
  bool exists(Index i) const { return column(i) < hidden; }
  std::vector<T> values(unsigned seed, T padding) const {
    std::vector<T> v = random_numbers<T>(static_cast<std::size_t>(rows * stride), seed);
    for (std::size_t i = 0; i < v.size(); ++i)
      if (!exists(static_cast<Index>(i) % stride)) v[i] = padding;
    return v;
  }
  template <class F>
  long double mean(const F& f) const {
    long double sum = 0;
    for (Index i = 0; i < stride; ++i)
      if (exists(i)) sum += f(i);
    return sum / n();
  }
};

template <class T>
void check_norm(const Kernels<T>& kernels, const char* isa, Index hidden, int count) {
  const NormProblem<T> p(hidden, count, kernels.lanes);
  const double tolerance = sizeof(T) == 4 ? 3e-5 : 1e-13;
  const auto close = [&](T got, long double expected) {
    return std::fabs(static_cast<double>(got - expected)) <= tolerance * (1 + std::fabs(static_cast<double>(expected)));
  };
  const std::vector<T> a = p.values(1, T(NAN));
  std::vector<T> y = a, scale(3);
  kernels.norm_rows({0, p.rows, p.blocks, hidden, count, {y.data(), p.stride}, scale.data(), T(1e-5)});
  const std::vector<T> d = p.values(2, T(0)), gain = p.values(3, T(0));
  for (Index row = 0; row < p.rows; ++row) {
    const T* const a_row = a.data() + row * p.stride;
    const long double mean = p.mean([&](Index i) { return static_cast<long double>(a_row[i]); });
    const long double variance = p.mean([&](Index i) { return (a_row[i] - mean) * (a_row[i] - mean); });
    for (Index i = 0; i < p.stride; ++i)
      CHECK(close(y[row * p.stride + i], p.exists(i) ? (a_row[i] - mean) / std::sqrt(variance + 1e-5L) : 0),
            "%s hidden %td count %d: element %td is %g", isa, hidden, count, i,
            static_cast<double>(y[row * p.stride + i]));
    CHECK(close(scale[row], 1 / std::sqrt(variance + 1e-5L)), "%s hidden %td: scale", isa, hidden);
  }

  // In two shares of blocks, which must have the bits of the whole.
  const auto backward = [&](Index cut, std::vector<T>& dgain, std::vector<T>& dbias) {
    std::vector<T> da(d.size());
    dgain.assign(p.stride, T(0)), dbias.assign(p.stride, T(0));
    for (const auto& [begin, end] : {std::pair(Index(0), cut), std::pair(cut, p.blocks)})
      kernels.norm_backward({p.rows,
                             begin,
                             end,
                             p.blocks,
                             hidden,
                             count,
                             {d.data(), p.stride},
                             {y.data(), p.stride},
                             scale.data(),
                             gain.data(),
                             {da.data(), p.stride},
                             dgain.data(),
                             dbias.data()});
    return da;
  };
  std::vector<T> dgain, dbias, other_dgain, other_dbias;
  const std::vector<T> da = backward(p.blocks, dgain, dbias);
  CHECK(backward(p.blocks / 2, other_dgain, other_dbias) == da && dgain == other_dgain && dbias == other_dbias,
        "%s hidden %td: other bits when shared out", isa, hidden);
  for (Index row = 0; row < p.rows; ++row) {
    const auto dy = [&](Index i) { return static_cast<long double>(d[row * p.stride + i]) * gain[i]; };
    const auto y_at = [&](Index i) { return static_cast<long double>(y[row * p.stride + i]); };
    const long double mean = p.mean(dy), along = p.mean([&](Index i) { return dy(i) * y_at(i); });
    for (Index i = 0; i < p.stride; ++i)
      CHECK(std::fabs(static_cast<double>(da[row * p.stride + i] -
                                          (p.exists(i) ? scale[row] * (dy(i) - mean - y_at(i) * along) : 0))) <=
                tolerance * static_cast<double>(scale[row]),
            "%s hidden %td count %d: gradient %td", isa, hidden, count, i);
  }
  for (Index i = 0; i < p.stride; ++i) {
    long double gain_sum = 0, bias_sum = 0;
    for (Index row = 0; row < p.rows; ++row)
      bias_sum += d[row * p.stride + i],
          gain_sum += static_cast<long double>(d[row * p.stride + i]) * y[row * p.stride + i];
    CHECK(close(dgain[i], gain_sum) && close(dbias[i], bias_sum), "%s hidden %td: sums", isa, hidden);
  }
}

template <class T>
void check_norms(const Kernels<T>& kernels, const char* isa) {
  for (const int count : {1, 3, 4})
    for (const Index hidden : {2, 3, 7, 8, 9, 15, 16, 17, 40}) check_norm(kernels, isa, hidden, count);
}

template <class T>
const ActivationKernels<T>& softmax_of(const Kernels<T>& kernels, bool logarithm) {
  return kernels.activation[static_cast<int>(logarithm ? DenseActivation::log_softmax : DenseActivation::softmax)];
}

// One row in place, with NaN where it has ended.
template <class T>
void check_softmax(const Kernels<T>& kernels, const char* isa, Index n, double spread) {
  const std::size_t size = static_cast<std::size_t>(n), whole = (size + 63) / 64 * 64;
  const std::vector<T> a = random_numbers<T>(size, 1, spread), dy = random_numbers<T>(size, 2);
  const long double top = *std::max_element(a.begin(), a.end());
  long double sum = 0, along = 0, dy_sum = 0;
  for (const T each : a) sum += std::exp(each - top);
  const auto p = [&](std::size_t j) { return std::exp(a[j] - top) / sum; };
  for (std::size_t j = 0; j < size; ++j) along += p(j) * dy[j], dy_sum += dy[j];
  const auto compare = [&](const char* what, std::size_t j, T got, long double expected) {
    CHECK(std::fabs(static_cast<double>(got - expected)) <=
              (sizeof(T) == 4 ? 2e-6 : 1e-14) * (1 + std::fabs(static_cast<double>(expected))),
          "%s n %td spread %g: %s[%zu] is %.17g, not %.17Lg", isa, n, spread, what, j, static_cast<double>(got),
          expected);
  };
  for (const bool logarithm : {false, true}) {
    const auto& f = softmax_of(kernels, logarithm);
    std::vector<T> y(whole, T(NAN)), d(whole, T(NAN));
    std::copy(a.begin(), a.end(), y.begin());
    std::copy(dy.begin(), dy.end(), d.begin());
    f.forward(y.data(), y.data(), n);
    f.backward(y.data(), d.data(), d.data(), n);
    for (std::size_t j = 0; j < size; ++j) {
      compare("y", j, y[j], logarithm ? a[j] - top - std::log(sum) : p(j));
      compare("da", j, d[j], logarithm ? dy[j] - p(j) * dy_sum : p(j) * (dy[j] - along));
    }
    const std::size_t lanes = static_cast<std::size_t>(kernels.lanes), end = (size + lanes - 1) / lanes * lanes;
    for (std::size_t j = size; j < end; ++j) CHECK(y[j] == 0 && d[j] == 0, "%s n %td: padding is not 0", isa, n);
  }
}

// As torch: e^-inf is exactly 0, and a row with a NaN or with inf, or of -inf alone, is NaN throughout.
template <class T>
void check_softmax_limits(const Kernels<T>& kernels, const char* isa, Index n, Index at, bool logarithm) {
  constexpr T inf = std::numeric_limits<T>::infinity();
  const auto row = [&](T others, T value) {
    std::vector<T> a((static_cast<std::size_t>(n) + 63) / 64 * 64, others);
    a[static_cast<std::size_t>(at)] = value;
    softmax_of(kernels, logarithm).forward(a.data(), a.data(), n);
    a.resize(static_cast<std::size_t>(n));
    return a;
  };
  const T nothing = logarithm ? -inf : T(0);
  std::vector<T> expected(static_cast<std::size_t>(n), nothing);
  expected[static_cast<std::size_t>(at)] = logarithm ? T(0) : T(1);
  CHECK(row(-inf, T(3)) == expected, "%s n %td: not all to %td", isa, n, at);
  const std::vector<T> without = row(T(3), -inf);
  for (Index j = 0; j < n; ++j)
    CHECK((without[static_cast<std::size_t>(j)] == nothing) == (j == at), "%s n %td: %td without %td", isa, n, j, at);
  for (const auto& [others, value] :
       {std::pair(T(1), T(NAN)), std::pair(T(1), inf), std::pair(-inf, -inf), std::pair(-inf, inf)})
    for (const T got : row(others, value)) CHECK(std::isnan(got), "%s n %td at %td: no NaN", isa, n, at);
}

template <class T>
void check_softmaxes(const Kernels<T>& kernels, const char* isa) {
  const FlushDenormals flush;  // as everywhere in the engine
  for (Index n = 1; n <= 70; ++n) {
    for (const double spread : {1., 1000.}) check_softmax(kernels, isa, n, spread);
    for (const Index at : {Index(0), n / 2, n - 1})
      for (const bool logarithm : {false, true})
        if (n > 1) check_softmax_limits(kernels, isa, n, at, logarithm);
  }
}

// Every second row is missing, if `missing`; what lies beside the columns stays as it was.
template <class T>
void check_turn(const Kernels<T>& kernels, const char* isa, Index depth, bool missing) {
  const Index lanes = kernels.lanes, stride = 3 * lanes;
  const auto numbers = random_numbers<T>(static_cast<std::size_t>(lanes * depth), 7);
  std::vector<const T*> rows;
  for (Index i = 0; i < lanes; ++i) rows.push_back(missing && i % 2 ? nullptr : numbers.data() + i * depth);
  std::vector<T> to(static_cast<std::size_t>((depth + 1) * stride), T(9)), expected = to;
  kernels.turn(rows.data(), depth, to.data() + lanes, stride);
  for (Index k = 0; k < depth; ++k)
    for (Index i = 0; i < lanes; ++i)
      expected[static_cast<std::size_t>(k * stride + lanes + i)] =
          missing && i % 2 ? T(0) : numbers[static_cast<std::size_t>(i * depth + k)];
  CHECK(to == expected, "%s: %td numbers a row%s", isa, depth, missing ? ", rows missing" : "");
}

template <class T>
void check_turns(const Kernels<T>& kernels, const char* isa) {
  for (Index depth = 0; depth < 70; ++depth)
    for (const bool missing : {false, true}) check_turn(kernels, isa, depth, missing);
}

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32, isa->name);
    check(isa->f64, isa->name);
    check_norms(isa->f32, isa->name);
    check_norms(isa->f64, isa->name);
    check_softmaxes(isa->f32, isa->name);
    check_softmaxes(isa->f64, isa->name);
    check_turns(isa->f32, isa->name);
    check_turns(isa->f64, isa->name);
  }
  return done("kernels");
}
