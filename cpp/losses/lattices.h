// How the lattices of a batch are shared out: each is one crew's from beginning to end. With fewer sequences than
// threads a crew has several members, else each thread is a crew and takes the next sequence when it is done with one.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/threads.h"
#include "losses/scratch.h"
#include "runtime/denormals.h"
#include "runtime/interruption.h"
#include "runtime/memory.h"
#include "runtime/team.h"
#include "spec/check_losses.h"

namespace gru_native {

// A Lattice is made of a call, a sequence of it and scratch, anew by each member, and has
//   double macs(); Index needed()             what it costs, in multiply-adds, and bytes of scratch
//   Index rows(), all_rows()                  rows of its logits that count, and all
//   void prepare(); void look_up(Share rows)  by one member, and by all
//   Index bad_row(); std::string name(row)    the first row without a softmax, or -1
//   double forward(); void backward()         the loss; both wait for nothing but look_up ..
//   bool backward_follows_forward             .. or backward for forward, too
//   bool has_gradient(); void gradient(Share all_rows)
template <class Lattice, class Call>
void run_lattices(const Call& call) {
  double macs = 0;
  Index needed = 0;
  std::vector<double> costs;
  for (Index b = 0; b < call.batch; ++b) {
    const Lattice lattice(call, b, Scratch());
    costs.push_back(lattice.macs());
    macs += costs.back();
    needed = std::max(needed, lattice.needed());
  }
  std::vector<Index> bad_rows(costs.size(), -1);
  const std::vector<Index> order = costliest_first(costs);

  static const char kind = 0;
  TeamLease team(useful_threads(macs), {&kind, static_cast<Index>(macs)});
  const int crews = static_cast<int>(std::min<Index>(team.size(), call.batch));
  std::vector<Crew> crew_of;
  std::vector<Block> blocks;
  for (int c = 0, first = 0; c < crews; ++c) {
    crew_of.emplace_back(team, first, team.size() / crews + (c < team.size() % crews));
    first += crew_of.back().size();
    blocks.emplace_back(static_cast<std::size_t>(needed));
  }
  const auto compute = [&](Index b, int c, int member) {
    Crew& crew = crew_of[static_cast<std::size_t>(c)];
    const int last = Lattice::backward_follows_forward ? 0 : crew.size() - 1;
    const auto share = [&](Index n) { return share_of(n, 1, member, crew.size()); };
    const Lattice lattice(call, b, Scratch(blocks[static_cast<std::size_t>(c)].data()));
    if (member == 0) lattice.prepare();
    crew.barrier(member);
    lattice.look_up(share(lattice.rows()));
    crew.barrier(member);
    const Index bad = lattice.bad_row();
    if (member == 0) bad_rows[static_cast<std::size_t>(b)] = bad;
    if (bad >= 0) return;
    if (member == 0) call.losses[b] = static_cast<std::remove_pointer_t<decltype(call.losses)>>(lattice.forward());
    if (!lattice.has_gradient()) return;
    if (member == last) lattice.backward();
    crew.barrier(member);
    lattice.gradient(share(lattice.all_rows()));
  };

  std::atomic<Index> next{crews};
  team.run([&](int rank) {
    const FlushDenormals flush;
    Progress progress;  // each lattice counts its own work, which may be little
    // Where a crew has several members there is no second round.
    for (Index i = rank % crews; i < call.batch; i = next.fetch_add(1, std::memory_order_relaxed)) {
      const Index b = order[static_cast<std::size_t>(i)];
      progress.add(costs[static_cast<std::size_t>(b)]);
      compute(b, rank % crews, rank / crews);
    }
  });
  for (Index b = 0; b < call.batch; ++b)
    if (const Index bad = bad_rows[static_cast<std::size_t>(b)]; bad >= 0)
      refuse_logits(Lattice(call, b, Scratch()).name(bad) + " of sequence " + std::to_string(b));
}

}  // namespace gru_native
