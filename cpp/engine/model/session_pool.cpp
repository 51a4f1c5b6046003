#include "gru_native/session_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/model/session_states.h"
#include "engine/model/stages.h"
#include "runtime/interruption.h"
#include "spec/check_model.h"
#include "spec/check_operation.h"
#include "spec/checks.h"
#include "spec/options.h"

namespace gru_native {
namespace {

constexpr std::size_t most_idle = 64;  // workers that are kept
constexpr double long_macs = 1e9;      // of a step that can be interrupted: from 10 milliseconds on
constexpr std::array<Index, 3> batches = {1, 16, 128};  // rows that go through the stages at once, at most

// What one call works with.
template <class T>
struct Worker {
  explicit Worker(const std::vector<BlockWeights<T>>& blocks, Index directions);

  std::deque<Stages<T>> stages;  // one for each of `batches`: with few rows a window has more steps
  std::vector<SessionRow> rows;  // of the call
  // Of the rows that go through the stages together: lengths, and offsets of inputs, outputs and states.
  std::vector<Index> lengths, x, y;
  std::vector<Index> h[2], c;  // [direction][row]

  Stages<T>& stages_for(Index rows) {
    std::size_t i = 0;
    while (batches[i] < rows) ++i;
    return stages[i];
  }
  void step(const SessionCall<T>& call, const StateBlocks<T>& states, int threads);
  // The same for what takes long: an interrupted one leaves states as they were.
  void step_or_undo(const SessionCall<T>& call, const StateBlocks<T>& states, int threads);

 private:
  void window(const SessionCall<T>& call, const StateBlocks<T>& states, const SessionRow* group, Index count,
              Index done, TeamLease& team);
  void use_states(Stages<T>& s, const StateBlocks<T>& states, const SessionRow* group, Index count, Index done);
};

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
  TeamLease team(stages.back().threads(std::min(count, batches.back()), call.seq_len, threads));
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
  for (Index r = 0; r < count; ++r) {
    lengths[r] = std::min(group[r].length - done, s.window);
    y[r] = group[r].user * call.y.batch_stride;
  }
  s.time.restart(lengths.data(), count);
  use_states(s, states, group, count, done);
  const T* const from = call.x.data + done * call.x.step_stride;
  Rows<const T> inputs{from + group->user * call.x.batch_stride, call.x.step_stride, nullptr};  // of one session
  if (count > 1) {
    Index at = 0;
    for (Index t = 0; t < s.time.seq_len; ++t)
      for (Index r = 0; r < s.time.alive(t); ++r)
        x[at++] = t * call.x.step_stride + group[r].user * call.x.batch_stride;
    inputs = {from, 0, x.data()};
  }
  s.run(inputs,
        StepRows<T>::as_user_has_them({call.y.data + done * call.y.step_stride, call.y.step_stride, 0}, y.data()),
        team);
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

}  // namespace

template <class T>
struct SessionPool<T>::Impl {
  Impl(std::vector<BlockWeights<T>> blocks, std::int64_t capacity, int threads);
  ~Impl() { delete spare.load(); }

  const std::vector<BlockWeights<T>> blocks;
  const int threads;
  const double macs;   // of a session's step
  Stages<T> rows;      // never run: it knows how a row of states is read and written
  StateBlocks<T> states;
  SessionTable table;
  LengthyLock growing;
  std::atomic<Index> capacity{0};
  std::atomic<Worker<T>*> spare{nullptr};  // the first idle one, for which nobody takes the lock
  BriefLock lock;                          // of the others:
  std::vector<std::unique_ptr<Worker<T>>> idle;

  void grow(Index slots);
  std::unique_ptr<Worker<T>> take_worker();
  void give_back(std::unique_ptr<Worker<T>> worker);

