// What rows of logits say of the symbol that comes next, for beams that share a batch.
#pragma once
#include <vector>

#include "decoding/best.h"
#include "engine/threads.h"
#include "losses/rows.h"
#include "runtime/denormals.h"
#include "runtime/interruption.h"
#include "runtime/team.h"

namespace gru_native {

struct Outlook {
  double apart;   // log-probability of the symbol that is kept apart
  bool defined;   // whether the logits have a softmax
  Index first;    // the best of the other symbols: where they begin,
  Index count;    // and how many there are; before the look, how many are wanted
};

template <class T>
class Outlooks {
 public:
  // apart: a symbol, or -1. Of the others a row is asked for up to `most`: no more of one row can be among the best
  // `most` of several.
  Outlooks(Index classes, Index apart, Index most)
      : classes_(classes),
        apart_(apart),
        most_(std::min(most, classes)),
        macs_(2 * softmax_macs * static_cast<double>(classes)) {}

  void clear() {
    rows_.clear();
    symbols_ = 0;
  }
  // A row more, of which symbols are wanted or, if not, only the one apart.
  void add(bool wanted) {
    rows_.push_back({0, true, symbols_, wanted ? most_ : 0});
    symbols_ += rows_.back().count;
  }
  // What look() is worth.
  int threads(Index count) const { return useful_threads(macs_ * static_cast<double>(count)); }
  // After add() of all rows: `count` of them, whose logits these are, [count][classes]. Shared out.
  void look(Index first, Index count, const T* logits, TeamLease& team) {
    best_.resize(static_cast<std::size_t>(symbols_));
    room_.resize(static_cast<std::size_t>(team.size()));
    for (std::vector<Ranked<T>>& room : room_) room.reserve(static_cast<std::size_t>(2 * most_ + 16));
    team.run([&](int rank) {
      const FlushDenormals flush;
      Progress progress;
      const Share mine = share_of(count, 1, rank, team.size());
      for (Index i = mine.begin; i < mine.end; ++i) {
        progress.add(macs_);
        look(rows_[static_cast<std::size_t>(first + i)], logits + i * classes_, room_[static_cast<std::size_t>(rank)]);
      }
    });
  }
  const Outlook& operator[](Index row) const { return rows_[static_cast<std::size_t>(row)]; }
  // The r-th best symbol of a row, and its log-probability.
  const Ranked<double>& symbol(const Outlook& of, Index r) const {
    return best_[static_cast<std::size_t>(of.first + r)];
  }

 private:
  void look(Outlook& outlook, const T* a, std::vector<Ranked<T>>& best) {
    const Normalizer<T> z = kernels_for<T>().loss.normalizer(a, classes_);
    outlook.defined = !std::isnan(z.log_sum);
    if (!outlook.defined) return;
    if (apart_ >= 0) outlook.apart = log_probability(a, z, apart_);
    if (outlook.count == 0) return;
    best_of_row(a, classes_, apart_, outlook.count, best);
    outlook.count = static_cast<Index>(best.size());
    for (Index r = 0; r < outlook.count; ++r) {
      const Index k = best[static_cast<std::size_t>(r)].k;
      best_[static_cast<std::size_t>(outlook.first + r)] = {log_probability(a, z, k), k};
    }
  }

  const Index classes_, apart_, most_;
  const double macs_;  // of a row
  std::vector<Outlook> rows_;
  Index symbols_ = 0;
  std::vector<Ranked<double>> best_;
  std::vector<std::vector<Ranked<T>>> room_;  // of each member
};

// The best of the extensions of a beam, whose entries are in order.
struct Extension {
  double score;
  Index order, from;  // from: the entry
  Index symbol;
  bool operator<(const Extension& other) const {
    return score != other.score ? score > other.score : order < other.order;
  }
};

}  // namespace gru_native
