// CTC from C++: every path one by one in long double, any layout, in place, without a gradient; and errors.
#include <stdexcept>

#include "gru_native/losses.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

using Labels = std::vector<std::int64_t>;

template <class T>
struct Problem {
  std::int64_t seq_len = 5, batch = 4, classes = 3;
  std::vector<T> logits, dlogits, losses;
  Labels targets{1, 2, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2}, steps{5, 4, 3, 5}, labels{2, 0, 2, 3};

  Problem() : logits(random_numbers<T>(60, 7, 2)), dlogits(60, T(9)), losses(4, T(9)) {}
  CtcCall<T> call(bool batch_first = false) {
    CtcCall<T> c;
    c.seq_len = seq_len;
    c.batch = batch;
    c.classes = classes;
    const T* const a = logits.data();
    c.logits = batch_first ? batch_major(a, seq_len, classes) : time_major(a, batch, classes);
    c.dlogits =
        batch_first ? batch_major(dlogits.data(), seq_len, classes) : time_major(dlogits.data(), batch, classes);
    c.targets = targets.data();
    c.target_stride = 3;
    c.input_lengths = steps.data();
    c.target_lengths = labels.data();
    c.losses = losses.data();
    return c;
  }
};

// -log of the sum over all paths of one sequence, and its gradient, [step][class].
template <class T>
long double every_path(const CtcCall<T>& c, std::int64_t b, std::vector<long double>& gradient) {
  const std::int64_t steps = c.input_lengths[b], n = c.classes;
  const Labels labels(c.targets + b * c.target_stride, c.targets + b * c.target_stride + c.target_lengths[b]);
  std::vector<long double> p;
  for (std::int64_t t = 0; t < steps; ++t) {
    const T* const a = c.logits.data + t * c.logits.step_stride + b * c.logits.batch_stride;
    long double sum = 0;
    for (std::int64_t k = 0; k < n; ++k) sum += std::exp(static_cast<long double>(a[k]));
    for (std::int64_t k = 0; k < n; ++k) p.push_back(std::exp(static_cast<long double>(a[k])) / sum);
  }
  std::int64_t paths = 1;
  for (std::int64_t t = 0; t < steps; ++t) paths *= n;
  long double total = 0;
  std::vector<long double> through(p.size(), 0);
  for (std::int64_t path = 0; path < paths; ++path) {
    Labels symbols, said;
    long double of_path = 1;
    for (std::int64_t t = 0, rest = path; t < steps; ++t, rest /= n) symbols.push_back(rest % n);
    for (std::int64_t t = 0; t < steps; ++t) {
      const std::int64_t k = symbols[t];
      if (k != c.blank && (t == 0 || symbols[t - 1] != k)) said.push_back(k);
      of_path *= p[t * n + k];
    }
    if (said != labels) continue;
    total += of_path;
    for (std::int64_t t = 0; t < steps; ++t) through[t * n + symbols[t]] += of_path;
  }
  gradient.clear();
  for (std::size_t i = 0; i < p.size(); ++i) gradient.push_back(total > 0 ? p[i] - through[i] / total : 0);
  return -std::log(total);
}

template <class T>
void check_paths(bool batch_first) {
  Problem<T> p;
  const CtcCall<T> call = p.call(batch_first);
  ctc(call);
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    std::vector<long double> gradient;
    const long double loss = every_path(call, b, gradient);
    const double got = static_cast<double>(p.losses[b]);
    CHECK(std::isinf(loss) ? got == loss : std::fabs(got - loss) <= 10 * tolerance, "loss %td is %g", b, got);
    for (std::int64_t t = 0; t < p.seq_len; ++t)
      for (std::int64_t k = 0; k < p.classes; ++k) {
        const T d = call.dlogits.data[t * call.dlogits.step_stride + b * call.dlogits.batch_stride + k];
        const long double expected = t < p.steps[b] ? gradient[t * p.classes + k] : 0;
        CHECK(std::fabs(d - expected) <= tolerance, "gradient of %td at %td: %g", b, t, static_cast<double>(d));
      }
  }
}

template <class T>
void check_forms() {
  Problem<T> p;
  CtcCall<T> call = p.call();
  ctc(call);
  const std::vector<T> losses = p.losses, gradient = p.dlogits;
  Labels joined{1, 2, 1, 1, 2, 2, 2};
  call.targets = joined.data();
  call.target_stride = 0;
  call.dlogits.data = nullptr;
  ctc(call);
  CHECK(p.losses == losses, "other losses where targets lie one after the other");
  call.dlogits = time_major(p.logits.data(), p.batch, p.classes);
  ctc(call);
  CHECK(p.losses == losses && p.logits == gradient, "other bits in place");
}

void check_errors() {
  Problem<float> p;
  const auto bad = [&](auto change, const char* text) {
    CtcCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { ctc(call); }, text);
  };
  CHECK(bad([](auto& c) { c.seq_len = 0; }, "seq_len is 0"), "no error");
  CHECK(bad([](auto& c) { c.batch = -1; }, "batch is -1"), "no error");
  CHECK(bad([](auto& c) { c.classes = 0; }, "classes is 0"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = c.batch = std::int64_t(1) << 40; }, "larger than memory"), "no error");
  CHECK(bad([](auto& c) { c.logits.data = nullptr; }, "logits.data is null"), "no error");
  CHECK(bad([](auto& c) { c.logits.step_stride = -3; }, "logits.step_stride is -3"), "no error");
  CHECK(bad([](auto& c) { c.dlogits.batch_stride = 2; }, "dlogits.batch_stride is 2"), "no error");
  CHECK(bad([](auto& c) { c.losses = nullptr; }, "losses is null"), "no error");
  CHECK(bad([](auto& c) { c.targets = nullptr; }, "targets is null"), "no error");
  CHECK(bad([](auto& c) { c.target_lengths = nullptr; }, "target_lengths is null"), "no error");
  CHECK(bad([](auto& c) { c.target_stride = -1; }, "target_stride is -1"), "no error");
  CHECK(bad([](auto& c) { c.target_stride = 1; }, "target_lengths[0] is 2; expected 0 to 1"), "no error");
  CHECK(bad([](auto& c) { c.blank = 3; }, "blank is 3; expected 0 to 2"), "no error");
  CHECK(bad([](auto& c) { c.blank = 2; }, "targets: label 1 of sequence 0 is 2"), "no error");
  p.steps[1] = 6;
  CHECK(bad([](auto&) {}, "input_lengths[1] is 6; expected 0 to seq_len=5"), "no error");
  p.steps[1] = 4;
  p.labels[2] = std::int64_t(1) << 60;
  CHECK(bad([](auto& c) { c.target_stride = std::int64_t(1) << 61; }, "memory cannot hold"), "no error");
  p.labels[2] = 2;
  p.logits[14] = NAN;
  CHECK(bad([](auto&) {}, "logits: step 1 of sequence 0 has no softmax"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3, 9}) {
    set_num_threads(threads);
    for (const bool batch_first : {false, true}) {
      check_paths<float>(batch_first);
      check_paths<double>(batch_first);
    }
    check_forms<float>();
    check_forms<double>();
  }
  check_errors();
  return done("ctc");
}
