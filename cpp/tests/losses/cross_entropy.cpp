// The cross-entropy from C++: its definition in long double, in place, without a gradient, on any threads; and errors.
#include <cmath>
#include <stdexcept>

#include "gru_native/losses.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

template <class T>
struct Problem {
  std::int64_t rows, classes;
  std::vector<T> logits, dlogits;
  std::vector<std::int64_t> targets;

  Problem(std::int64_t rows, std::int64_t classes)
      : rows(rows),
        classes(classes),
        logits(random_numbers<T>(static_cast<std::size_t>(rows * classes), 1, 3)),
        dlogits(logits.size(), T(9)) {
    for (std::int64_t row = 0; row < rows; ++row) targets.push_back(row % 5 == 3 ? -7 : row * 11 % classes);
  }
  CrossEntropyCall<T> call() {
    CrossEntropyCall<T> c;
    c.rows = rows;
    c.classes = classes;
    c.logits = logits.data();
    c.targets = targets.data();
    c.ignore = -7;
    c.label_smoothing = 0.125;
    c.dlogits = dlogits.data();
    return c;
  }
};

template <class T>
void check_definition(std::int64_t rows, std::int64_t classes) {
  Problem<T> p(rows, classes);
  const double loss = cross_entropy(p.call());
  long double expected = 0, counted = 0;
  const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-15;
  for (const std::int64_t target : p.targets) counted += target != -7;
  for (std::int64_t row = 0; row < rows; ++row) {
    const T *const a = p.logits.data() + row * classes, *const d = p.dlogits.data() + row * classes;
    const bool counts = p.targets[static_cast<std::size_t>(row)] != -7;
    long double sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(static_cast<long double>(a[k]));
    for (std::int64_t k = 0; k < classes; ++k) {
      const bool right = k == p.targets[static_cast<std::size_t>(row)];
      const long double q = 0.125L / static_cast<long double>(classes) + (right ? 0.875L : 0);
      const long double log_p = a[k] - std::log(sum);
      if (counts) expected -= q * log_p / counted;
      const long double gradient = counts ? (std::exp(log_p) - q) / counted : 0;
      CHECK(std::fabs(d[k] - gradient) <= tolerance, "gradient of row %td, class %td", row, k);
    }
  }
  CHECK(std::fabs(loss - expected) <= 10 * tolerance, "loss %.17g, expected %.17g", loss, double(expected));

  CrossEntropyCall<T> call = p.call();
  call.dlogits = nullptr;
  CHECK(cross_entropy(call) == loss, "another loss without a gradient");
  const std::vector<T> gradient = p.dlogits;
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    CHECK(cross_entropy(p.call()) == loss && p.dlogits == gradient, "other bits on %d threads", threads);
  }
  set_num_threads(1);
  call.dlogits = p.logits.data();
  CHECK(cross_entropy(call) == loss && p.logits == gradient, "other bits in place");
}

void check_errors() {
  Problem<float> p(4, 3);
  const auto bad = [&](auto change, const char* text) {
    CrossEntropyCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { cross_entropy(call); }, text);
  };
  CHECK(bad([](auto& c) { c.rows = 0; }, "rows is 0"), "no error");
  CHECK(bad([](auto& c) { c.classes = -2; }, "classes is -2"), "no error");
  CHECK(bad([](auto& c) { c.rows = c.classes = std::int64_t(1) << 40; }, "larger than memory"), "no error");
  CHECK(bad([](auto& c) { c.logits = nullptr; }, "logits is null"), "no error");
  CHECK(bad([](auto& c) { c.targets = nullptr; }, "targets is null"), "no error");
  CHECK(bad([](auto& c) { c.ignore.reset(); }, "targets: row 3 is -7; expected 0 to 2"), "no error");
  CHECK(bad([](auto& c) { c.label_smoothing = -1; }, "label_smoothing is -1"), "no error");
  p.logits[7] = NAN;
  CHECK(bad([](auto&) {}, "logits: row 2 has no softmax"), "no error");
}

}  // namespace

int main() {
  for (const std::int64_t rows : {1, 6, 300})
    for (const std::int64_t classes : {1, 4, 50, 333}) {
      check_definition<float>(rows, classes);
      check_definition<double>(rows, classes);
    }
  check_errors();
  return done("cross_entropy");
}
