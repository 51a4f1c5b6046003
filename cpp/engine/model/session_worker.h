// What one call of a pool of sessions works with: stages for few and for many rows, and where these lie.
#pragma once
#include <deque>
#include <vector>

#include "engine/model/session_states.h"
#include "engine/model/stages.h"
#include "gru_native/session_pool.h"
#include "runtime/serial.h"

namespace gru_native {

template <class T>
struct Worker : SessionHands {
  explicit Worker(const std::vector<BlockWeights<T>>& blocks, Index directions);

  const Serial serial;

  void step(const SessionCall<T>& call, const StateBlocks<T>& states, int threads);
  // The same for what takes long: an interrupted one leaves states as they were.
  void step_or_undo(const SessionCall<T>& call, const StateBlocks<T>& states, int threads);

 private:
  std::deque<Stages<T>> stages;  // one for each number of rows at once: with few a window has more steps
  // Of the rows that go through the stages together: lengths, and offsets of inputs, outputs and states.
  std::vector<Index> lengths, x, y;
  std::vector<Index> h[2], c;  // [direction][row]

  Stages<T>& stages_for(Index rows);
  void window(const SessionCall<T>& call, const StateBlocks<T>& states, const SessionRow* group, Index count,
              Index done, TeamLease& team);
  void use_states(Stages<T>& s, const StateBlocks<T>& states, const SessionRow* group, Index count, Index done);
};

}  // namespace gru_native
