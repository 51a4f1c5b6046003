// Decoding of CTC from C++: every path one by one in long double, any layout and threads; and errors.
#include <map>
#include <stdexcept>

#include "gru_native/decoding.h"
#include "gru_native/runtime.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

using Labels = std::vector<std::int64_t>;

template <class T>
struct Problem {
  std::int64_t seq_len = 5, batch = 4, classes = 3;
  std::vector<T> logits = random_numbers<T>(60, 7, 2);
  Labels steps{5, 4, 0, 3};
  CtcDecodingCall<T> call(bool batch_first = false) const {
    CtcDecodingCall<T> c;
    c.seq_len = seq_len;
    c.batch = batch;
    c.classes = classes;
    c.logits = batch_first ? batch_major(logits.data(), seq_len, classes) : time_major(logits.data(), batch, classes);
    c.lengths = steps.data();
    c.blank = 1;
    return c;
  }
};

template <class T>
std::map<Labels, long double> every_path(const CtcDecodingCall<T>& c, std::int64_t b) {
  const std::int64_t steps = c.lengths[b], n = c.classes;
  std::int64_t paths = 1;
  for (std::int64_t t = 0; t < steps; ++t) paths *= n;
  std::map<Labels, long double> found;
  for (std::int64_t path = 0; path < paths; ++path) {
    Labels said;
    long double of_path = 1;
    for (std::int64_t t = 0, rest = path, last = -1; t < steps; ++t, rest /= n) {
      const T* const a = c.logits.data + t * c.logits.step_stride + b * c.logits.batch_stride;
      const std::int64_t k = rest % n;
      long double sum = 0;
      for (std::int64_t j = 0; j < n; ++j) sum += std::exp(static_cast<long double>(a[j]));
      of_path *= std::exp(static_cast<long double>(a[k])) / sum;
      if (k != c.blank && k != last) said.push_back(k);
      last = k;
    }
    found[said] += of_path;
  }
  return found;
}

template <class T>
void check_paths(bool batch_first) {
  const Problem<T> p;
  const CtcDecodingCall<T> call = p.call(batch_first);
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;
  const std::vector<Hypotheses> wide = ctc_beam(call, 1000), narrow = ctc_beam(call, 2);
  const Hypotheses greedy = ctc_greedy(call);
  CHECK(static_cast<std::int64_t>(wide.size()) == p.batch && wide.size() == greedy.size(), "%zu rows", wide.size());
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const std::map<Labels, long double> every = every_path(call, b);
    const Hypotheses& row = wide[static_cast<std::size_t>(b)];
    CHECK(row.size() == every.size(), "%zu of %zu", row.size(), every.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double expected = static_cast<double>(std::log(every.at(row[i].ids)));
      CHECK(std::fabs(row[i].score - expected) <= tolerance, "%g, expected %g", row[i].score, expected);
      CHECK(i == 0 || row[i].score <= row[i - 1].score, "not the best first");
    }
    CHECK(narrow[static_cast<std::size_t>(b)].size() == std::min<std::size_t>(2, row.size()), "not 2");
    const Hypothesis& best = greedy[static_cast<std::size_t>(b)];
    CHECK(best.score <= std::log(every.at(best.ids)) + tolerance, "a path above its labels");
  }
}

void check_errors() {
  Problem<float> p;
  const auto bad = [&](auto change, const char* text) {
    CtcDecodingCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { ctc_beam(call); }, text) &&
           throws<std::invalid_argument>([&] { ctc_greedy(call); }, text);
  };
  CHECK(bad([](auto& c) { c.seq_len = 0; }, "seq_len is 0"), "no error");
  CHECK(bad([](auto& c) { c.batch = -1; }, "batch is -1"), "no error");
  CHECK(bad([](auto& c) { c.classes = 0; }, "classes is 0"), "no error");
  CHECK(bad([](auto& c) { c.seq_len = c.batch = std::int64_t(1) << 40; }, "larger than memory"), "no error");
  CHECK(bad([](auto& c) { c.logits.data = nullptr; }, "logits.data is null"), "no error");
  CHECK(bad([](auto& c) { c.logits.step_stride = -3; }, "logits.step_stride is -3"), "no error");
  CHECK(bad([](auto& c) { c.blank = 3; }, "blank is 3; expected 0 to 2"), "no error");
  p.steps[1] = 6;
  CHECK(bad([](auto&) {}, "lengths[1] is 6; expected 0 to seq_len=5"), "no error");
  p.steps[1] = 4;
  p.logits[14] = NAN;
  CHECK(bad([](auto&) {}, "logits: step 1 of sequence 0 has no softmax"), "no error");
  CHECK(throws<std::invalid_argument>([&] { ctc_beam(Problem<float>().call(), 0); }, "beam_size is 0"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3, 9}) {
    set_num_threads(threads);
    for (const bool batch_first : {false, true}) {
      check_paths<float>(batch_first);
      check_paths<double>(batch_first);
    }
  }
  check_errors();
  return done("ctc_decoding");
}
