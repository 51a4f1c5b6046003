// From the gradients d of scores s = w.x + b: dx = sum of d w, dw = sum of d x, db = sum of d. Every sum is one
// member's, in one order: groups before pairs for dw, pairs before groups for dx, rows as they come.
#include "engine/matrix/weight_gradients.h"
#include "engine/threads.h"
#include "losses/vocabulary/large_softmax.h"
#include "runtime/denormals.h"
#include "runtime/team.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

template <class T>
class Back {
 public:
  Back(const ImplOf<LargeSoftmax<T>>& layer, const ImplOf<LargeSoftmaxTape<T>>& tape,
       const LargeSoftmaxBackwardCall<T>& call, Arena& arena, TeamLease& team)
      : tape_(tape),
        call_(call),
        team_(team),
        columns_(layer.spec.input_size),
        rows_(static_cast<Index>(tape.counted.size())),
        dw_(gradient_of(call.dweights, layer.at.weight)),
        db_(gradient_of(call.dweights, layer.at.bias)),
        dw_of_classes_(gradient_of(call.dweights, layer.at.class_weight)),
        db_of_classes_(gradient_of(call.dweights, layer.at.class_bias)),
        all_(team) {
    if (call.dx) dx_ = take_matrix<T>(arena, rows_, columns_);
    Index widest = tape.head ? tape.head->count : 0;
    for (const Group<T>& group : tape.groups) widest = std::max(widest, group.count);
    for (int m = 0; m < team.size(); ++m)  // one member may have a group alone
      scratch_.push_back(arena.take<T>(weight_gradients_scratch<T>(widest, columns_, 1)));
    if (dw_ || db_) sort_pairs();
  }

  void run() {
    team_.run([&](int rank) {
      const FlushDenormals flush;
      const bool together = !tape_.head;  // one group of all rows
      const Share mine = share_of(rows_, 1, rank, team_.size());
      const Share groups = share_of(static_cast<Index>(tape_.groups.size()), 1, rank, team_.size());
      if (call_.dx) {
        start_dx(mine);
        if (tape_.head) add_dx(tape_.class_words, *tape_.head, mine);
        if (together)
          for (const Group<T>& group : tape_.groups) add_dx(tape_.words, group, mine);
        all_.barrier(rank);
        for (Index g = groups.begin; g < groups.end && !together; ++g)
          add_dx(tape_.words, group_at(g), {0, group_at(g).rows});
        all_.barrier(rank);
        give_dx(rank);
      }
      if (call_.dweights.empty()) return;
      if (tape_.head)
        sum(*tape_.head, dw_of_classes_, db_of_classes_, rank, rank, team_.size(), [](Index c) { return c; });
      for (Index g = together ? 0 : groups.begin; g < (together ? static_cast<Index>(tape_.groups.size()) : groups.end);
           ++g)
        sum(group_at(g), dw_, db_, rank, together ? rank : 0, together ? team_.size() : 1,
            [&](Index i) { return place(group_at(g).first + i); });
      all_.barrier(rank);
      const Share words = share_of(tape_.words.count, 1, rank, team_.size());
      Progress progress;
      for (Index i = words.begin; i < words.end; ++i) add_pairs_of(i, progress);
      if (tape_.head) scale(dw_of_classes_, db_of_classes_, share_of(tape_.head->count, 1, rank, team_.size()));
    });
  }

 private:
  const Group<T>& group_at(Index g) const { return tape_.groups[static_cast<std::size_t>(g)]; }
  Index place(Index word) const { return tape_.place[static_cast<std::size_t>(word)]; }
  const T* x(Index row) const { return tape_.x.base + row * tape_.x.stride; }

  // Which pairs each word has, by rows.
  void sort_pairs() {
    const Pairs<T>& pairs = tape_.pairs;
    pairs_begin_.assign(static_cast<std::size_t>(tape_.words.count) + 1, 0);
    for (const Index word : pairs.word) ++pairs_begin_[static_cast<std::size_t>(word) + 1];
    for (std::size_t i = 1; i < pairs_begin_.size(); ++i) pairs_begin_[i] += pairs_begin_[i - 1];
    std::vector<Index> next = pairs_begin_;
    pairs_.resize(pairs.word.size());
    Progress progress;
    for (Index r = 0; !pairs.word.empty() && r < rows_; ++r) {
      progress.add(macs_of_search * static_cast<double>(pairs.end(r) - pairs.begin(r)));
      for (Index i = pairs.begin(r); i < pairs.end(r); ++i)
        pairs_[static_cast<std::size_t>(next[static_cast<std::size_t>(pairs.word[static_cast<std::size_t>(i)])]++)] = {
            r, pairs.d[static_cast<std::size_t>(i)]};
    }
  }

