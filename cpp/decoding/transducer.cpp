// Beam search for transducers: see gru_native/transducer_decoding.h for what it follows. Sequences go side by side, so
// that every network sees the beginnings of all of them at once.
#include "decoding/log_sum.h"
#include "decoding/outlooks.h"
#include "decoding/prefixes.h"
#include "decoding/transducer_networks.h"
#include "spec/check_decoding.h"
#include "spec/check_losses.h"

namespace gru_native {
namespace {

struct Entry {
  double score;
  Index node, order;  // order: decides between equals
  bool operator<(const Entry& other) const { return score != other.score ? score > other.score : order < other.order; }
};
template <class T>
class Sequence {
 public:
  using Step = typename TransducerAtWork<T>::Step;

  Sequence(TransducerAtWork<T>& networks, Index most) : networks_(networks), most_(most) {
    prefixes_.hold(Prefixes::empty);
    prefixes_.state(Prefixes::empty) = TransducerAtWork<T>::start;
    beam_.push_back({0, Prefixes::empty, 0});
  }

  // The beginnings that stand at the present step with as many labels more as there were rounds, the best first.
  const std::vector<Entry>& here() const { return here_; }
  Index slot(Index i) { return prefixes_.state(here_[static_cast<std::size_t>(i)].node); }

  void begin_step() { here_.swap(beam_); }
  // Each has the blank, or a label more. `first`: of the outlooks of these beginnings.
  void go_on(const Outlooks<T>& outlooks, Index first, std::vector<Step>& steps) {
    const Index count = static_cast<Index>(here_.size());
    for (Index i = 0; i < count; ++i) take_blank(here_[static_cast<std::size_t>(i)], outlooks[first + i].apart);
    const double least = worst_of_the_best();
    extensions_.clear();
    for (Index i = 0; i < count; ++i) {
      const Outlook& outlook = outlooks[first + i];
      for (Index r = 0; r < outlook.count; ++r) {
        const Ranked<double>& label = outlooks.symbol(outlook, r);
        const double score = here_[static_cast<std::size_t>(i)].score + label.value;
        if (score > least) extensions_.push_back({score, static_cast<Index>(extensions_.size()), i, label.k});
      }
    }
    keep_best(extensions_, most_);
    next_.clear();
    for (const Extension& e : extensions_) {
      const Index from = here_[static_cast<std::size_t>(e.from)].node, node = prefixes_.extended(from, e.symbol);
      next_.push_back({e.score, node, 0});
      if (prefixes_.state(node) != Prefixes::none) continue;
      prefixes_.state(node) = networks_.take_slot();
      steps.push_back({prefixes_.state(from), prefixes_.state(node), e.symbol});
    }
    for (const Entry& e : here_) drop(e.node);
    here_.swap(next_);
  }
  void end_step() {
    for (const Entry& e : done_) prefixes_.place(e.node) = Prefixes::none;
    beam_.swap(done_);
    done_.clear();
    const std::vector<Entry> all = beam_;
    keep_best(beam_, most_);
    for (const Entry& e : beam_) prefixes_.hold(e.node);
    for (const Entry& e : all) drop(e.node);
  }

  Hypotheses hypotheses() const {
    Hypotheses all;
    for (const Entry& e : beam_) all.push_back({prefixes_.labels(e.node), e.score});
    return all;
  }

 private:
  void take_blank(const Entry& e, double blank) {
    const double score = e.score + blank;
    if (!(score > minus_infinity)) return;
    Index& place = prefixes_.place(e.node);
    if (place != Prefixes::none) {
      double& sum = done_[static_cast<std::size_t>(place)].score;
      sum = log_sum(sum, score);
      return;
    }
    place = static_cast<Index>(done_.size());
    done_.push_back({score, e.node, place});
    prefixes_.hold(e.node);
  }
  double worst_of_the_best() {
    if (static_cast<Index>(done_.size()) < most_) return minus_infinity;
    scores_.clear();
    for (const Entry& e : done_) scores_.push_back(e.score);
    const auto at = scores_.begin() + (most_ - 1);
    std::nth_element(scores_.begin(), at, scores_.end(), std::greater<>());
    return *at;
  }
  void drop(Index node) {
    if (prefixes_.holders(node) == 1 && node != Prefixes::empty) {
      networks_.give_back(prefixes_.state(node));
      prefixes_.state(node) = Prefixes::none;
    }
    prefixes_.release(node);
  }

