#include "engine/model/session_states.h"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace gru_native {

template <class T>
StateBlocks<T>::StateBlocks(std::vector<StateWidth> widths) : widths_(std::move(widths)) {
  for (const StateWidth& w : widths_) {
    before_.push_back(slot_width_);
    slot_width_ += 2 * w.h + w.c;
  }
  blocks_.reserve(64);  // each is as large as all before it, so memory ends first
}

template <class T>
void StateBlocks<T>::add(Buffer<T> memory, Index slots) {
  const Index begin = capacity();
  blocks_.push_back({std::move(memory), begin, begin + slots, 0});
  // Blocks are aligned alike, so whole numbers lie between them.
  const auto address = [](const Part& part) { return reinterpret_cast<std::intptr_t>(part.memory.data()); };
  blocks_.back().at = (address(blocks_.back()) - address(blocks_.front())) / static_cast<Index>(sizeof(T));
}

template <class T>
Index StateBlocks<T>::begin_of(Index slot) const {
  const Part* part = blocks_.data();
  while (slot >= part->end) ++part;
  return part->at + (slot - part->begin) * slot_width_;
}

template <class T>
Index StateBlocks<T>::h(Index direction, Index slot, bool turn) const {
  const std::size_t d = static_cast<std::size_t>(direction);
  return begin_of(slot) + before_[d] + (turn ? widths_[d].h : 0);
}

template <class T>
Index StateBlocks<T>::c(Index direction, Index slot) const {
  const std::size_t d = static_cast<std::size_t>(direction);
  return begin_of(slot) + before_[d] + 2 * widths_[d].h;
}

template <class T>
void StateBlocks<T>::save(Index slot, T* to) const {
  std::copy_n(base() + begin_of(slot), slot_width_, to);
}
template <class T>
void StateBlocks<T>::restore(Index slot, const T* from) const {
  std::copy_n(from, slot_width_, base() + begin_of(slot));
}

// The beginnings of long rows: the hardware follows by itself.
template <class T>
void StateBlocks<T>::prefetch(Index slot) const {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T)), lines = 16;
  const T* row = base() + begin_of(slot);
  for (const StateWidth& w : widths_) {
    for (const Index numbers : {w.h, w.h, w.c}) {
      for (Index k = 0; k < std::min(numbers, lines * line); k += line) __builtin_prefetch(row + k, 1);
      row += numbers;
    }
  }
}

namespace {

constexpr std::size_t most_idle = 64;  // hands that are kept
std::int64_t generation_of(std::int64_t id) { return id >> SessionTable::slot_bits; }
// Ids begin again after 2^31 sessions: no slot is ever used up, whatever restored ids say of those before them.
std::int64_t behind(std::int64_t generation) { return (generation + 1) % (std::int64_t(1) << 31); }

}  // namespace

SessionTable::SessionTable(MakeHands make) : make_hands_(std::move(make)) { idle_.reserve(most_idle); }

// The lock is held.
void SessionTable::keep(std::unique_ptr<SessionHands>& hands) {
  if (idle_.size() < most_idle) idle_.push_back(std::move(hands));
}

// Memory is asked for before the lock is taken (runtime/locks.h).
void SessionTable::grow(Index capacity) {
  const std::size_t size = static_cast<std::size_t>(capacity);
  std::vector<Session> sessions(size);
  std::vector<Index> unused;
  unused.reserve(size);
  std::vector<std::unique_ptr<SessionHands>> waiting;
  waiting.reserve(most_idle);
  {
    const std::lock_guard<BriefLock> lock(lock_);
    waiting.swap(idle_);
  }
  for (std::unique_ptr<SessionHands>& hands : waiting) {
    hands->rows.reserve(size + 1);
    const std::lock_guard<BriefLock> lock(lock_);
    keep(hands);
  }
  const std::lock_guard<BriefLock> lock(lock_);
  const Index before = static_cast<Index>(sessions_.size());
  for (Index slot = capacity; slot-- > before;) unused.push_back(slot);
  unused.insert(unused.end(), free_.begin(), free_.end());
  std::copy(sessions_.begin(), sessions_.end(), sessions.begin());
  sessions_.swap(sessions);
  free_.swap(unused);
}

