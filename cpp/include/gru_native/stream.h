// A stream: one step or one chunk after the other, the state kept in between.
#pragma once
#include <cstddef>

#include "gru_native/model.h"

namespace gru_native {

// Runs a model over sequences that come in pieces. The results are those of the whole sequence, bit for bit.
// A stream belongs to one thread at a time. It holds on to the weights of the moment it was made; the model or layer
// may go. Many streams may share one model.
template <class T>
class GRU_NATIVE_API Stream {
 public:
  // `batch`: sequences side by side. `threads`: the most that one call uses; 1 is the calling thread alone, which then
  // takes no lock and wakes nobody. Throws std::invalid_argument for a bidirectional layer (it would need the end of
  // the sequence), batch < 1 or threads < 1; std::bad_alloc.
  explicit Stream(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t batch = 1, int threads = 1);
  explicit Stream(const Layer<T>& layer, std::int64_t batch = 1, int threads = 1);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;

  std::int64_t batch() const noexcept;
  std::int64_t input_size() const noexcept;
  std::int64_t output_size() const noexcept;

  // in: [frames][batch][input_size], out: [frames][batch][output_size], which must not overlap. With threads = 1 it
  // allocates nothing, takes no lock and makes no system call, for any number of frames, from the first call on.
  void process(const T* in, T* out, std::size_t frames) noexcept;

  // The same with strides; throws std::invalid_argument for null pointers, seq_len < 1 or strides that make no sense.
  void process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len);

  // The state: BasicModel::state_size(batch()) numbers in its order. Zeros at the start.
  std::size_t state_size() const noexcept;
  void save_state(T* to) const noexcept;
  void load_state(const T* from) noexcept;
  void reset() noexcept;

  // Runs that many frames of zeros in, so that what follows does not begin with the transient of the zero state.
  void prewarm(std::size_t frames) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

/// \cond
template <class T>
Stream(const std::shared_ptr<BasicModel<T>>&, std::int64_t = 1, int = 1) -> Stream<T>;
/// \endcond

}  // namespace gru_native
