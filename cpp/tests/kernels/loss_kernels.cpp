// What losses ask of every ISA's kernels, against long double, and that nothing past a row's end is read or written.
#include <algorithm>
#include <limits>

#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 4e-6 : 4e-15;

// Behind the row lies what would be seen if it were read.
template <class T>
std::vector<T> row_of(Index n, unsigned seed, double scale) {
  std::vector<T> a = random_numbers<T>(static_cast<std::size_t>(n), seed, scale);
  a.resize(a.size() + 32, std::numeric_limits<T>::quiet_NaN());
  return a;
}

template <class T>
void check_softmax_parts(const LossKernels<T>& kernels, const char* isa, Index n, double spread) {
  const std::vector<T> a = row_of<T>(n, static_cast<unsigned>(n), spread);
  const T top = *std::max_element(a.begin(), a.begin() + n);
  long double sum = 0, above = 0;
  for (Index i = 0; i < n; ++i) {
    sum += std::exp(static_cast<long double>(a[i]) - top);
    above += static_cast<long double>(a[i]) - top;
  }
  const Normalizer<T> z = kernels.normalizer(a.data(), n);
  CHECK(z.top == top, "%s n %td: top is %g", isa, n, static_cast<double>(z.top));
  CHECK(std::fabs(z.log_sum - std::log(sum)) <= tolerance<T>, "%s n %td: log_sum", isa, n);
  CHECK(std::fabs(kernels.sum_above(a.data(), top, n) - above) <= tolerance<T> * (1 - above), "%s n %td: sum", isa, n);

  std::vector<T> y(a.size(), T(7));
  kernels.scaled_softmax({a.data(), z, T(0.5), T(0.125), y.data(), n});
  for (Index i = 0; i < n; ++i) {
    const long double p = std::exp(static_cast<long double>(a[i]) - top) / sum;
    CHECK(std::fabs(y[i] - (p / 2 - 0.125L)) <= tolerance<T>, "%s n %td: y[%td] is %g", isa, n, i, double(y[i]));
  }
  CHECK(std::count(y.begin() + n, y.end(), T(7)) == 32, "%s n %td: written past the end", isa, n);
  std::vector<T> in_place = a;
  kernels.scaled_softmax({in_place.data(), z, T(0.5), T(0.125), in_place.data(), n});
  CHECK(std::equal(y.begin(), y.begin() + n, in_place.begin()), "%s n %td: other bits in place", isa, n);
}

template <class T>
void check_no_softmax(const LossKernels<T>& kernels, const char* isa, Index n) {
  constexpr T inf = std::numeric_limits<T>::infinity();
  for (Index at = 0; at < n; ++at)
    for (const T bad : {std::numeric_limits<T>::quiet_NaN(), inf, -inf}) {
      std::vector<T> a = row_of<T>(n, 1, 1);
      a[static_cast<std::size_t>(at)] = bad;
      const bool none = !(bad == -inf) || n == 1;
      CHECK(std::isnan(kernels.normalizer(a.data(), n).log_sum) == none, "%s n %td at %td: %g", isa, n, at,
            static_cast<double>(bad));
    }
}

template <class T>
void check(const LossKernels<T>& kernels, const char* isa) {
  const FlushDenormals flush;  // as everywhere in the engine
  for (Index n = 1; n <= 70; ++n) {
    for (const double spread : {1., 100.}) check_softmax_parts(kernels, isa, n, spread);
    check_no_softmax(kernels, isa, n);
  }
}

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32.loss, isa->name);
    check(isa->f64.loss, isa->name);
  }
  return done("loss_kernels");
}
