// The transducer from C++: every way through the lattice in long double, in place, without a gradient; and errors.
#include <stdexcept>

#include "gru_native/losses.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

template <class T>
struct Problem {
  std::int64_t batch = 3, seq_len = 4, labels = 3, classes = 3;
  std::vector<T> logits, dlogits, losses;
  std::vector<std::int64_t> targets{1, 2, 1, 2, 2, 0, 1, 2, 2}, steps{4, 2, 3}, lengths{3, 2, 0};

  Problem() : logits(random_numbers<T>(144, 7, 2)), dlogits(144, T(9)), losses(3, T(9)) {}
  TransducerCall<T> call() {
    TransducerCall<T> c;
    c.batch = batch;
    c.seq_len = seq_len;
    c.labels = labels;
    c.classes = classes;
    c.logits = logits.data();
    c.targets = targets.data();
    c.input_lengths = steps.data();
    c.target_lengths = lengths.data();
    c.losses = losses.data();
    c.dlogits = dlogits.data();
    return c;
  }
};

// The sum over all ways from node (t, u) to the end; each adds what it is worth to what its moves are worth.
template <class T>
class EveryWay {
 public:
  EveryWay(const TransducerCall<T>& call, std::int64_t b)
      : c_(call), b_(b), worth(static_cast<std::size_t>(c_.seq_len * (c_.labels + 1) * c_.classes)) {}
  long double go(std::int64_t t, std::int64_t u, long double so_far) {
    if (t == c_.input_lengths[b_]) return u == c_.target_lengths[b_] ? so_far : 0;
    long double sum = move(t, u, c_.blank, t + 1, u, so_far);
    if (u < c_.target_lengths[b_]) sum += move(t, u, c_.targets[b_ * c_.labels + u], t, u + 1, so_far);
    return sum;
  }
  std::int64_t row(std::int64_t t, std::int64_t u) const { return (t * (c_.labels + 1) + u) * c_.classes; }
  long double p(std::int64_t t, std::int64_t u, std::int64_t k) const {
    const T* const a = c_.logits + b_ * c_.seq_len * (c_.labels + 1) * c_.classes + row(t, u);
    long double sum = 0;
    for (std::int64_t j = 0; j < c_.classes; ++j) sum += std::exp(static_cast<long double>(a[j]));
    return std::exp(static_cast<long double>(a[k])) / sum;
  }

 private:
  long double move(std::int64_t t, std::int64_t u, std::int64_t k, std::int64_t to_t, std::int64_t to_u,
                   long double so_far) {
    const long double sum = go(to_t, to_u, so_far * p(t, u, k));
    worth[static_cast<std::size_t>(row(t, u) + k)] += sum;
    return sum;
  }
  TransducerCall<T> c_;
  std::int64_t b_;

 public:
  std::vector<long double> worth;
};

template <class T>
void check_ways() {
  Problem<T> p;
  const TransducerCall<T> call = p.call();
  transducer(call);
  const double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    EveryWay<T> ways(call, b);
    const long double total = ways.go(0, 0, 1);
    CHECK(std::fabs(p.losses[b] + std::log(total)) <= 10 * tolerance, "loss %td is %g", b, double(p.losses[b]));
    for (std::int64_t t = 0; t < p.seq_len; ++t)
      for (std::int64_t u = 0; u <= p.labels; ++u) {
        long double here = 0;
        const auto worth = [&](std::int64_t k) { return ways.worth[static_cast<std::size_t>(ways.row(t, u) + k)]; };
        for (std::int64_t k = 0; k < p.classes; ++k) here += worth(k) / total;
        for (std::int64_t k = 0; k < p.classes; ++k) {
          const T d = p.dlogits[static_cast<std::size_t>(b * 48 + ways.row(t, u) + k)];
          CHECK(std::fabs(d - (here * ways.p(t, u, k) - worth(k) / total)) <= tolerance, "gradient of %td at %td, %td",
                b, t, u);
        }
      }
  }
  const std::vector<T> losses = p.losses, gradient = p.dlogits;
  TransducerCall<T> again = p.call();
  again.dlogits = nullptr;
  transducer(again);
  CHECK(p.losses == losses, "other losses without a gradient");
  again.dlogits = p.logits.data();
  transducer(again);
  CHECK(p.losses == losses && p.logits == gradient, "other bits in place");
}

void check_errors() {
  Problem<float> p;
  const auto bad = [&](auto change, const char* text) {
    TransducerCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { transducer(call); }, text);
  };
  CHECK(bad([](auto& c) { c.seq_len = 0; }, "seq_len is 0"), "no error");
  CHECK(bad([](auto& c) { c.batch = 0; }, "batch is 0"), "no error");
  CHECK(bad([](auto& c) { c.labels = -1; }, "labels is -1"), "no error");
  CHECK(bad([](auto& c) { c.classes = 0; }, "classes is 0"), "no error");
  CHECK(bad([](auto& c) { c.labels = INT64_MAX; }, "larger than memory"), "no error");
  CHECK(bad([](auto& c) { c.logits = nullptr; }, "logits is null"), "no error");
  CHECK(bad([](auto& c) { c.losses = nullptr; }, "losses is null"), "no error");
  CHECK(bad([](auto& c) { c.targets = nullptr; }, "targets is null"), "no error");
  CHECK(bad([](auto& c) { c.blank = -1; }, "blank is -1; expected 0 to 2"), "no error");
  CHECK(bad([](auto& c) { c.blank = 2; }, "targets: label 1 of sequence 0 is 2"), "no error");
  CHECK(bad([](auto& c) { c.target_lengths = nullptr; }, "targets: label 2 of sequence 1 is 0"), "no error");
  p.steps[1] = 5;
  CHECK(bad([](auto&) {}, "input_lengths[1] is 5; expected 0 to seq_len=4"), "no error");
  p.steps[1] = 2;
  p.lengths[2] = 4;
  CHECK(bad([](auto&) {}, "target_lengths[2] is 4; expected 0 to labels=3"), "no error");
  p.lengths[2] = 0;
  p.logits[3 * 5] = NAN;
  CHECK(bad([](auto&) {}, "logits: step 1, label 1 of sequence 0 has no softmax"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3, 9}) {
    set_num_threads(threads);
    check_ways<float>();
    check_ways<double>();
  }
  check_errors();
  return done("transducer");
}
