// Labels for CTC's outputs. In prefix beam search a beginning y of the labels has two probabilities, of the paths that
// end with a blank and of those that end with its last label k. From step to step, where p is the softmax of the step:
//   blank'(y) = p(blank) (blank(y) + label(y))
//   label'(y) = p(k) label(y) + p(k) from(x)     where y is x with k, and x in the beam
//   label'(yk) = p(k) from(y)                    for yk outside of the beam
//   from(y) = blank(y) if y ends with k, else blank(y) + label(y)
#include <cmath>

#include "decoding/best.h"
#include "decoding/log_sum.h"
#include "decoding/prefixes.h"
#include "decoding/rows.h"
#include "gru_native/decoding.h"
#include "losses/rows.h"
#include "spec/check_decoding.h"
#include "spec/check_losses.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

constexpr double macs_of_candidate = 100;

template <class T>
struct Row {
  const CtcDecodingCall<T>& call;
  Index b;
  Index steps() const { return call.lengths ? call.lengths[b] : call.seq_len; }
  const T* logits(Index t) const {
    return call.logits.data + t * call.logits.step_stride + b * call.logits.batch_stride;
  }
};

template <class T>
class Beam {
 public:
  Beam(Index blank, Index classes, Index most) : blank_(blank), classes_(classes), most_(most) {
    beam_.push_back({0, minus_infinity, 0, Prefixes::empty});
    prefixes_.hold(Prefixes::empty);
    prefixes_.place(Prefixes::empty) = 0;
    taken_by_.assign(static_cast<std::size_t>(classes), Prefixes::none);
  }

  void step(const T* a, const Normalizer<T>& z) {
    best_of_row(a, classes_, blank_, std::min(most_, classes_) + 1, best_);
    next_.clear();
    const auto log_p = [&](Index k) { return log_probability(a, z, k); };
    for (const Entry& y : beam_) stay(y, log_p);
    const Index stays = static_cast<Index>(next_.size());
    double least = minus_infinity;
    if (stays == most_) {
      least = next_.front().total;
      for (const Candidate& c : next_) least = std::min(least, c.total);
    }
    for (Index i = 0; i < static_cast<Index>(beam_.size()); ++i) extend(i, least, log_p);
    keep_best(next_, most_);
    take();
  }

  Hypotheses result() const {
    Hypotheses all;
    for (const Entry& y : beam_) all.push_back({prefixes_.labels(y.node), y.total});
    return all;
  }

 private:
  struct Entry {
    double blank, label, total;
    Index node;
  };
  // What may be in the beam after this step: an entry as it stays, or with a label more.
  struct Candidate {
    double blank, label, total;
    Index from, added, order;
    bool operator<(const Candidate& other) const {
      return total != other.total ? total > other.total : order < other.order;
    }
  };

  double from(const Entry& x, Index k) const { return prefixes_.label(x.node) == k ? x.blank : x.total; }
  void add(double blank, double label, Index from, Index added) {
    const double total = log_sum(blank, label);
    if (total > minus_infinity) next_.push_back({blank, label, total, from, added, static_cast<Index>(next_.size())});
  }

  template <class LogP>
  void stay(const Entry& y, const LogP& log_p) {
    double label = minus_infinity;
    if (y.node != Prefixes::empty) {
      const Index k = prefixes_.label(y.node), parent = prefixes_.place(prefixes_.parent(y.node));
      label = y.label;
      if (parent != Prefixes::none) label = log_sum(label, from(beam_[static_cast<std::size_t>(parent)], k));
      label += log_p(k);
    }
    add(y.total + log_p(blank_), label, prefixes_.place(y.node), Prefixes::none);
  }

  // Beginnings that are better by rank, and labels that are, have (i + 1) (r + 1) candidates together. Each is at least
  // as good as this one, but for those, one a beginning, that repeat a last label. So where i and r are large, there
  // are as many better ones as the beam holds, and the search is that among all classes.
  template <class LogP>
  void extend(Index i, double least, const LogP& log_p) {
    const Entry& y = beam_[static_cast<std::size_t>(i)];
    for (Index child = prefixes_.first(y.node); child != Prefixes::none; child = prefixes_.sibling(child))
      if (prefixes_.place(child) != Prefixes::none) taken_by_[static_cast<std::size_t>(prefixes_.label(child))] = i;
    const Index end = std::min(static_cast<Index>(best_.size()), most_ / (i + 1) + 1);
    for (Index r = 0; r < end; ++r) {
      const Index k = best_[static_cast<std::size_t>(r)].k;
      const double p = log_p(k);
      if (!(y.total + p > least)) break;
      if (taken_by_[static_cast<std::size_t>(k)] != i) add(minus_infinity, from(y, k) + p, i, k);
    }
    for (Index child = prefixes_.first(y.node); child != Prefixes::none; child = prefixes_.sibling(child))
      taken_by_[static_cast<std::size_t>(prefixes_.label(child))] = Prefixes::none;
  }

