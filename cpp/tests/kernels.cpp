// The matrix product of every ISA against a plain one in long double, for all tile heights and both layouts, and its
// promise: the same bits however rows and panels are shared out.
#include <string>

#include "gru_native/runtime.h"
#include "runtime/dispatch.h"
#include "runtime/memory.h"
#include "tests/check.h"

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

template <class T>
void check(const Kernels<T>& kernels, const char* isa) {
  unsigned seed = 1;
  for (const bool strided : {false, true})
    for (const int width : {3, 4})
      for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 50, 100})
        for (const Index depth : {1, 2, 17, 300}) {
          if (strided && width == 3) continue;  // never asked for
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

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32, isa->name);
    check(isa->f64, isa->name);
  }
  return done("kernels");
}
