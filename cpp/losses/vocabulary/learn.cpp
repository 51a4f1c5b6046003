// Losses of training, each with its gradient by the scores, a row at a time:
//   sampled       a_v = s_v - log Q(v), a_w that of the target:    loss = log(sum of e^a) - a_w     da = softmax(a) -
//   [w] contrastive   a_v = s_v - log(k q(v)):    loss = softplus(-a_w) + sum of softplus(a_v)
//                                             da_w = -sigmoid(-a_w), da_v = sigmoid(a_v)
//   classes       the sum of two cross-entropies
//   tree          a_n = +-s_n:                loss = sum of softplus(-a_n)         da_n = -sigmoid(-a_n)
#include <cmath>
#include <numeric>
#include <string>

#include "engine/threads.h"
#include "losses/rows.h"
#include "losses/vocabulary/plan.h"
#include "runtime/denormals.h"
#include "runtime/team.h"

namespace gru_native {
namespace {

// Of one exponential, which both have.
struct Logistic {
  explicit Logistic(double a) {
    const double e = std::exp(-std::fabs(a));
    softplus = std::max(a, 0.0) + std::log1p(e);
    sigmoid = a >= 0 ? 1 / (1 + e) : e / (1 + e);
    GRU_NATIVE_EXECUTED(softplus, 1);
    GRU_NATIVE_EXECUTED(sigmoid, 1);
  }
  double softplus, sigmoid;
};

template <class T>
class Learning {
 public:
  Learning(const ImplOf<LargeSoftmax<T>>& layer, const Plan<T>& plan, ImplOf<LargeSoftmaxTape<T>>& tape,
           TeamLease& team)
      : layer_(layer), plan_(plan), tape_(tape), team_(team), columns_(layer.spec.input_size), all_(team) {
    Arena& arena = *tape.arena;
    start_ = take_words(tape.words, static_cast<Index>(plan.order.size()));
    class_start_ = take_words(tape.class_words, tape.head ? tape.head->count : 0);
    const auto take = [&](Group<T>& group, T* start) {
      group.start = start + group.first;
      group.d = take_matrix<T>(arena, group.rows, group.count);
    };
    Index largest = 0;
    for (Group<T>& group : tape.groups) take(group, start_), largest = std::max(largest, group.count);
    if (tape.head) take(*tape.head, class_start_);
    for (int m = 0; m < (tape.head ? team.size() : 1); ++m) panels_.push_back(panels_for<T>(largest, columns_));
    if (tape.head) class_panels_ = panels_for<T>(tape.head->count, columns_);
  }

  // While nobody writes to the weights.
  void copy_words() {
    const std::lock_guard<WritingLock> lock(layer_.store.writing());
    const Uninterrupted whole;
    team_.run([&](int rank) {
      copy(tape_.words, layer_.at.weight, layer_.at.bias, start_, rank, [&](Index i) { return of(plan_.order, i); });
      copy(tape_.class_words, layer_.at.class_weight, layer_.at.class_bias, class_start_, rank,
           [](Index i) { return i; });
    });
  }

  void run() {
    const Index rows = static_cast<Index>(plan_.targets.size());
    team_.run([&](int rank) {
      const FlushDenormals flush;
      const Share mine = share_of(rows, 1, rank, team_.size());
      if (tape_.head) learn_classes(rank, mine);
      else if (!tape_.groups.empty()) learn_samples(rank, mine);
      else learn_nodes(mine);
    });
  }

 private:
  template <class V>
  static const V& of(const std::vector<V>& v, Index i) {
    return v[static_cast<std::size_t>(i)];
  }
  double& loss(Index row) { return tape_.losses[static_cast<std::size_t>(row)]; }
  const T* x(Index row) const { return tape_.x.base + row * tape_.x.stride; }

  // Returns where their starts go.
  T* take_words(Words<T>& words, Index count) {
    Arena& arena = *tape_.arena;
    words.count = count;
    words.w = take_matrix<T>(arena, count, columns_);
    words.b = arena.template take_zeroed<T>(count);
    return arena.template take_zeroed<T>(count + panel_columns<T>());
  }
  template <class RowOf>
  void copy(Words<T>& to, int weight, int bias, T* start, int rank, const RowOf& row_of) {
    const Share mine = share_of(to.count, 1, rank, team_.size());
    for (Index i = mine.begin; i < mine.end; ++i) {
      std::copy_n(layer_.store.data(weight) + row_of(i) * columns_, columns_, to.w.base + i * to.w.stride);
      if (bias >= 0) to.b[i] = layer_.store.data(bias)[row_of(i)];
      start[i] = to.b[i] + (plan_.correction.empty() ? T(0) : of(plan_.correction, i));
    }
  }

