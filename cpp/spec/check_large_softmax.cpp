#include "spec/check_large_softmax.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "spec/checks.h"

namespace gru_native {
namespace {

std::string below(std::int64_t n) { return "0 to " + std::to_string(n - 1); }

void check_count(const std::string& name, std::size_t count, std::int64_t expected) {
  if (static_cast<std::int64_t>(count) != expected)
    refuse(name + ".size()", std::to_string(count), "vocab_size=" + std::to_string(expected));
}

void check_counts(const std::vector<double>& counts, std::int64_t vocab_size, bool zero_allowed) {
  check_count("counts", counts.size(), vocab_size);
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double c = counts[i];
    if (!std::isfinite(c) || c < 0 || (c == 0 && !zero_allowed))
      refuse("counts[" + std::to_string(i) + "]", std::to_string(c),
             zero_allowed ? "a number of 0 or more" : "a number above 0: a word that is never drawn has no part in it");
    sum += c;
  }
  if (!std::isfinite(sum)) refuse("the sum of counts", std::to_string(sum), "a finite number");
}

template <class Sampling>
void check_sampling(const Sampling& s, std::int64_t vocab_size) {
  if (s.num_samples < 1 || s.num_samples > vocab_size)
    refuse("num_samples", std::to_string(s.num_samples), "1 to vocab_size=" + std::to_string(vocab_size));
  check_enum("proposal", s.proposal, Proposal::counts, "a Proposal");
  if (s.proposal == Proposal::counts) check_counts(s.counts, vocab_size, false);
  else if (!s.counts.empty()) refuse("counts.size()", std::to_string(s.counts.size()), "0 with this proposal");
}

void check(const SampledSoftmax& s, std::int64_t vocab_size) { check_sampling(s, vocab_size); }
void check(const NoiseContrastive& s, std::int64_t vocab_size) { check_sampling(s, vocab_size); }
void check(const ClassSoftmax& s, std::int64_t vocab_size) {
  if (s.classes.empty()) return;
  check_count("classes", s.classes.size(), vocab_size);
  for (std::size_t i = 0; i < s.classes.size(); ++i)
    if (s.classes[i] < 0 || s.classes[i] >= vocab_size)
      refuse("classes[" + std::to_string(i) + "]", std::to_string(s.classes[i]), below(vocab_size));
  std::vector<bool> there(static_cast<std::size_t>(*std::max_element(s.classes.begin(), s.classes.end())) + 1);
  for (const std::int64_t c : s.classes) there[static_cast<std::size_t>(c)] = true;
  const auto empty = std::find(there.begin(), there.end(), false);
  if (empty != there.end())
    throw std::invalid_argument("classes: class " + std::to_string(empty - there.begin()) +
                                " has no word; expected at least one in each class");
}
void check(const TreeSoftmax& s, std::int64_t vocab_size) {
  if (!s.counts.empty()) check_counts(s.counts, vocab_size, true);
}

template <class T>
void check_rows_of_x(const LargeSoftmaxSpec& spec, std::int64_t rows, const T* x) {
  check_size("rows", rows, 1);
  check_fits("the arrays", double(rows) * double(spec.input_size), {{"rows", rows}, {"input_size", spec.input_size}});
  check_there("x", x);
}

}  // namespace

void LargeSoftmaxSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("vocab_size", vocab_size, 2);
  check_fits("the weights", double(input_size) * double(vocab_size),
             {{"input_size", input_size}, {"vocab_size", vocab_size}});
  std::visit([&](const auto& k) { check(k, vocab_size); }, kind);
}

template <class T>
void check_call(const LargeSoftmaxSpec& spec, const LargeSoftmaxCall<T>& call) {
  check_rows_of_x(spec, call.rows, call.x);
  check_there("targets", call.targets);
  for (std::int64_t r = 0; r < call.rows; ++r)
    if (const std::int64_t t = call.targets[r]; t != call.ignore && (t < 0 || t >= spec.vocab_size))
      refuse("targets: that of row " + std::to_string(r), std::to_string(t),
             below(spec.vocab_size) + (call.ignore ? ", or ignore=" + std::to_string(*call.ignore) : ""));
}

template <class T>
void check_call(const LargeSoftmaxSpec& spec, const LogProbabilityCall<T>& call) {
  check_rows_of_x(spec, call.rows, call.x);
  check_there("log_p", call.log_p);
  const std::int64_t columns = call.ids ? call.num_ids : spec.vocab_size;
  check_size("num_ids", columns, 0);
  check_fits("the arrays", double(call.rows) * double(columns), {{"rows", call.rows}, {"num_ids", columns}});
  for (std::int64_t i = 0; call.ids && i < call.rows * columns; ++i)
    if (call.ids[i] < 0 || call.ids[i] >= spec.vocab_size)
      refuse("ids: number " + std::to_string(i % columns) + " of row " + std::to_string(i / columns),
             std::to_string(call.ids[i]), below(spec.vocab_size));
}

template <class T>
void check_call(const LargeSoftmaxSpec& spec, const TopWordsCall<T>& call) {
  check_rows_of_x(spec, call.rows, call.x);
  if (call.k < 1 || call.k > spec.vocab_size)
    refuse("k", std::to_string(call.k), "1 to vocab_size=" + std::to_string(spec.vocab_size));
  check_fits("the arrays", double(call.rows) * double(call.k), {{"rows", call.rows}, {"k", call.k}});
  check_there("ids", call.ids);
}

template void check_call(const LargeSoftmaxSpec&, const LargeSoftmaxCall<float>&);
template void check_call(const LargeSoftmaxSpec&, const LargeSoftmaxCall<double>&);
template void check_call(const LargeSoftmaxSpec&, const LogProbabilityCall<float>&);
template void check_call(const LargeSoftmaxSpec&, const LogProbabilityCall<double>&);
template void check_call(const LargeSoftmaxSpec&, const TopWordsCall<float>&);
template void check_call(const LargeSoftmaxSpec&, const TopWordsCall<double>&);

}  // namespace gru_native
