#include "gru_native/session_pool.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "engine/matrix/matrices.h"
#include "engine/model/session_pool.h"
#include "engine/model/session_worker.h"
#include "runtime/free_memory.h"
#include "runtime/interruption.h"
#include "spec/check_model.h"
#include "spec/check_operation.h"
#include "spec/checks.h"
#include "spec/options.h"

namespace gru_native {
namespace {

constexpr double long_macs = 1e9;  // of a step that can be interrupted: from 10 milliseconds on

}  // namespace

template <class T>
struct SessionPool<T>::Impl {
  Impl(std::vector<BlockWeights<T>> blocks, std::int64_t capacity, int threads);

  const std::vector<BlockWeights<T>> blocks;
  const int threads;
  const double macs;   // of a session's step
  Stages<T> rows;      // never run: it knows how a row of states is read and written
  StateBlocks<T> states;
  SessionTable table;
  LengthyLock growing;
  std::atomic<Index> capacity{0};

  void grow(Index slots);

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
    : blocks(std::move(all)),
      threads(threads),
      macs(macs_of_row(blocks)),
      rows(blocks, 1),
      states(widths_of(rows)),
      table([this] { return std::make_unique<Worker<T>>(blocks, states.directions()); }) {
  checked(blocks, "capacity", slots, threads);
  for (const BlockWeights<T>& b : blocks)
    if (b.operation && b.kept + !keeps_steps(b.operation->spec) > 0)
      throw std::invalid_argument(std::string("a ") + type_of(b.operation->spec) +
                                  " has no sessions, whose steps come at different times; expected a stream for each");
  grow(slots);
  const SessionTable::Claim first_hands(table, "sessions", nullptr, 0);
}

// What is added is there before the table says so. Memory is asked for without the lock, for that can be interrupted.
template <class T>
void SessionPool<T>::Impl::grow(Index wanted) {
  for (;;) {
    const Index now = capacity, slots = std::max(wanted, 2 * now);
    if (wanted <= now) return;
    check_stages(blocks, "capacity", slots);
    check_memory(static_cast<std::size_t>(slots) * SessionTable::bytes_of_slot);
    Buffer<T> memory = states.memory_for(slots - now);
    const std::lock_guard<LengthyLock> one_at_a_time(growing);
    if (capacity != now) continue;
    states.add(std::move(memory), slots - now);
    table.grow(slots);
    capacity = slots;
    return;
  }
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
SessionPool<T>::SessionPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
SessionPool<T> pool_of(const std::vector<BlockWeights<T>>& blocks, Index capacity, int threads) {
  return open_handle<SessionPool<T>>(std::make_unique<ImplOf<SessionPool<T>>>(blocks, capacity, threads));
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
  for (Index i = 0; i < call.count; ++i)
    if (const Index slot = SessionTable::slot_of(call.sessions[i]); slot < impl_->capacity)
      impl_->states.prefetch(slot);
  check_lengths("lengths", call.lengths, call.count, "seq_len", call.seq_len);
  impl_->rows.check(call.x, call.seq_len, call.count, call.lengths);
  const SessionTable::Claim claim(impl_->table, "sessions", call.sessions, call.count);
  Worker<T>& worker = static_cast<Worker<T>&>(claim.hands());
  for (SessionRow& row : worker.rows) row.length = call.lengths ? call.lengths[row.user] : call.seq_len;
  if (impl_->macs * static_cast<double>(call.count * call.seq_len) < long_macs || !can_be_interrupted()) {
    const Uninterrupted whole;  // states change in place
    worker.step(call, impl_->states, impl_->threads);
  } else {
    worker.step_or_undo(call, impl_->states, impl_->threads);
  }
  for (SessionRow& row : worker.rows) {
    for (Index t = row.length; t < call.seq_len; ++t)
      std::fill_n(call.y.data + t * call.y.step_stride + row.user * call.y.batch_stride, output_size(), T(0));
    row.turn = row.turn != (row.length % 2 == 1);
  }
}

template class SessionPool<float>;
template class SessionPool<double>;
template SessionPool<float> pool_of(const std::vector<BlockWeights<float>>&, Index, int);
template SessionPool<double> pool_of(const std::vector<BlockWeights<double>>&, Index, int);

}  // namespace gru_native
