// Beam search for decoders: see gru_native/generation.h. Hypotheses of all sequences go side by side through the
// decoder, a step at a time; each is a row, sequence after sequence, the best first.
#include "gru_native/generation.h"

#include <cmath>
#include <exception>

#include "decoding/decoder_at_work.h"
#include "decoding/outlooks.h"
#include "decoding/prefixes.h"
#include "spec/check_decoding.h"
#include "spec/check_losses.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

// What one sequence has written, and may have.
template <class T>
class Writing {
 public:
  explicit Writing(const GenerationCall<T>& call) : call_(call) {
    prefixes_.hold(Prefixes::empty);
    live_.push_back({0, 0, Prefixes::empty});
  }

  Index live() const { return static_cast<Index>(live_.size()); }

  // A step of the live ones, whose outlooks begin at `first`; then live() of them go on, from(i) each, by token(i).
  // look_at(i): the attention weights of the i-th of those before, all memories one after the other.
  template <class LookAt>
  void go_on(const Outlooks<T>& outlooks, Index first, const LookAt& look_at) {
    ++steps_;
    extend(outlooks, first);
    next_.clear();
    for (const Extension& e : extensions_) {
      const Index node = live_[static_cast<std::size_t>(e.from)].node;
      if (e.symbol == call_.end) {
        prefixes_.hold(node);
        complete(e.score, node);
        continue;
      }
      next_.push_back({e.score, e.from, prefixes_.extended(node, e.symbol)});
      if (!call_.attention) continue;
      const std::size_t at = static_cast<std::size_t>(next_.back().node);
      if (attention_.size() <= at) attention_.resize(at + 1);
      attention_[at] = look_at(e.from);
    }
    for (const Live& l : live_) prefixes_.release(l.node);
    live_.swap(next_);
    if (steps_ == call_.max_steps || (!live_.empty() && none_is_better())) stop();
  }
  Index from(Index i) const { return live_[static_cast<std::size_t>(i)].from; }
  std::int64_t token(Index i) const { return prefixes_.label(live_[static_cast<std::size_t>(i)].node); }

  std::vector<Generated<T>> result(const std::vector<Index>& positions) const {
    std::vector<Generated<T>> all;
    for (const Complete& c : complete_) {
      Generated<T>& g = all.emplace_back();
      g.ids = prefixes_.labels(c.node);
      g.score = c.score;
      if (call_.attention) g.attention = attention(c.node, positions);
    }
    return all;
  }

 private:
  struct Live {
    double score;
    Index from, node;
  };
  struct Complete {
    double score;
    Index node;
  };

  // extensions_ of the live ones, the best beam_size, in order. Those of one come in order, too.
  void extend(const Outlooks<T>& outlooks, Index first) {
    extensions_.clear();
    const Index most = std::min<Index>(call_.beam_size, Index(1) << 40), room = 2 * most + 16;
    double level = minus_infinity;
    Index order = 0;
    for (Index i = 0; i < live(); ++i) {
      const Outlook& outlook = outlooks[first + i];
      for (Index r = 0; r < outlook.count; ++r) {
        const Ranked<double>& token = outlooks.symbol(outlook, r);
        const double score = live_[static_cast<std::size_t>(i)].score + token.value;
        if (!(score > level)) break;
        extensions_.push_back({score, order++, i, token.k});
        if (static_cast<Index>(extensions_.size()) < room) continue;
        keep_best(extensions_, most);
        level = extensions_.back().score;
      }
    }
    keep_best(extensions_, most);
  }
  double by_length(double score, Index length) const {
    if (score == 0) return score;  // whatever the penalty; it may divide by 0
    return call_.length_penalty == 0 ? score : score / std::pow(static_cast<double>(length), call_.length_penalty);
  }
  // Takes over the hold on the node.
  void complete(double score, Index node) {
    const Complete c{by_length(score, steps_), node};
    const auto worse = [](const Complete& a, const Complete& b) { return a.score > b.score; };
    complete_.insert(std::upper_bound(complete_.begin(), complete_.end(), c, worse), c);
    if (static_cast<Index>(complete_.size()) <= call_.beam_size) return;
    prefixes_.release(complete_.back().node);
    complete_.pop_back();
  }
  // Not even the best one, if its next token were certain to end it. Log-probabilities only fall; divided by a power of
  // the length they might rise later, which nobody waits for: it would take max_steps every time.
  bool none_is_better() const {
    if (static_cast<Index>(complete_.size()) < call_.beam_size) return false;
    return !(by_length(live_.front().score, steps_ + 1) > complete_.back().score);
  }
  // Those that go on no more are complete where there are no more steps.
  void stop() {
    for (const Live& l : live_) {
      if (steps_ == call_.max_steps) complete(l.score, l.node);
      else prefixes_.release(l.node);
    }
    live_.clear();
  }
  std::vector<std::vector<T>> attention(Index node, const std::vector<Index>& positions) const {
    std::vector<const std::vector<T>*> steps;
    for (; node != Prefixes::empty; node = prefixes_.parent(node))
      steps.push_back(&attention_[static_cast<std::size_t>(node)]);
    std::vector<std::vector<T>> all(positions.size());
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      auto at = (*step)->begin();
      for (std::size_t m = 0; m < positions.size(); at += positions[m++])
        all[m].insert(all[m].end(), at, at + positions[m]);
    }
    return all;
  }

  const GenerationCall<T>& call_;
  Prefixes prefixes_;
  Index steps_ = 0;
  std::vector<Live> live_, next_;
  std::vector<Complete> complete_;  // the best first
  std::vector<Extension> extensions_;
  std::vector<std::vector<T>> attention_;  // of each node
};