  // The candidates become the beam.
  void take() {
    after_.clear();
    for (const Candidate& c : next_) {
      const Index before = beam_[static_cast<std::size_t>(c.from)].node;
      if (c.added == Prefixes::none) prefixes_.hold(before);
      const Index node = c.added == Prefixes::none ? before : prefixes_.extended(before, c.added);
      after_.push_back({c.blank, c.label, c.total, node});
    }
    for (const Entry& y : beam_) {
      prefixes_.place(y.node) = Prefixes::none;
      prefixes_.release(y.node);
    }
    beam_.swap(after_);
    for (Index i = 0; i < static_cast<Index>(beam_.size()); ++i)
      prefixes_.place(beam_[static_cast<std::size_t>(i)].node) = i;
  }

  const Index blank_, classes_, most_;
  Prefixes prefixes_;  // the place of those in the beam is there
  std::vector<Entry> beam_, after_;
  std::vector<Candidate> next_;
  std::vector<Ranked<T>> best_;
  std::vector<Index> taken_by_;  // of each label: the entry that is in the beam with it, too
};

template <class T>
class BestPath {
 public:
  BestPath(Index blank, Index classes) : blank_(blank), classes_(classes) {}

  void step(const T* a, const Normalizer<T>& z) {
    const Index k = std::max_element(a, a + classes_) - a;
    path_.score += log_probability(a, z, k);
    if (k != blank_ && k != last_) path_.ids.push_back(k);
    last_ = k;
  }
  Hypothesis result() { return std::move(path_); }

 private:
  const Index blank_, classes_;
  Index last_ = -1;
  Hypothesis path_;
};

// The results of decoders, each made by start(), which see the steps of one sequence. macs: of a step.
template <class T, class Start>
auto decoded(const CtcDecodingCall<T>& call, double macs, const Start& start) {
  std::vector<double> costs;
  for (Index b = 0; b < call.batch; ++b) costs.push_back(macs * static_cast<double>(Row<T>{call, b}.steps()));
  std::vector<Index> bad_steps(costs.size(), -1);
  std::vector<decltype(start().result())> results(costs.size());
  each_row(costs, [&](Index b) {
    const Row<T> row{call, b};
    auto decoder = start();
    Progress progress;
    for (Index t = 0; t < row.steps(); ++t) {
      progress.add(macs);
      const Normalizer<T> z = kernels_for<T>().loss.normalizer(row.logits(t), call.classes);
      if (std::isnan(z.log_sum)) {
        bad_steps[static_cast<std::size_t>(b)] = t;
        return;
      }
      decoder.step(row.logits(t), z);
    }
    results[static_cast<std::size_t>(b)] = decoder.result();
  });
  for (Index b = 0; b < call.batch; ++b)
    if (const Index t = bad_steps[static_cast<std::size_t>(b)]; t >= 0)
      refuse_logits("step " + std::to_string(t) + " of sequence " + std::to_string(b));
  return results;
}

}  // namespace

template <class T>
Hypotheses ctc_greedy(const CtcDecodingCall<T>& call) {
  check_call(call);
  const double macs = 2 * softmax_macs * static_cast<double>(call.classes);
  return decoded(call, macs, [&] { return BestPath<T>(call.blank, call.classes); });
}

template <class T>
std::vector<Hypotheses> ctc_beam(const CtcDecodingCall<T>& call, std::int64_t beam_size) {
  check_call(call);
  check_size("beam_size", beam_size, 1);
  const double macs = 2 * softmax_macs * static_cast<double>(call.classes) +
                      macs_of_candidate * static_cast<double>(std::min<Index>(beam_size, 1000));
  return decoded(call, macs, [&] { return Beam<T>(call.blank, call.classes, beam_size); });
}

template Hypotheses ctc_greedy(const CtcDecodingCall<float>&);
template Hypotheses ctc_greedy(const CtcDecodingCall<double>&);
template std::vector<Hypotheses> ctc_beam(const CtcDecodingCall<float>&, std::int64_t);
template std::vector<Hypotheses> ctc_beam(const CtcDecodingCall<double>&, std::int64_t);

}  // namespace gru_native
