/// \file
/// Many sequences that come in pieces, of which any few have input at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "gru_native/model.h"

namespace gru_native {

/// The next steps of some sessions.
template <class T>
struct SessionCall {
  const std::int64_t* sessions = nullptr;  ///< [count]: their ids, each once
  std::int64_t count = 0;
  std::int64_t seq_len = 1;                ///< Steps, or the most of any session.
  Sequences<const T> x;                    ///< input_size() columns; sequence i is that of sessions[i].
  Sequences<T> y;                          ///< output_size() columns, written; must not overlap x.
  const std::int64_t* lengths = nullptr;  ///< [count], 0 to seq_len; null: all seq_len. y is 0 past the end of each.
};

/// A model at work on many sessions, each a stream with a state of its own. Whoever has input goes forward in one
/// batch, and gets what a Stream of its own would give it, bit for bit, whatever its company.
///
/// The states lie in the pool, and steps read and write them there. A pool may be used by several threads at once, also
/// for steps, as long as these are of different sessions. It holds on to the weights of the moment at which it was
/// made; the model or layer may go. After a move it may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API SessionPool {
 public:
  /// \param model What runs.
  /// \param capacity Sessions that may be open at once, for now.
  /// \param threads The most that one call uses. 1 is the calling thread alone, which then wakes nobody.
  /// \throws std::invalid_argument for a model that is null or has a bidirectional layer, and for capacity or threads
  /// below 1; std::bad_alloc.
  explicit SessionPool(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t capacity, int threads = 1);
  /// The same of a single layer.
  explicit SessionPool(const Layer<T>& layer, std::int64_t capacity, int threads = 1);
  ~SessionPool();
  SessionPool(SessionPool&& other) noexcept;
  SessionPool& operator=(SessionPool&& other) noexcept;

  std::int64_t input_size() const noexcept;  ///< Columns of the input.
  std::int64_t output_size() const noexcept;  ///< Columns of the output.
  std::int64_t capacity() const;  ///< Sessions that may be open at once.
  std::vector<std::int64_t> sessions() const;  ///< The ids of those that are open, ascending.

  /// Makes room for at least so many sessions, and for twice as many as before if it must grow. States stay where they
  /// are, so steps of other threads may go on meanwhile. Throws std::invalid_argument and std::bad_alloc.
  void reserve(std::int64_t capacity);

  /// A new session, in the zero state. Its id was never another's before 2^31 sessions had its place, those included
  /// that restored ids speak of. Throws std::runtime_error if the pool is full.
  std::int64_t open();
  /// Ends a session. Its id stays unknown from then on. Throws std::invalid_argument for an id of no open session, and
  /// std::runtime_error while another thread steps it: so do all functions that take ids, which then change nothing.
  void close(std::int64_t session);
  /// Back to the zero state.
  void reset(std::int64_t session);

  /// Numbers in the state of a session: BasicModel::state_size(1), in its order, so a Stream's state of batch 1 is a
  /// session's.
  std::int64_t state_size() const noexcept;
  /// Copies the state of a session, state_size() numbers.
  void save_state(std::int64_t session, T* to) const;
  /// Sets the state of a session from such numbers.
  void load_state(std::int64_t session, const T* from);

  /// Closes all sessions, and opens those of another pool with their ids and states: [count] and
  /// [count][state_size()]. Throws std::invalid_argument for ids that no pool of this capacity gives out (so reserve()
  /// that of the other one), or twice the same place; std::runtime_error while a session is stepped; std::bad_alloc.
  /// Nothing is then changed.
  void restore(const std::int64_t* sessions, std::int64_t count, const T* states);

  /// The next steps of some sessions. With threads = 1 and one caller at a time it allocates nothing once the pool has
  /// its capacity. Throws std::invalid_argument, naming the field of the call that is wrong, for an id that is unknown,
  /// closed or there twice, std::runtime_error for a session that another thread is stepping, and std::bad_alloc;
  /// nothing is then changed.
  void step(const SessionCall<T>& call);

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  explicit SessionPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

template <class T>
SessionPool(const std::shared_ptr<BasicModel<T>>&, std::int64_t, int = 1) -> SessionPool<T>;

}  // namespace gru_native