// The most hypotheses of a sequence that can be under way.
template <class T>
Index most_live(std::int64_t vocab_size, const GenerationCall<T>& call) {
  double reach = 1;
  const double beam = static_cast<double>(call.beam_size);
  for (std::int64_t step = 1; step < call.max_steps && vocab_size > 2 && reach < beam; ++step)
    reach *= static_cast<double>(vocab_size - 1);
  return static_cast<Index>(std::min(reach, beam));
}

template <class T>
class Generation {
 public:
  Generation(const ImplOf<AttentionDecoder<T>>& decoder, const GenerationCall<T>& call, Index most)
      : call_(call),
        words_(decoder.spec.vocab_size),
        decoder_(decoder, call.memory, call.batch, most),
        outlooks_(words_, -1, call.beam_size),
        logits_(static_cast<std::size_t>(most * words_) * sizeof(T)) {
    for (Index b = 0; b < call.batch; ++b) sequences_.emplace_back(call);
  }

  std::vector<std::vector<Generated<T>>> run() {
    decoder_.start(call_.batch, call_.initial);
    tokens_.assign(static_cast<std::size_t>(call_.batch), call_.start);
    for (Index step = 0; step < call_.max_steps && !tokens_.empty(); ++step) go_on(step);
    std::vector<std::vector<Generated<T>>> results;
    for (const Writing<T>& w : sequences_) results.push_back(w.result(decoder_.positions()));
    return results;
  }

 private:
  void go_on(Index step) {
    T* const logits = reinterpret_cast<T*>(logits_.data());
    const Index rows = static_cast<Index>(tokens_.size());
    TeamLease team(decoder_.members, {decoder_.serial, rows});
    decoder_.steps.step(tokens_.data(), {logits, words_, nullptr}, team);
    outlooks_.clear();
    for (const Writing<T>& w : sequences_)
      for (Index i = 0; i < w.live(); ++i) outlooks_.add(true);
    outlooks_.look(0, rows, logits, team);
    first_.clear();
    Index first = 0;
    for (std::size_t b = 0; b < sequences_.size(); ++b) {
      first_.push_back(first);
      first += sequences_[b].live();
      for (Index i = first_.back(); i < first; ++i)
        if (!outlooks_[i].defined) refuse(step, static_cast<Index>(b));
    }
    write(rows, team);
    parents_.clear();
    tokens_.clear();
    for (std::size_t b = 0; b < sequences_.size(); ++b)
      for (Index i = 0; i < sequences_[b].live(); ++i) {
        parents_.push_back(first_[b] + sequences_[b].from(i));
        tokens_.push_back(sequences_[b].token(i));
      }
    if (!tokens_.empty() && !stays(rows)) decoder_.steps.choose(static_cast<Index>(parents_.size()), parents_.data());
  }
  // All sequences go on, shared out if that is worth it.
  void write(Index rows, TeamLease& team) {
    constexpr Index worth_sharing = 64;  // rows: some 20 microseconds
    const auto go_on = [&](Share mine) {
      for (Index b = mine.begin; b < mine.end; ++b) {
        const Index at = first_[static_cast<std::size_t>(b)];
        Writing<T>& w = sequences_[static_cast<std::size_t>(b)];
        if (w.live() > 0) w.go_on(outlooks_, at, [&](Index i) { return decoder_.weights_of(at + i, b); });
      }
    };
    if (rows < worth_sharing) return go_on({0, call_.batch});
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(team.size()));
    team.run([&](int rank) {
      try {
        go_on(share_of(call_.batch, 1, rank, team.size()));
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
  }
  [[noreturn]] void refuse(Index step, Index sequence) const {
    refuse_memory(decoder_.spec, call_, sequence);
    refuse_logits("step " + std::to_string(step) + " of sequence " + std::to_string(sequence));
  }
  bool stays(Index rows) const {
    if (static_cast<Index>(parents_.size()) != rows) return false;
    for (Index i = 0; i < rows; ++i)
      if (parents_[static_cast<std::size_t>(i)] != i) return false;
    return true;
  }

  const GenerationCall<T>& call_;
  const Index words_;
  DecoderAtWork<T> decoder_;
  Outlooks<T> outlooks_;
  Block logits_;
  std::vector<Writing<T>> sequences_;
  std::vector<std::int64_t> tokens_;  // of each row: what the next step is fed
  std::vector<Index> parents_, first_;  // first_: of each sequence's rows
};

}  // namespace

template <class T>
std::vector<std::vector<Generated<T>>> generate(const AttentionDecoder<T>& decoder, const GenerationCall<T>& call) {
  const AttentionDecoderSpec& spec = decoder.spec();
  check_call(spec, call);
  const Index live = most_live(spec.vocab_size, call);
  check_hypotheses(spec, call, live);
  return Generation<T>(impl_of(decoder), call, call.batch * live).run();
}

template std::vector<std::vector<Generated<float>>> generate(const AttentionDecoder<float>&,
                                                             const GenerationCall<float>&);
template std::vector<std::vector<Generated<double>>> generate(const AttentionDecoder<double>&,
                                                              const GenerationCall<double>&);

}  // namespace gru_native
