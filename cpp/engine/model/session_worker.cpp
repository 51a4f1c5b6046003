#include "engine/model/session_worker.h"

#include <algorithm>
#include <array>

#include "runtime/interruption.h"

namespace gru_native {
namespace {

constexpr std::array<Index, 3> batches = {1, 16, 128};  // rows that go through the stages at once, at most

}  // namespace

template <class T>
Stages<T>& Worker<T>::stages_for(Index rows) {
  std::size_t i = 0;
  while (batches[i] < rows) ++i;
  return stages[i];
}

template <class T>
Worker<T>::Worker(const std::vector<BlockWeights<T>>& blocks, Index directions) {
  Index rows_at_once = 0;
  for (const Index batch : batches) {
    Stages<T>& s = stages.emplace_back(blocks, batch);
    rows_at_once = std::max(rows_at_once, s.window * batch);
    s.time.length.reserve(static_cast<std::size_t>(batch));
    s.time.alive_at.reserve(static_cast<std::size_t>(s.window));
    s.time.first_at.reserve(static_cast<std::size_t>(s.window + 1));
  }
  const std::size_t most = batches.back(), of_states = most * static_cast<std::size_t>(directions);
  lengths.resize(most);
  x.resize(static_cast<std::size_t>(rows_at_once));
  y.resize(most);
  for (std::vector<Index>* offsets : {&h[0], &h[1], &c}) offsets->resize(of_states);
}

// The longest first, so that those who still have steps are the first ones.
template <class T>
void Worker<T>::step(const SessionCall<T>& call, const StateBlocks<T>& states, int threads) {
  const auto before = [](const SessionRow& a, const SessionRow& b) {
    return a.length != b.length ? a.length > b.length : a.user < b.user;
  };
  if (!std::is_sorted(rows.begin(), rows.end(), before)) std::sort(rows.begin(), rows.end(), before);
  const Index count = static_cast<Index>(rows.size());
  TeamLease team(stages.back().threads(std::min(count, batches.back()), call.seq_len, threads),
                 {this, count * call.seq_len});
  for (Index begin = 0, end; begin < count; begin = end) {
    const SessionRow* const group = rows.data() + begin;
    end = std::min(begin + batches.back(), count);
    Index alive = end - begin;
    for (Index done = 0;;) {
      while (alive > 0 && group[alive - 1].length <= done) --alive;
      if (alive == 0) break;
      window(call, states, group, alive, done, team);
      done += stages_for(alive).window;
    }
  }
}

template <class T>
void Worker<T>::step_or_undo(const SessionCall<T>& call, const StateBlocks<T>& states, int threads) {
  const Index width = states.slot_width();
  const Buffer<T> before(static_cast<Index>(rows.size()) * width);
  T* kept = before.data();
  for (const SessionRow& row : rows) states.save(row.slot, kept), kept += width;
  try {
    step(call, states, threads);
  } catch (const Interrupted&) {
    kept = before.data();
    std::sort(rows.begin(), rows.end(), [](const SessionRow& a, const SessionRow& b) { return a.user < b.user; });
    for (const SessionRow& row : rows) states.restore(row.slot, kept), kept += width;
    throw;
  }
}

// The next steps of the first `count` sessions of a group, which have made `done` steps.
template <class T>
void Worker<T>::window(const SessionCall<T>& call, const StateBlocks<T>& states, const SessionRow* group, Index count,
                       Index done, TeamLease& team) {
  Stages<T>& s = stages_for(count);
  const T* const from = call.x.data + done * call.x.step_stride;
  const Sequences<T> to{call.y.data + done * call.y.step_stride, call.y.step_stride, 0};
  if (count == 1 && team.size() == 1 && s.plans_rows()) {
    use_states(s, states, group, count, done);
    return team.run([&](int) {
      s.run_row(from + group->user * call.x.batch_stride, call.x.step_stride,
                to.data + group->user * call.y.batch_stride, to.step_stride, std::min(group->length - done, s.window));
    });
  }
  for (Index r = 0; r < count; ++r) {
    lengths[r] = std::min(group[r].length - done, s.window);
    y[r] = group[r].user * call.y.batch_stride;
  }
  s.time.restart(lengths.data(), count);
  use_states(s, states, group, count, done);
  Rows<const T> inputs{from + group->user * call.x.batch_stride, call.x.step_stride, nullptr};  // of one session
  if (count > 1) {
    Index at = 0;
    for (Index t = 0; t < s.time.seq_len; ++t)
      for (Index r = 0; r < s.time.alive(t); ++r)
        x[at++] = t * call.x.step_stride + group[r].user * call.x.batch_stride;
    inputs = {from, 0, x.data()};
  }
  s.run(inputs, StepRows<T>::as_user_has_them(to, y.data()), team);
}

template <class T>
void Worker<T>::use_states(Stages<T>& s, const StateBlocks<T>& states, const SessionRow* group, Index count,
                           Index done) {
  Index d = 0;
  const bool odd = done % 2 == 1;
  s.each_stack(1, [&](StackForward<T>& stack, Index, Index) {
    for (DirectionForward<T>& direction : stack.directions()) {
      Index* const tables[] = {&h[0][d * batches.back()], &h[1][d * batches.back()], &c[d * batches.back()]};
      for (Index r = 0; r < count; ++r) {
        for (const bool turn : {false, true}) tables[turn][r] = states.h(d, group[r].slot, group[r].turn ^ odd ^ turn);
        if (states.has_c(d)) tables[2][r] = states.c(d, group[r].slot);
      }
      T* const base = states.base();
      direction.use_states(
          {{{base, 0, tables[0]}, {base, 0, tables[1]}}, {states.has_c(d) ? base : nullptr, 0, tables[2]}});
      ++d;
    }
  });
}

template struct Worker<float>;
template struct Worker<double>;

}  // namespace gru_native
