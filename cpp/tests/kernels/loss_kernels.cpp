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

// Steps of CTC over states of which some are impossible, against plain sums of probabilities.
void check_ctc(const LatticeKernels& kernels, const char* isa, Index labels) {
  const Index width = (labels + kernels.lanes) / kernels.lanes * kernels.lanes;
  const double nothing = -std::numeric_limits<double>::infinity();
  const auto states = [&](unsigned seed, bool first) {  // whole vectors, one number before and one behind
    std::vector<double> s(static_cast<std::size_t>(width + 2), nothing);
    const std::vector<double> numbers = random_numbers<double>(s.size(), seed, 20);
    for (Index u = first ? 0 : 1; u <= labels; ++u)
      if (u % 5 != 3) s[static_cast<std::size_t>(u + 1)] = numbers[static_cast<std::size_t>(u)];
    return s;
  };
  const std::vector<double> b = states(1, true), l = states(2, false), label = states(3, false);
  std::vector<double> skip(label.size(), nothing), b_out(label.size()), l_out(label.size());
  for (Index u = 2; u <= labels; u += 2) skip[static_cast<std::size_t>(u + 1)] = 0;
  const auto e = [](const std::vector<double>& v, Index u) { return std::exp(static_cast<long double>(v[u + 1])); };
  const auto compare = [&](const char* name, Index u, double got, long double p) {
    const long double expected = std::log(p);
    CHECK(std::isinf(expected) ? got == expected : std::fabs(got - expected) <= 1e-13, "%s, %td labels: %s %td is %g",
          isa, labels, name, u, got);
  };
  const double blank = -1.5;
  const long double e_blank = std::exp(static_cast<long double>(blank));
  const CtcStep step{labels,           b.data() + 1,    l.data() + 1,     blank,
                     label.data() + 1, skip.data() + 1, b_out.data() + 1, l_out.data() + 1};
  kernels.ctc_forward(step);
  for (Index u = 0; u <= labels; ++u) {
    compare("forward b", u, b_out[u + 1], (e(b, u) + e(l, u)) * e_blank);
    const long double before = u == 0 ? 0 : e(b, u - 1) + e(l, u - 1) * e(skip, u);
    compare("forward l", u, l_out[u + 1], (e(l, u) + before) * e(label, u));
  }
  for (Index u = labels + 1; u < width; ++u) CHECK(b_out[u + 1] == nothing && l_out[u + 1] == nothing, "%s", isa);
  const std::vector<double> b_forward = b_out, l_forward = l_out;
  kernels.ctc_backward(step);
  for (Index u = 0; u <= labels; ++u) {
    const long double next = u == labels ? 0 : e(l, u + 1) * e(label, u + 1);
    const long double next_skip = u == labels ? 0 : e(skip, u + 1);
    compare("backward b", u, b_out[u + 1], e(b, u) * e_blank + next);
    if (u > 0) compare("backward l", u, l_out[u + 1], e(l, u) * e(label, u) + e(b, u) * e_blank + next * next_skip);
  }
  std::vector<double> occupancy(static_cast<std::size_t>(width));
  const double blanks = kernels.ctc_occupancy(
      {labels, b_forward.data() + 1, l_forward.data() + 1, b_out.data() + 1, l_out.data() + 1, 30., occupancy.data()});
  long double sum = 0;
  for (Index u = 0; u <= labels; ++u) {
    sum += e(b_forward, u) * e(b_out, u) * std::exp(-30.L);
    const long double expected = e(l_forward, u) * e(l_out, u) * std::exp(-30.L);
    CHECK(std::fabs(occupancy[u] - expected) <= 1e-13 * (expected + 1e-200), "%s, %td labels: at %td", isa, labels, u);
  }
  CHECK(std::fabs(blanks - sum) <= 1e-13 * sum, "%s, %td labels: blanks", isa, labels);
}

// A diagonal of the transducer's lattice, likewise.
void check_transducer(const LatticeKernels& kernels, const char* isa, Index nodes) {
  const Index width = (nodes + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  const double nothing = -std::numeric_limits<double>::infinity();
  const auto row = [&](unsigned seed) {  // whole vectors, one number before and one behind
    std::vector<double> r(static_cast<std::size_t>(width + 2), nothing);
    const std::vector<double> numbers = random_numbers<double>(r.size(), seed, 20);
    for (Index i = 0; i < nodes; ++i)
      if ((i + seed) % 5 != 3) r[static_cast<std::size_t>(i + 1)] = numbers[static_cast<std::size_t>(i)];
    return r;
  };
  const std::vector<double> x = row(1), stay = row(2), advance = row(3), next = row(4);
  std::vector<double> out(x.size()), stayed = stay, advanced = advance, before(x.size());
  const auto e = [](const std::vector<double>& v, Index i) { return std::exp(static_cast<long double>(v[i + 1])); };
  const auto compare = [&](const char* name, Index i, double got, long double p) {
    const long double expected = std::log(p);
    CHECK(std::isinf(expected) ? got == expected : std::fabs(got - expected) <= 1e-13, "%s, %td nodes: %s %td is %g",
          isa, nodes, name, i, got);
  };
  kernels.transducer_forward({nodes, x.data() + 1, stay.data() + 1, advance.data() + 1, out.data() + 1});
  for (Index i = 0; i < nodes; ++i)
    compare("forward", i, out[i + 1], e(x, i) * e(stay, i) + e(x, i - 1) * e(advance, i - 1));
  kernels.transducer_backward(
      {nodes, x.data() + 1, next.data() + 1, 30., stayed.data() + 1, advanced.data() + 1, before.data() + 1});
  for (Index i = 0; i < nodes; ++i) {
    const long double by_stay = e(next, i) * e(stay, i), by_advance = e(next, i + 1) * e(advance, i);
    compare("backward", i, before[i + 1], by_stay + by_advance);
    compare("stay", i, std::log(stayed[i + 1]), e(x, i) * by_stay * std::exp(-30.L));
    compare("advance", i, std::log(advanced[i + 1]), e(x, i) * by_advance * std::exp(-30.L));
  }
}

template <class T>
void check(const LossKernels<T>& kernels, const char* isa) {
  for (Index n = 1; n <= 70; ++n) {
    for (const double spread : {1., 100.}) check_softmax_parts(kernels, isa, n, spread);
    check_no_softmax(kernels, isa, n);
  }
}

}  // namespace

int main() {
  const FlushDenormals flush;  // as everywhere in the engine
  for (const IsaKernels* isa : runnable_kernels()) {
    check(isa->f32.loss, isa->name);
    check(isa->f64.loss, isa->name);
    for (Index labels = 0; labels <= 40; ++labels) check_ctc(isa->lattice, isa->name, labels);
    for (Index nodes = 1; nodes <= 40; ++nodes) check_transducer(isa->lattice, isa->name, nodes);
  }
  return done("loss_kernels");
}