  void start_dx(Share rows) const {
    const Pairs<T>& pairs = tape_.pairs;
    Progress progress;
    for (Index r = rows.begin; r < rows.end; ++r) {
      const Index own = pairs.begins.empty() ? 0 : pairs.end(r) - pairs.begin(r);
      progress.add((macs_of_new_number + static_cast<double>(own)) * static_cast<double>(columns_));
      GRU_NATIVE_EXECUTED(mac_inputs, own * columns_);
      T* const to = dx_.base + r * dx_.stride;
      std::fill_n(to, columns_, T(0));
      for (Index i = pairs.begins.empty() ? 0 : pairs.begin(r); !pairs.begins.empty() && i < pairs.end(r); ++i)
        add_scaled(pairs.d[static_cast<std::size_t>(i)], tape_.words.row(pairs.word[static_cast<std::size_t>(i)]), to,
                   columns_);
    }
  }
  void add_dx(const Words<T>& words, const Group<T>& group, Share rows) const {
    if (rows.begin >= rows.end) return;
    Product<T> p = product_by<T>({words.row(group.first), words.w.stride}, group.count, columns_);
    p.a = {group.d.base, group.d.stride, nullptr};
    p.start = {dx_.base, dx_.stride, group.offset()};
    p.acc = {dx_.base, dx_.stride, group.offset()};
    p.row_begin = rows.begin;
    p.row_end = rows.end;
    GRU_NATIVE_COUNTING(p.needed.work = Work::mac_inputs);
    multiply(p);
  }
  // Rows of the call; 0 in those that do not count.
  void give_dx(int rank) const {
    const Share rows = share_of(tape_.num_rows, 1, rank, team_.size());
    auto counted = std::lower_bound(tape_.counted.begin(), tape_.counted.end(), rows.begin);
    Progress progress;
    for (Index r = rows.begin; r < rows.end; ++r) {
      progress.add(macs_of_new_number * static_cast<double>(columns_));
      T* const to = call_.dx + r * columns_;
      if (counted == tape_.counted.end() || *counted != r) {
        std::fill_n(to, columns_, T(0));
        continue;
      }
      const T* const from = dx_.base + (counted++ - tape_.counted.begin()) * dx_.stride;
      for (Index k = 0; k < columns_; ++k) to[k] = static_cast<T>(call_.dloss) * from[k];
      GRU_NATIVE_EXECUTED(multiply, columns_);
    }
  }

  template <class RowOf>
  void sum(const Group<T>& group, T* dw, T* db, int rank, int member, int members, const RowOf& row_of) const {
    WeightGradients<T> g{};
    g.rows = group.rows;
    g.d = read_only(group.d);
    g.outputs = group.count;
    g.x = {tape_.x.base, tape_.x.stride, group.offset()};
    g.columns = columns_;
    g.dw = dw;
    g.db = db;
    sum_weight_gradients(g, scratch_[static_cast<std::size_t>(rank)], member, members, row_of);
  }
  void add_pairs_of(Index word, Progress& progress) const {
    const Index row = place(word);
    T* const dw = dw_ ? dw_ + row * columns_ : nullptr;
    if (word >= tape_.grouped) {
      if (dw) std::fill_n(dw, columns_, T(0));
      if (db_) db_[row] = 0;
    }
    for (Index i = pairs_begin_[static_cast<std::size_t>(word)]; i < pairs_begin_[static_cast<std::size_t>(word) + 1];
         ++i) {
      progress.add(static_cast<double>(columns_));
      const Pair& pair = pairs_[static_cast<std::size_t>(i)];
      if (dw) add_scaled(pair.d, x(pair.row), dw, columns_);
      if (db_) db_[row] += pair.d;
      GRU_NATIVE_EXECUTED(mac_weights, dw ? columns_ : 0);
      GRU_NATIVE_EXECUTED(add, db_ ? 1 : 0);
    }
    scale(dw_, db_, {row, row + 1});
  }
  void scale(T* dw, T* db, Share rows) const {
    if (call_.dloss == 1) return;
    const auto by = static_cast<T>(call_.dloss);
    for (Index i = rows.begin * columns_; dw && i < rows.end * columns_; ++i) dw[i] *= by;
    for (Index i = rows.begin; db && i < rows.end; ++i) db[i] *= by;
  }

  struct Pair {
    Index row;
    T d;
  };

  const ImplOf<LargeSoftmaxTape<T>>& tape_;
  const LargeSoftmaxBackwardCall<T>& call_;
  TeamLease& team_;
  const Index columns_, rows_;
  T *const dw_, *const db_, *const dw_of_classes_, *const db_of_classes_;
  Crew all_;
  Matrix<T> dx_{};
  std::vector<T*> scratch_;
  std::vector<Index> pairs_begin_;
  std::vector<Pair> pairs_;
};

}  // namespace

template <class T>
void LargeSoftmax<T>::backward(const LargeSoftmaxTape<T>& tape_, const LargeSoftmaxBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  check_dweights(call.dweights.size(), impl_->store.list().size());
  double scores = static_cast<double>(tape.pairs.word.size());
  for (const Group<T>& group : tape.groups)
    scores += static_cast<double>(group.rows) * static_cast<double>(group.count);
  const auto lease = impl_->store.lease();
  TeamLease team(useful_threads(2 * scores * static_cast<double>(impl_->spec.input_size)),
                 {impl_.get(), static_cast<Index>(tape.counted.size())});
  Back<T>(*impl_, tape, call, *lease, team).run();
}

template void LargeSoftmax<float>::backward(const LargeSoftmaxTape<float>&,
                                            const LargeSoftmaxBackwardCall<float>&) const;
template void LargeSoftmax<double>::backward(const LargeSoftmaxTape<double>&,
                                             const LargeSoftmaxBackwardCall<double>&) const;

}  // namespace gru_native
