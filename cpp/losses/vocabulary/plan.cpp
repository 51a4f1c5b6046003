#include "losses/vocabulary/plan.h"

#include <cmath>
#include <map>

namespace gru_native {
namespace {

std::vector<Index> sorted_once(std::vector<Index> v) {
  std::sort(v.begin(), v.end());
  v.erase(std::unique(v.begin(), v.end()), v.end());
  return v;
}
Index place_in(const std::vector<Index>& sorted, Index value) {
  return std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin();
}

// The distinct ones of many numbers. They are sorted now and then, so that no sorting takes long.
class Distinct {
 public:
  void add(Index value) {
    if (values_.size() >= most_) {
      look();
      values_ = sorted_once(std::move(values_));
      most_ = std::max(at_once, 2 * values_.size());
    }
    values_.push_back(value);
  }
  std::vector<Index> in_order() { return sorted_once(std::move(values_)); }

 private:
  static constexpr std::size_t at_once = 1 << 18;
  std::vector<Index> values_;
  std::size_t most_ = at_once;
};

// All rows see the words that were drawn, and each its target.
template <class T>
void plan_samples(const ImplOf<LargeSoftmax<T>>& layer, std::uint64_t seed, ImplOf<LargeSoftmaxTape<T>>& tape,
                  Plan<T>& plan) {
  const Index k = layer.num_samples(), words = layer.spec.vocab_size;
  const bool all = k == words && !layer.contrastive();
  std::vector<Index> drawn(static_cast<std::size_t>(k));
  for (Index i = 0; i < k; ++i) drawn[static_cast<std::size_t>(i)] = all ? i : (*layer.draws)(seed, i);
  const std::vector<Index> samples = sorted_once(drawn);
  Progress progress;
  Distinct not_drawn;
  for (const Index word : plan.targets) {
    progress.add(macs_of_search);
    if (!std::binary_search(samples.begin(), samples.end(), word)) not_drawn.add(word);
  }
  const std::vector<Index> others = not_drawn.in_order();
  plan.order = samples;
  plan.order.insert(plan.order.end(), others.begin(), others.end());
  const auto count = static_cast<Index>(samples.size());

  const double draws = static_cast<double>(k);
  for (const Index word : plan.order) {
    const double q = layer.draws->probability(word);
    const double expected = layer.contrastive() ? draws * q : all ? 1 : -std::expm1(draws * std::log1p(-q));
    plan.correction.push_back(static_cast<T>(-std::log(expected)));
  }
  plan.times.assign(samples.size(), 0);
  for (const Index word : drawn) ++plan.times[static_cast<std::size_t>(place_in(samples, word))];

  Group<T>& group = tape.groups.emplace_back();
  group.rows = static_cast<Index>(plan.targets.size());
  tape.grouped = group.count = count;
  tape.pairs.begins = {0};
  for (const Index word : plan.targets) {
    progress.add(macs_of_search);
    const Index place = place_in(samples, word);
    const bool hit = place < count && samples[static_cast<std::size_t>(place)] == word;
    tape.pairs.word.push_back(hit ? place : count + place_in(others, word));
    tape.pairs.begins.push_back(static_cast<Index>(tape.pairs.word.size()));
  }
}

// All rows see all classes, and each the words of its target's class.
template <class T>
void plan_classes(const WordClasses& classes, ImplOf<LargeSoftmaxTape<T>>& tape, Plan<T>& plan) {
  tape.head.emplace();
  tape.head->rows = static_cast<Index>(plan.targets.size());
  tape.head->count = classes.count();
  std::map<Index, std::vector<Index>> rows_of;
  Progress progress;
  for (std::size_t r = 0; r < plan.targets.size(); ++r) {
    progress.add(macs_of_search);
    rows_of[classes.class_of(plan.targets[r])].push_back(static_cast<Index>(r) * tape.x.stride);
  }
  for (auto& [c, offsets] : rows_of) {
    Group<T>& group = tape.groups.emplace_back();
    group.rows = static_cast<Index>(offsets.size());
    group.offsets = std::move(offsets);
    group.first = tape.grouped;
    group.count = classes.size_of(c);
    tape.grouped += group.count;
    plan.order.insert(plan.order.end(), classes.words_of(c), classes.words_of(c) + group.count);
  }
}

// Each row sees the nodes on the way to its target.
template <class T>
void plan_tree(const WordTree& tree, ImplOf<LargeSoftmaxTape<T>>& tape, Plan<T>& plan) {
  Pairs<T>& pairs = tape.pairs;
  pairs.begins = {0};
  Progress progress;
  Distinct nodes;
  for (const Index word : plan.targets) {
    tree.each_node_of(word, [&](Index node, bool left) {
      progress.add(macs_of_search);
      nodes.add(node);
      pairs.word.push_back(node);
      pairs.sign.push_back(left ? 1 : -1);
    });
    pairs.begins.push_back(static_cast<Index>(pairs.word.size()));
  }
  plan.order = nodes.in_order();
  for (Index& node : pairs.word) {
    progress.add(macs_of_search);
    node = place_in(plan.order, node);
  }
}

}  // namespace

template <class T>
Plan<T> plan_of(const ImplOf<LargeSoftmax<T>>& layer, const LargeSoftmaxCall<T>& call,
                ImplOf<LargeSoftmaxTape<T>>& tape) {
  Plan<T> plan;
  for (const Index r : tape.counted) plan.targets.push_back(call.targets[r]);
  if (layer.draws) plan_samples(layer, call.seed, tape, plan);
  if (layer.classes) plan_classes(*layer.classes, tape, plan);
  if (layer.tree) plan_tree(*layer.tree, tape, plan);
  const std::vector<Index> rows = sorted_once(plan.order);
  tape.rows.assign(rows.begin(), rows.end());
  for (const Index row : plan.order) tape.place.push_back(place_in(rows, row));
  tape.pairs.d.resize(tape.pairs.word.size());
  return plan;
}

template Plan<float> plan_of(const ImplOf<LargeSoftmax<float>>&, const LargeSoftmaxCall<float>&,
                             ImplOf<LargeSoftmaxTape<float>>&);
template Plan<double> plan_of(const ImplOf<LargeSoftmax<double>>&, const LargeSoftmaxCall<double>&,
                              ImplOf<LargeSoftmaxTape<double>>&);

}  // namespace gru_native