  TransducerAtWork<T>& networks_;
  const Index most_;
  Prefixes prefixes_;  // state: a slot of the networks; place: in done_
  std::vector<Entry> beam_, here_, next_;
  std::vector<Entry> done_;  // what had its blank at this step
  std::vector<Extension> extensions_;
  std::vector<double> scores_;
};

template <class T>
class Search {
 public:
  using Pair = typename TransducerAtWork<T>::Pair;

  Search(const TransducerNetworks<T>& networks, const TransducerDecodingCall<T>& call)
      : call_(call), networks_(networks), outlooks_(networks.classes, networks.blank, call.beam_size) {
    for (Index b = 0; b < call.batch; ++b) sequences_.emplace_back(networks_, call.beam_size);
  }

  std::vector<Hypotheses> run() {
    for (Index t = 0; t < call_.seq_len; ++t) step(t);
    std::vector<Hypotheses> all;
    for (const Sequence<T>& s : sequences_) all.push_back(s.hypotheses());
    return all;
  }

 private:
  bool lasts(Index b, Index t) const { return !call_.lengths || t < call_.lengths[b]; }
  Sequence<T>& sequence(Index b) { return sequences_[static_cast<std::size_t>(b)]; }

  void step(Index t) {
    for (Index b = 0; b < call_.batch; ++b)
      if (lasts(b, t)) sequence(b).begin_step();
    for (Index round = 0; round <= call_.max_symbols; ++round) {
      pairs_.clear();
      outlooks_.clear();
      for (Index b = 0; b < call_.batch; ++b) {
        if (!lasts(b, t)) continue;
        const T* const encoded = call_.encoded.data + t * call_.encoded.step_stride + b * call_.encoded.batch_stride;
        for (Index i = 0; i < static_cast<Index>(sequence(b).here().size()); ++i) {
          pairs_.push_back({encoded, sequence(b).slot(i)});
          outlooks_.add(round < call_.max_symbols);
        }
      }
      if (pairs_.empty()) break;
      networks_.each_logits(pairs_, [&](Index first, Index count, const T* logits) {
        static const char kind = 0;
        TeamLease team(outlooks_.threads(count), {&kind, count * networks_.classes()});
        outlooks_.look(first, count, logits, team);
      });
      go_on(t);
    }
    for (Index b = 0; b < call_.batch; ++b)
      if (lasts(b, t)) sequence(b).end_step();
  }

  void go_on(Index t) {
    steps_.clear();
    Index first = 0;
    for (Index b = 0; b < call_.batch; ++b) {
      if (!lasts(b, t)) continue;
      const Index count = static_cast<Index>(sequence(b).here().size());
      for (Index i = first; i < first + count; ++i)
        if (!outlooks_[i].defined) refuse_logits("step " + std::to_string(t) + " of sequence " + std::to_string(b));
      sequence(b).go_on(outlooks_, first, steps_);
      first += count;
    }
    networks_.predict(steps_);
  }

  const TransducerDecodingCall<T>& call_;
  TransducerAtWork<T> networks_;
  std::vector<Sequence<T>> sequences_;
  std::vector<Pair> pairs_;          // of this round, sequence after sequence
  Outlooks<T> outlooks_;             // of each pair
  std::vector<typename TransducerAtWork<T>::Step> steps_;
};

}  // namespace

template <class T>
std::vector<Hypotheses> transducer_beam(const TransducerNetworks<T>& networks, const TransducerDecodingCall<T>& call) {
  check_call(networks, call);
  return Search<T>(networks, call).run();
}

template std::vector<Hypotheses> transducer_beam(const TransducerNetworks<float>&,
                                                 const TransducerDecodingCall<float>&);
template std::vector<Hypotheses> transducer_beam(const TransducerNetworks<double>&,
                                                 const TransducerDecodingCall<double>&);

}  // namespace gru_native