  void pack(PackedMatrix<T>& panels, const Words<T>& words, const Group<T>& group, Share share) const {
    for (Index panel = share.begin; panel < share.end; ++panel)
      fill_panel(
          panels, panel, group.count, kernels_for<T>().lanes, [&](int, Index i) { return words.row(group.first + i); },
          Depths{0, columns_});
  }
  void score(const PackedMatrix<T>& panels, const Group<T>& group, Share rows) const {
    if (rows.begin < rows.end)
      multiply(panels, Rows<const T>{tape_.x.base, tape_.x.stride, group.offset()}, {group.start, 0, nullptr}, group.d,
               rows);
  }
  // By all members together.
  void score_all(PackedMatrix<T>& panels, const Words<T>& words, const Group<T>& group, int rank, Share rows) {
    pack(panels, words, group, share_of(panels.panels, 1, rank, team_.size()));
    all_.barrier(rank);
    score(panels, group, rows);
  }

  void learn_samples(int rank, Share mine) {
    const Group<T>& group = tape_.groups[0];
    score_all(panels_[0], tape_.words, group, rank, mine);
    Progress progress;
    for (Index r = mine.begin; r < mine.end; ++r) {
      progress.add(2 * softmax_macs * static_cast<double>(group.count));
      const Index target = of(tape_.pairs.word, r);
      T& a = tape_.pairs.d[static_cast<std::size_t>(r)];
      a = dot(x(r), tape_.words.row(target), columns_, start_[target]);
      T* const scores = group.d.base + r * group.d.stride;
      loss(r) = layer_.contrastive() ? contrastive_row(scores, group.count, a)
                                     : sampled_row(scores, group.count, target < group.count ? target : -1, a);
    }
  }

  // `hit`: the target among the words, or -1. Scores become gradients, as the target's own score, a.
  double sampled_row(T* scores, Index count, Index hit, T& a) const {
    if (hit >= 0 && count == 1) return std::isfinite(a) ? (scores[0] = a = 0) : std::nan("");
    if (hit >= 0) scores[hit] = -std::numeric_limits<T>::infinity();
    const Normalizer<T> z = kernels_.normalizer(scores, count);
    const double others = static_cast<double>(z.top) + static_cast<double>(z.log_sum), own = static_cast<double>(a);
    const double top = std::max(others, own);
    const double log_sum = top + std::log(std::exp(others - top) + std::exp(own - top));
    const double result = log_sum - own;
    kernels_.scaled_softmax({scores,
                             {z.top, static_cast<T>(log_sum - static_cast<double>(z.top))},
                             static_cast<T>(tape_.scale),
                             T(0),
                             scores,
                             count});
    a = static_cast<T>(tape_.scale * std::expm1(-result));
    GRU_NATIVE_EXECUTED(select, 1);
    GRU_NATIVE_EXECUTED(add, 7);
    GRU_NATIVE_EXECUTED(exp, 3);
    GRU_NATIVE_EXECUTED(log, 1);
    GRU_NATIVE_EXECUTED(multiply, 1);
    return result;
  }
  double contrastive_row(T* scores, Index count, T& a) const {
    const Logistic own(-static_cast<double>(a));
    double result = own.softplus;
    for (Index i = 0; i < count; ++i) {
      const Logistic of_noise(static_cast<double>(scores[i]));
      const double times = of(plan_.times, i);
      result += times * of_noise.softplus;
      scores[i] = static_cast<T>(tape_.scale * times * of_noise.sigmoid);
    }
    a = static_cast<T>(-tape_.scale * own.sigmoid);
    GRU_NATIVE_EXECUTED(add, count);
    GRU_NATIVE_EXECUTED(multiply, 3 * count + 1);
    return result;
  }

  double softmax_row(T* scores, Index count, Index target) const {
    const Normalizer<T> z = kernels_.normalizer(scores, count);
    if (std::isnan(z.log_sum)) return static_cast<double>(z.log_sum);
    const double result = -log_probability(scores, z, target);
    kernels_.scaled_softmax({scores, z, static_cast<T>(tape_.scale), T(0), scores, count});
    scores[target] -= static_cast<T>(tape_.scale);
    GRU_NATIVE_EXECUTED(add, 1);
    return result;
  }
  // The classes by all members, for some rows each; then the words of some classes each.
  void learn_classes(int rank, Share mine) {
    const Group<T>& head = *tape_.head;
    const WordClasses& classes = *layer_.classes;
    score_all(class_panels_, tape_.class_words, head, rank, mine);
    Progress progress;
    for (Index r = mine.begin; r < mine.end; ++r) {
      progress.add(2 * softmax_macs * static_cast<double>(head.count));
      loss(r) = softmax_row(head.d.base + r * head.d.stride, head.count, classes.class_of(of(plan_.targets, r)));
    }
    all_.barrier(rank);
    PackedMatrix<T>& panels = panels_[static_cast<std::size_t>(rank)];
    const Share groups = share_of(static_cast<Index>(tape_.groups.size()), 1, rank, team_.size());
    for (Index g = groups.begin; g < groups.end; ++g) {
      const Group<T>& group = of(tape_.groups, g);
      set_panels(panels, group.count);
      pack(panels, tape_.words, group, {0, panels.panels});
      score(panels, group, {0, group.rows});
      for (Index i = 0; i < group.rows; ++i) {
        progress.add(2 * softmax_macs * static_cast<double>(group.count));
        const Index r = of(group.offsets, i) / tape_.x.stride;
        GRU_NATIVE_EXECUTED(add, 1);
        loss(r) += softmax_row(group.d.base + i * group.d.stride, group.count, classes.place_of(of(plan_.targets, r)));
      }
    }
  }