  // f(direction, its number, where its h and c begin in the state of a session; -1: it has no c)
  template <class F>
  void each_direction(const F& f);
  void put(Index slot, const T* state);  // null: zeros
  // f(row) of an open session, which nobody else may use meanwhile.
  template <class F>
  void with_session(std::int64_t id, const F& f);
};

namespace {

template <class T>
std::vector<StateWidth> widths_of(Stages<T>& stages) {
  std::vector<StateWidth> widths;
  stages.each_stack(1, [&](StackForward<T>& stack, Index, Index) {
    for (const DirectionForward<T>& d : stack.directions()) widths.push_back(d.state_width());
  });
  return widths;
}

}  // namespace

template <class T>
SessionPool<T>::Impl::Impl(std::vector<BlockWeights<T>> all, std::int64_t slots, int threads)
    : blocks(std::move(all)), threads(threads), macs(macs_of_row(blocks)), rows(blocks, 1), states(widths_of(rows)) {
  checked(blocks, "capacity", slots, threads);
  for (const BlockWeights<T>& b : blocks)
    if (b.operation && b.operation->spec.state_size() + !keeps_steps(b.operation->spec) > 0)
      throw std::invalid_argument(std::string("a ") + type_of(b.operation->spec) +
                                  " has no sessions, whose steps come at different times; expected a stream for each");
  idle.reserve(most_idle);
  grow(slots);
  give_back(take_worker());
}

// What is added is there before the table says so. Memory is asked for without the lock, for that can be interrupted.
template <class T>
void SessionPool<T>::Impl::grow(Index wanted) {
  for (;;) {
    const Index now = capacity, slots = std::max(wanted, 2 * now);
    if (wanted <= now) return;
    check_stages(blocks, "capacity", slots);
    Buffer<T> memory = states.memory_for(slots - now);
    const std::lock_guard<LengthyLock> one_at_a_time(growing);
    if (capacity != now) continue;
    std::vector<std::unique_ptr<Worker<T>>> workers;
    workers.reserve(most_idle + 1);
    states.add(std::move(memory), slots - now);
    table.grow(slots);
    capacity = slots;
    {
      const std::lock_guard<BriefLock> hold(lock);
      workers.swap(idle);
    }
    workers.emplace_back(spare.exchange(nullptr, std::memory_order_acquire));
    for (std::unique_ptr<Worker<T>>& worker : workers) {
      if (!worker) continue;
      worker->rows.reserve(static_cast<std::size_t>(slots));
      give_back(std::move(worker));
    }
    return;
  }
}

// It has room for calls of all sessions.
template <class T>
std::unique_ptr<Worker<T>> SessionPool<T>::Impl::take_worker() {
  std::unique_ptr<Worker<T>> worker(spare.exchange(nullptr, std::memory_order_acquire));
  if (!worker) {
    const std::lock_guard<BriefLock> hold(lock);
    if (!idle.empty()) {
      worker = std::move(idle.back());
      idle.pop_back();
    }
  }
  if (!worker) worker = std::make_unique<Worker<T>>(blocks, states.directions());
  worker->rows.reserve(static_cast<std::size_t>(capacity));
  return worker;
}

template <class T>
void SessionPool<T>::Impl::give_back(std::unique_ptr<Worker<T>> worker) {
  Worker<T>* nobody = nullptr;
  if (spare.compare_exchange_strong(nobody, worker.get(), std::memory_order_release, std::memory_order_relaxed)) {
    worker.release();
    return;
  }
  const std::lock_guard<BriefLock> hold(lock);
  if (idle.size() < most_idle) idle.push_back(std::move(worker));
}

template <class T>
template <class F>
void SessionPool<T>::Impl::each_direction(const F& f) {
  Index d = 0;
  rows.each_stack(1, [&](StackForward<T>& stack, Index h, Index c) {
    const LayerSpec& spec = stack.spec();
    for (const DirectionForward<T>& direction : stack.directions()) {
      f(direction, d++, h, c);
      h += spec.state_size();
      if (c >= 0) c += spec.hidden_size;
    }
  });
}

template <class T>
void SessionPool<T>::Impl::put(Index slot, const T* state) {
  each_direction([&](const DirectionForward<T>& direction, Index d, Index h, Index c) {
    for (const bool turn : {false, true})
      direction.load_row(states.base() + states.h(d, slot, turn), c < 0 ? nullptr : states.base() + states.c(d, slot),
                         state ? state + h : nullptr, state && c >= 0 ? state + c : nullptr);
  });
}

template <class T>
template <class F>
void SessionPool<T>::Impl::with_session(std::int64_t id, const F& f) {
  std::vector<SessionRow> one;
  const SessionTable::Claim claim(table, "session", &id, 1, one);
  f(one.front());
}

template <class T>
SessionPool<T>::SessionPool(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t capacity, int threads)
    : impl_(std::make_unique<Impl>(weights_of(model), capacity, threads)) {}
template <class T>
SessionPool<T>::SessionPool(const Layer<T>& layer, std::int64_t capacity, int threads)
    : impl_(std::make_unique<Impl>(std::vector<BlockWeights<T>>{{layer, layer.spec().input_size}}, capacity, threads)) {
}
template <class T>
SessionPool<T>::~SessionPool() = default;
template <class T>
SessionPool<T>::SessionPool(SessionPool&&) noexcept = default;
template <class T>
SessionPool<T>& SessionPool<T>::operator=(SessionPool&&) noexcept = default;

template <class T>
std::int64_t SessionPool<T>::input_size() const noexcept {
  return impl_->rows.input();
}
template <class T>
std::int64_t SessionPool<T>::output_size() const noexcept {
  return impl_->rows.output();
}
template <class T>
std::int64_t SessionPool<T>::state_size() const noexcept {
  return impl_->rows.state_size();
}
template <class T>
std::int64_t SessionPool<T>::capacity() const {
  return impl_->capacity;
}
template <class T>
std::vector<std::int64_t> SessionPool<T>::sessions() const {
  return impl_->table.ids();
}
template <class T>
void SessionPool<T>::reserve(std::int64_t capacity) {
  check_size("capacity", capacity, 1);
  impl_->grow(capacity);
}

template <class T>
std::int64_t SessionPool<T>::open() {
  const Index slot = impl_->table.take_slot();
  impl_->put(slot, nullptr);
  return impl_->table.open(slot);
}
template <class T>
void SessionPool<T>::close(std::int64_t session) {
  impl_->with_session(session, [](SessionRow& row) { row.ends = true; });
}
template <class T>
void SessionPool<T>::reset(std::int64_t session) {
  impl_->with_session(session, [&](SessionRow& row) { impl_->put(row.slot, nullptr); });
}

template <class T>
void SessionPool<T>::save_state(std::int64_t session, T* to) const {
  impl_->with_session(session, [&](const SessionRow& row) {
    const StateBlocks<T>& states = impl_->states;
    impl_->each_direction([&](const DirectionForward<T>& direction, Index d, Index h, Index c) {
      direction.store_row(states.base() + states.h(d, row.slot, row.turn),
                          c < 0 ? nullptr : states.base() + states.c(d, row.slot), to + h, c < 0 ? nullptr : to + c);
    });
  });
}
template <class T>
void SessionPool<T>::load_state(std::int64_t session, const T* from) {
  impl_->with_session(session, [&](SessionRow& row) { impl_->put(row.slot, from); });
}

template <class T>
void SessionPool<T>::restore(const std::int64_t* sessions, std::int64_t count, const T* states) {
  if (count < 0) refuse("count", std::to_string(count), "at least 0");
  std::vector<SessionRow> rows;
  const SessionTable::Claim claim(impl_->table, "sessions", sessions, count, rows, SessionTable::Take::instead_of_all);
  for (SessionRow& row : rows) {
    impl_->put(row.slot, states + row.user * state_size());
    row.turn = false;
  }
}

template <class T>
void SessionPool<T>::step(const SessionCall<T>& call) {
  check_size("count", call.count, 1);
  check_there("sessions", call.sessions);
  check_stream(input_size(), output_size(), call.x, call.y, call.seq_len, call.count, call.seq_len);
  check_lengths("lengths", call.lengths, call.count, "seq_len", call.seq_len);
  impl_->rows.check(call.x, call.seq_len, call.count, call.lengths);
  for (Index i = 0; i < call.count; ++i)
    if (const Index slot = SessionTable::slot_of(call.sessions[i]); slot < impl_->capacity)
      impl_->states.prefetch(slot);
  const auto give_back = [this](Worker<T>* worker) { impl_->give_back(std::unique_ptr<Worker<T>>(worker)); };
  const std::unique_ptr<Worker<T>, decltype(give_back)> worker(impl_->take_worker().release(), give_back);
  const SessionTable::Claim claim(impl_->table, "sessions", call.sessions, call.count, worker->rows);
  for (SessionRow& row : worker->rows) row.length = call.lengths ? call.lengths[row.user] : call.seq_len;
  if (impl_->macs * static_cast<double>(call.count * call.seq_len) < long_macs || !can_be_interrupted()) {
    const Uninterrupted whole;  // states change in place
    worker->step(call, impl_->states, impl_->threads);
  } else {
    worker->step_or_undo(call, impl_->states, impl_->threads);
  }
  for (SessionRow& row : worker->rows) {
    for (Index t = row.length; t < call.seq_len; ++t)
      std::fill_n(call.y.data + t * call.y.step_stride + row.user * call.y.batch_stride, output_size(), T(0));
    row.turn = row.turn != (row.length % 2 == 1);
  }
}

template class SessionPool<float>;
template class SessionPool<double>;

}  // namespace gru_native
