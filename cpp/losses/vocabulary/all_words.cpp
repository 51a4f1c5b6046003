// Probabilities of all words, by the scores of all.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/threads.h"
#include "gru_native/dense.h"
#include "losses/rows.h"
#include "losses/vocabulary/large_softmax.h"
#include "runtime/denormals.h"
#include "runtime/team.h"
#include "spec/check_large_softmax.h"

namespace gru_native {
namespace {

constexpr Index numbers_at_once = Index(1) << 22;  // scores that are there at a time
constexpr Index pairs_at_once = 4096;              // words whose probabilities are computed one by one

template <class T>
void log_softmax(T* a, Index n) {
  kernels_for<T>().activation[static_cast<int>(DenseActivation::log_softmax)].forward(a, a, n);
}

template <class T>
const AllWords<T>& all_words(const ImplOf<LargeSoftmax<T>>& layer, const PackedVocabulary<T>& packed) {
  return packed.all.get([&] {
    const Index columns = layer.spec.input_size, lanes = kernels_for<T>().lanes;
    const Index rows = layer.weight_rows(), classes = layer.classes ? layer.classes->count() : 0;
    AllWords<T> all;
    all.weight = panels_for<T>(rows, columns);
    all.bias = Buffer<T>(rows + panel_columns<T>());
    if (classes) all.class_weight = panels_for<T>(classes, columns);
    all.class_bias = Buffer<T>(classes + panel_columns<T>());
    const auto fill = [&](PackedMatrix<T>& m, Buffer<T>& start, int weight, int bias, Index n) {
      if (weight < 0) return;
      const T* const w = layer.store.data(weight);
      fill_panels(m, n, lanes, [&](int, Index row) { return w + row * columns; });
      if (bias >= 0) std::copy_n(layer.store.data(bias), n, start.data());
    };
    const std::lock_guard<WritingLock> lock(layer.store.writing());
    fill(all.weight, all.bias, layer.at.weight, layer.at.bias, rows);
    fill(all.class_weight, all.class_bias, layer.at.class_weight, layer.at.class_bias, classes);
    return all;
  });
}

// log p of the words of each class, from the scores of classes and of words.
template <class T>
void finish_classes(const WordClasses& classes, T* class_scores, const T* scores, T* own, T* log_p) {
  log_softmax(class_scores, classes.count());
  for (Index c = 0; c < classes.count(); ++c) {
    const Index* const words = classes.words_of(c);
    const Index n = classes.size_of(c);
    for (Index i = 0; i < n; ++i) own[i] = scores[words[i]];
    log_softmax(own, n);
    for (Index i = 0; i < n; ++i) log_p[words[i]] = class_scores[c] + own[i];
  }
}
// From the root on: `own` has the probability that the way leads to a node.
template <class T>
void finish_tree(const WordTree& tree, const T* scores, T* own, T* log_p) {
  own[0] = 0;
  for (Index n = 0; n < tree.nodes(); ++n) {
    const double s = static_cast<double>(scores[n]), rest = std::log1p(std::exp(-std::fabs(s)));
    const auto [left, right] = tree.children(n);
    (left >= 0 ? own[left] : log_p[-1 - left]) = own[n] + static_cast<T>(std::min(s, 0.0) - rest);
    (right >= 0 ? own[right] : log_p[-1 - right]) = own[n] + static_cast<T>(std::min(-s, 0.0) - rest);
  }
}

}  // namespace

// Some rows at a time: the panels of words are shared out among the members, then the rows.
template <class T>
template <class F>
void LargeSoftmax<T>::Impl::each_row(const T* x, Index rows, const F& f) const {
  const auto packed = store.packed();
  const AllWords<T>& all = all_words(*this, *packed);
  const Index columns = spec.input_size, words = spec.vocab_size, scored = weight_rows();
  const Index class_count = classes ? classes->count() : 0;
  const Index at_once = std::min(rows, std::max<Index>(1, numbers_at_once / scored));
  const auto lease = store.lease();
  Arena& arena = *lease;
  const Matrix<T> scores = take_matrix<T>(arena, at_once, scored);
  const Matrix<T> class_scores = take_matrix<T>(arena, at_once, class_count);
  const Matrix<T> log_p = take_matrix<T>(arena, at_once, words);
  const double macs = static_cast<double>(at_once) * static_cast<double>(columns) * static_cast<double>(scored);
  TeamLease team(useful_threads(macs), {this, rows});
  const Matrix<T> room = take_matrix<T>(arena, team.size(), classes ? classes->largest() : tree ? scored : 0);

  const auto score = [&](const PackedMatrix<T>& panels, const Buffer<T>& start, Matrix<T> to, Index first, Index count,
                         int rank) {
    Product<T> p =
        product_of_rows<T>(panels, {x + first * columns, columns, nullptr}, {start.data(), 0, nullptr}, to, {0, count});
    const Share mine = share_of(panels.panels, 1, rank, team.size());
    p.panel_begin = mine.begin, p.panel_end = mine.end;
    if (mine.begin < mine.end) multiply(p);
  };
  // All of one row; returns where they are.
  const auto finish = [&](Index row, int rank) -> const T* {
    T* const a = scores.base + row * scores.stride;
    if (draws) {
      log_softmax(a, words);
      return a;
    }
    T* const to = log_p.base + row * log_p.stride;
    T* const own = room.base + rank * room.stride;
    if (classes) finish_classes(*classes, class_scores.base + row * class_scores.stride, a, own, to);
    else finish_tree(*tree, a, own, to);
    return to;
  };
  for (Index first = 0; first < rows; first += at_once) {
    const Index count = std::min(at_once, rows - first);
    Crew crew(team);
    team.run([&](int rank) {
      const FlushDenormals flush;
      score(all.weight, all.bias, scores, first, count, rank);
      if (classes) score(all.class_weight, all.class_bias, class_scores, first, count, rank);
      crew.barrier(rank);
      const Share mine = share_of(count, 1, rank, team.size());
      Progress progress;
      for (Index row = mine.begin; row < mine.end; ++row) {
        progress.add(2 * softmax_macs * static_cast<double>(words));
        f(first + row, finish(row, rank));
      }
    });
  }
}

template <class T>
void LargeSoftmax<T>::log_probability(const LogProbabilityCall<T>& call) const {
  const LargeSoftmaxSpec& spec = impl_->spec;
  check_call(spec, call);
  const Index words = spec.vocab_size, n = call.num_ids;
  if (!call.ids || impl_->draws)
    return impl_->each_row(call.x, call.rows, [&](Index row, const T* log_p) {
      if (!call.ids) std::copy_n(log_p, words, call.log_p + row * words);
      for (Index i = 0; call.ids && i < n; ++i) call.log_p[row * n + i] = log_p[call.ids[row * n + i]];
    });
  // One after the other: each is as cheap as a target.
  std::vector<T> x;
  for (Index first = 0; first < call.rows * n; first += pairs_at_once) {
    look();
    const Index end = std::min(first + pairs_at_once, call.rows * n);
    x.clear();
    for (Index i = first; i < end; ++i)
      x.insert(x.end(), call.x + i / n * spec.input_size, call.x + (i / n + 1) * spec.input_size);
    LargeSoftmaxCall<T> pairs;
    pairs.rows = end - first;
    pairs.x = x.data();
    pairs.targets = call.ids + first;
    const auto tape = impl_->learn(pairs);
    std::transform(tape->losses.begin(), tape->losses.end(), call.log_p + first,
                   [](double loss) { return static_cast<T>(-loss); });
  }
}

template <class T>
void LargeSoftmax<T>::top_words(const TopWordsCall<T>& call) const {
  check_call(impl_->spec, call);
  const Index words = impl_->spec.vocab_size, k = call.k;
  impl_->each_row(call.x, call.rows, [&](Index row, const T* log_p) {
    // A heap of the best so far, the worst of them on top, which ends sorted.
    std::int64_t* const best = call.ids + row * k;
    const auto number = [&](std::int64_t word) {
      return std::isnan(log_p[word]) ? -std::numeric_limits<T>::infinity() : log_p[word];
    };
    const auto better = [&](std::int64_t a, std::int64_t b) {
      return number(a) != number(b) ? number(a) > number(b) : a < b;
    };
    std::iota(best, best + k, 0);
    std::make_heap(best, best + k, better);
    for (Index word = k; word < words; ++word) {
      if (!better(word, best[0])) continue;
      std::pop_heap(best, best + k, better);
      best[k - 1] = word;
      std::push_heap(best, best + k, better);
    }
    std::sort_heap(best, best + k, better);
    for (Index i = 0; call.log_p && i < k; ++i) call.log_p[row * k + i] = log_p[best[i]];
  });
}

template <class T>
double LargeSoftmax<T>::forward(const LargeSoftmaxCall<T>& call) const {
  check_call(impl_->spec, call);
  if (!impl_->draws) return impl_->learn(call)->loss;
  const Index columns = impl_->spec.input_size;
  std::vector<Index> counted;
  std::vector<T> x;
  Progress progress;
  for (Index r = 0; r < call.rows; ++r)
    if (call.targets[r] != call.ignore) {
      progress.add(macs_of_new_number * static_cast<double>(columns));
      counted.push_back(r);
      x.insert(x.end(), call.x + r * columns, call.x + (r + 1) * columns);
    }
  std::vector<double> losses(counted.size());
  if (!counted.empty())
    impl_->each_row(x.data(), static_cast<Index>(counted.size()), [&](Index row, const T* log_p) {
      const auto i = static_cast<std::size_t>(row);
      losses[i] = -static_cast<double>(log_p[call.targets[counted[i]]]);
    });
  return mean_loss(losses, counted);
}

template void LargeSoftmax<float>::log_probability(const LogProbabilityCall<float>&) const;
template void LargeSoftmax<double>::log_probability(const LogProbabilityCall<double>&) const;
template void LargeSoftmax<float>::top_words(const TopWordsCall<float>&) const;
template void LargeSoftmax<double>::top_words(const TopWordsCall<double>&) const;
template double LargeSoftmax<float>::forward(const LargeSoftmaxCall<float>&) const;
template double LargeSoftmax<double>::forward(const LargeSoftmaxCall<double>&) const;

}  // namespace gru_native
