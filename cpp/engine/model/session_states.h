// Where the states of a pool's sessions lie, and whose place is whose.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/sequence/state_rows.h"
#include "runtime/locks.h"
#include "runtime/memory.h"

namespace gru_native {

// States in memory that never moves, in blocks that are added as the pool grows. All rows of a session, of each
// direction of each layer, lie together, so that few pages and lines hold them; h lies in two rows that take turns.
// Offsets count from base().
template <class T>
class StateBlocks {
 public:
  explicit StateBlocks(std::vector<StateWidth> widths);
  Index directions() const { return static_cast<Index>(widths_.size()); }
  bool has_c(Index direction) const { return widths_[static_cast<std::size_t>(direction)].c > 0; }
  Index capacity() const { return blocks_.empty() ? 0 : blocks_.back().end; }

  // Memory for so many further slots; and with it. add() itself takes none, and leaves what others read as it is.
  Buffer<T> memory_for(Index slots) const { return Buffer<T>(slots * slot_width_); }
  void add(Buffer<T> memory, Index slots);

  T* base() const { return blocks_.front().memory.data(); }
  Index h(Index direction, Index slot, bool turn) const;
  Index c(Index direction, Index slot) const;
  // All numbers of a slot.
  Index slot_width() const { return slot_width_; }
  void save(Index slot, T* to) const;
  void restore(Index slot, const T* from) const;
  // Asks for the rows of a slot, which thousands of others have driven from the caches.
  void prefetch(Index slot) const;

 private:
  struct Part {
    Buffer<T> memory;  // [slot][direction][h, h, c]
    Index begin, end;  // slots
    Index at;          // from base()
  };
  Index begin_of(Index slot) const;

  std::vector<StateWidth> widths_;
  std::vector<Index> before_;  // [direction]: numbers of a slot in the directions below it
  Index slot_width_ = 0;
  std::vector<Part> blocks_;
};

// A session in somebody's hands.
struct SessionRow {
  Index user;    // its number in the call
  Index slot;
  Index length;  // steps that it makes
  bool turn;     // which of its rows of h is read next
  bool ends;     // is closed afterwards
};

// What steps sessions, with those that it has in hand.
struct SessionHands {
  SessionHands() = default;
  virtual ~SessionHands() = default;
  SessionHands(const SessionHands&) = delete;
  SessionHands& operator=(const SessionHands&) = delete;
  std::vector<SessionRow> rows;
};

// Which sessions there are. An id is a slot's number and, in its upper half, how many sessions had the slot before.
class SessionTable {
 public:
  static constexpr std::size_t bytes_of_slot = 128;  // at most, while it grows: here and in the calls of sessions
  using MakeHands = std::function<std::unique_ptr<SessionHands>()>;
  // The table keeps idle hands, which a step so gets under the same lock as its sessions.
  explicit SessionTable(MakeHands make);
  void grow(Index capacity);
  std::vector<std::int64_t> ids() const;  // ascending

  // A free slot, which is in nobody's hands until it is opened. std::runtime_error if there is none.
  Index take_slot();
  std::int64_t open(Index slot);

  static constexpr int slot_bits = 32;
  static Index slot_of(std::int64_t id) { return id & ((std::int64_t(1) << slot_bits) - 1); }

  // While it lives, nobody else may work on these sessions; then they are as `rows` says. They are open already, or
  // they are opened instead of all that are. std::invalid_argument for ids that are unknown, or there twice, and
  // std::runtime_error if another has one in hand; nothing is then changed.
  enum class Take { open, instead_of_all };
  class Claim {
   public:
    Claim(SessionTable& table, const char* name, const std::int64_t* ids, Index count, std::vector<SessionRow>& rows,
          Take take = Take::open);
    // With hands, whose rows they are. Asks for memory only if none are idle.
    Claim(SessionTable& table, const char* name, const std::int64_t* ids, Index count);
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    SessionHands& hands() const { return *hands_; }

   private:
    SessionTable& table_;
    std::unique_ptr<SessionHands> hands_;
    std::vector<SessionRow>* rows_;
  };

 private:
  struct Session {
    std::int64_t generation = 0;
    bool open = false, busy = false, turn = false;
  };
  enum class Fault { none, unknown, twice, busy, other };
  Fault mark(const std::int64_t* ids, Index count, Take take, std::vector<SessionRow>& rows);
  [[noreturn]] static void refuse(Fault fault, const char* name, const std::int64_t* ids, Index count, Index at,
                                  Take take);
  void open_instead_of_all(const std::int64_t* ids, const std::vector<SessionRow>& rows);
  void keep(std::unique_ptr<SessionHands>& hands);  // if there is room for more

  const MakeHands make_hands_;
  mutable BriefLock lock_;
  std::vector<Session> sessions_;
  std::vector<Index> free_;  // the next one last
  std::vector<std::unique_ptr<SessionHands>> idle_;
};

}  // namespace gru_native