  void learn_nodes(Share rows) {
    Progress progress;
    for (Index r = rows.begin; r < rows.end; ++r) {
      progress.add((static_cast<double>(columns_) + 2 * macs_of_function) *
                   static_cast<double>(tape_.pairs.end(r) - tape_.pairs.begin(r)));
      loss(r) = tree_row(r);
    }
  }
  double tree_row(Index r) {
    Pairs<T>& pairs = tape_.pairs;
    double result = 0;
    for (Index i = pairs.begin(r); i < pairs.end(r); ++i) {
      const Index node = of(pairs.word, i);
      const double sign = of(pairs.sign, i);
      const double a = sign * static_cast<double>(dot(x(r), tape_.words.row(node), columns_, start_[node]));
      const Logistic way(-a);
      result += way.softplus;
      pairs.d[static_cast<std::size_t>(i)] = static_cast<T>(-tape_.scale * sign * way.sigmoid);
      GRU_NATIVE_EXECUTED(add, 1);
      GRU_NATIVE_EXECUTED(multiply, 3);
    }
    return result;
  }

  const ImplOf<LargeSoftmax<T>>& layer_;
  const Plan<T>& plan_;
  ImplOf<LargeSoftmaxTape<T>>& tape_;
  TeamLease& team_;
  const LossKernels<T>& kernels_ = kernels_for<T>().loss;
  const Index columns_;
  Crew all_;
  T *start_, *class_start_;
  std::vector<PackedMatrix<T>> panels_;  // of the samples, or each member's of a class
  PackedMatrix<T> class_panels_;
};

}  // namespace

double mean_loss(const std::vector<double>& losses, const std::vector<Index>& rows) {
  const auto bad = std::find_if(losses.begin(), losses.end(), [](double loss) { return std::isnan(loss); });
  if (bad != losses.end())
    throw std::invalid_argument("x: row " + std::to_string(rows[static_cast<std::size_t>(bad - losses.begin())]) +
                                " has no softmax with these weights; expected finite numbers");
  GRU_NATIVE_EXECUTED(add, static_cast<Index>(rows.size()));
  GRU_NATIVE_EXECUTED(divide, 1);
  return std::accumulate(losses.begin(), losses.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(rows.size(), 1));
}

template <class T>
std::unique_ptr<ImplOf<LargeSoftmaxTape<T>>> LargeSoftmax<T>::Impl::learn(const LargeSoftmaxCall<T>& call) const {
  auto tape = std::make_unique<ImplOf<LargeSoftmaxTape<T>>>(store.begin_tape());
  for (Index r = 0; r < call.rows; ++r)
    if (call.targets[r] != call.ignore) tape->counted.push_back(r);
  const auto rows = static_cast<Index>(tape->counted.size());
  const Index columns = spec.input_size;
  tape->num_rows = call.rows;
  tape->scale = 1 / static_cast<double>(std::max<Index>(rows, 1));
  tape->losses.assign(tape->counted.size(), 0);
  GRU_NATIVE_EXECUTED(divide, 1);
  tape->x = take_matrix<T>(*tape->arena, rows, columns);
  Progress progress;
  for (Index r = 0; r < rows; ++r) {
    progress.add(macs_of_new_number * static_cast<double>(columns));
    std::copy_n(call.x + tape->counted[static_cast<std::size_t>(r)] * columns, columns,
                tape->x.base + r * tape->x.stride);
  }
  const Plan<T> plan = plan_of(*this, call, *tape);
  double scores = static_cast<double>(tape->pairs.word.size());
  for (const Group<T>& group : tape->groups)
    scores += static_cast<double>(group.rows) * static_cast<double>(group.count);
  if (tape->head) scores += static_cast<double>(rows) * static_cast<double>(tape->head->count);
  TeamLease team(
      useful_threads((scores + macs_of_copy * static_cast<double>(plan.order.size())) * static_cast<double>(columns)),
      {this, rows});
  Learning<T> learning(*this, plan, *tape, team);
  learning.copy_words();
  learning.run();
  tape->loss = mean_loss(tape->losses, tape->counted);
  return tape;
}

template std::unique_ptr<ImplOf<LargeSoftmaxTape<float>>> ImplOf<LargeSoftmax<float>>::learn(
    const LargeSoftmaxCall<float>&) const;
template std::unique_ptr<ImplOf<LargeSoftmaxTape<double>>> ImplOf<LargeSoftmax<double>>::learn(
    const LargeSoftmaxCall<double>&) const;

}  // namespace gru_native