std::vector<std::int64_t> SessionTable::ids() const {
  std::vector<std::int64_t> ids;
  for (;;) {
    std::size_t size = 0;
    {
      const std::lock_guard<BriefLock> lock(lock_);
      size = sessions_.size();
      if (ids.capacity() >= size) {
        for (std::size_t slot = 0; slot < size; ++slot)
          if (sessions_[slot].open)
            ids.push_back(sessions_[slot].generation << slot_bits | static_cast<std::int64_t>(slot));
      }
    }
    if (ids.capacity() >= size) break;
    ids.reserve(size);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Index SessionTable::take_slot() {
  std::size_t size = 0;
  {
    const std::lock_guard<BriefLock> lock(lock_);
    if (!free_.empty()) {
      const Index slot = free_.back();
      free_.pop_back();
      return slot;
    }
    size = sessions_.size();
  }
  throw std::runtime_error("all " + std::to_string(size) +
                           " sessions of the pool are open; expected a free one: close one, or reserve more");
}

std::int64_t SessionTable::open(Index slot) {
  const std::lock_guard<BriefLock> lock(lock_);
  Session& session = sessions_[static_cast<std::size_t>(slot)];
  session.open = true, session.busy = false, session.turn = false;
  return session.generation << slot_bits | slot;
}

// rows has room for them. At a fault its last one is that of the id at fault, and nobody is taken.
SessionTable::Fault SessionTable::mark(const std::int64_t* ids, Index count, Take take, std::vector<SessionRow>& rows) {
  const auto session_of = [&](const SessionRow& row) -> Session& {
    return sessions_[static_cast<std::size_t>(row.slot)];
  };
  const auto taken = [&](const SessionRow& row) {
    return std::any_of(rows.begin(), rows.end() - 1, [&](const SessionRow& other) { return other.slot == row.slot; });
  };
  const auto fault_of = [&](std::int64_t id, const SessionRow& row) {
    if (id < 0 || row.slot >= static_cast<Index>(sessions_.size())) return Fault::unknown;
    const Session& session = session_of(row);
    if (take == Take::open && (!session.open || session.generation != generation_of(id))) return Fault::unknown;
    if (session.busy) return taken(row) ? Fault::twice : Fault::busy;
    return Fault::none;
  };
  for (Index i = 0; i < count; ++i) {
    rows.push_back({i, slot_of(ids[i]), 0, false, false});
    const Fault fault = fault_of(ids[i], rows.back());
    if (fault != Fault::none) {
      for (auto row = rows.begin(); row + 1 != rows.end(); ++row) session_of(*row).busy = false;
      return fault;
    }
    Session& session = session_of(rows.back());
    session.busy = true;
    if (take == Take::open) rows.back().turn = session.turn;
  }
  return Fault::none;
}

// All others are closed. Their slots go on counting past the ids here, which may be their own of another life.
void SessionTable::open_instead_of_all(const std::int64_t* ids, const std::vector<SessionRow>& rows) {
  std::int64_t latest = 0;
  for (const SessionRow& row : rows) {
    Session& session = sessions_[static_cast<std::size_t>(row.slot)];
    session.open = true;
    session.generation = generation_of(ids[row.user]);
    latest = std::max(latest, session.generation);
  }
  free_.clear();
  for (Index slot = static_cast<Index>(sessions_.size()); slot-- > 0;) {
    Session& session = sessions_[static_cast<std::size_t>(slot)];
    if (session.busy) continue;
    session.open = false;
    session.generation = behind(std::max(session.generation, latest));
    free_.push_back(slot);
  }
}

void SessionTable::refuse(Fault fault, const char* name, const std::int64_t* ids, Index count, Index at, Take take) {
  if (fault == Fault::other)
    throw std::runtime_error("a session of the pool is in use by another call; expected none that is");
  const std::string which = name + (count == 1 ? std::string() : "[" + std::to_string(at) + "]"),
                    id = std::to_string(ids[at]);
  if (fault == Fault::busy) throw std::runtime_error(which + " is " + id + ", which is in use by another call");
  throw std::invalid_argument(which + " is " + id + "; expected " +
                              (fault == Fault::twice          ? "each session once"
                               : take == Take::instead_of_all ? "an id that a pool of this capacity gives out"
                                                              : "the id of an open session"));
}

SessionTable::Claim::Claim(SessionTable& table, const char* name, const std::int64_t* ids, Index count,
                           std::vector<SessionRow>& rows, Take take)
    : table_(table), rows_(&rows) {
  rows.clear();
  rows.reserve(static_cast<std::size_t>(count));
  Fault fault = Fault::none;
  {
    const std::lock_guard<BriefLock> lock(table_.lock_);
    if (take == Take::instead_of_all &&
        std::any_of(table_.sessions_.begin(), table_.sessions_.end(), [](const Session& s) { return s.busy; }))
      fault = Fault::other;
    if (fault == Fault::none) fault = table_.mark(ids, count, take, rows);
    if (fault == Fault::none && take == Take::instead_of_all) table_.open_instead_of_all(ids, rows);
  }
  if (fault != Fault::none) refuse(fault, name, ids, count, rows.empty() ? 0 : rows.back().user, take);
}

// Of distinct sessions there are as many as the table has, and one more id is a fault.
SessionTable::Claim::Claim(SessionTable& table, const char* name, const std::int64_t* ids, Index count)
    : table_(table), rows_(nullptr) {
  for (std::size_t room = 0; !rows_;) {
    Fault fault = Fault::none;
    Index at = 0;
    {
      const std::lock_guard<BriefLock> lock(table_.lock_);
      if (!hands_ && !table_.idle_.empty()) {
        hands_ = std::move(table_.idle_.back());
        table_.idle_.pop_back();
      }
      room = table_.sessions_.size() + 1;
      if (hands_ && hands_->rows.capacity() >= room) {
        rows_ = &hands_->rows;
        rows_->clear();
        fault = table_.mark(ids, count, Take::open, *rows_);
        if (fault != Fault::none) {
          at = rows_->back().user;
          table_.keep(hands_);
        }
      }
    }
    if (fault != Fault::none) refuse(fault, name, ids, count, at, Take::open);
    if (rows_) break;
    if (!hands_) hands_ = table_.make_hands_();
    hands_->rows.reserve(room);
  }
}

SessionTable::Claim::~Claim() {
  const std::lock_guard<BriefLock> lock(table_.lock_);
  for (const SessionRow& row : *rows_) {
    Session& session = table_.sessions_[static_cast<std::size_t>(row.slot)];
    session.busy = false;
    session.turn = row.turn;
    if (!row.ends) continue;
    session.open = false;
    session.generation = behind(session.generation);
    table_.free_.push_back(row.slot);
  }
  if (hands_) table_.keep(hands_);
}

template class StateBlocks<float>;
template class StateBlocks<double>;

}  // namespace gru_native
