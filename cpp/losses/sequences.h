// How the sequences of a batch are shared out: each is one crew's from beginning to end. With fewer sequences than
// threads a crew has several members, else each thread is a crew and takes the next sequence when it is done with one.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

#include "runtime/denormals.h"
#include "runtime/team.h"
#include "simd/index.h"

namespace gru_native {

// A member of a crew, and how its crew waits for all of its members.
struct Member {
  Crew& crew;
  int rank;
  void barrier() const { crew.barrier(rank); }
  bool first() const { return rank == 0; }
  bool last() const { return rank + 1 == crew.size(); }
};

class SharedSequences {
 public:
  // cost(sequence): in multiply-adds, all of which `wanted` threads share.
  template <class Cost>
  SharedSequences(Index batch, int wanted, const Cost& cost)
      : team_(wanted), order_(static_cast<std::size_t>(batch)), next_(crews()) {
    std::iota(order_.begin(), order_.end(), Index(0));
    std::stable_sort(order_.begin(), order_.end(), [&](Index a, Index b) { return cost(a) > cost(b); });
    for (int c = 0; c < crews(); ++c)
      crews_.push_back(std::make_unique<Crew>(team_.size() / crews() + (c < team_.size() % crews())));
  }

  int crews() const { return static_cast<int>(std::min<Index>(team_.size(), static_cast<Index>(order_.size()))); }

  // body(sequence, crew, member) by all members of its crew.
  template <class Body>
  void each(const Body& body) {
    team_.run([&](int rank) {
      const FlushDenormals flush;
      const int crew = rank % crews();
      const Member member{*crews_[static_cast<std::size_t>(crew)], rank / crews()};
      // Where a crew has several members there is no second round.
      for (Index i = crew; i < static_cast<Index>(order_.size()); i = next_.fetch_add(1, std::memory_order_relaxed))
        body(order_[static_cast<std::size_t>(i)], crew, member);
    });
  }

 private:
  TeamLease team_;
  std::vector<Index> order_;
  std::vector<std::unique_ptr<Crew>> crews_;
  std::atomic<Index> next_;
};

}  // namespace gru_native
