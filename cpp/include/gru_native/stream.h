/// \file
/// A stream: a model at work on sequences that come in pieces, one step or one chunk after the other.
#pragma once
#include <cstdint>
#include <memory>

#include "gru_native/model.h"

namespace gru_native {

/// Runs a model over sequences that come in pieces, and keeps the state in between. The results are those of the whole
/// sequence, bit for bit.
///
/// A stream belongs to one thread at a time. It holds on to the weights of the moment at which it was made; the model
/// or layer may go. Many streams may share one model. After a move it may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API Stream {
 public:
  /// \param model What runs.
  /// \param batch Sequences side by side.
  /// \param threads The most that one call uses. 1 is the calling thread alone, which then takes no lock and wakes
  /// nobody.
  /// \throws std::invalid_argument for a model that is null or has a bidirectional layer, which would need the end of
  /// the sequence, and for batch or threads below 1; std::bad_alloc.
  explicit Stream(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t batch = 1, int threads = 1);
  /// The same of a single layer.
  explicit Stream(const Layer<T>& layer, std::int64_t batch = 1, int threads = 1);
  ~Stream();
  /// Another stream with the same weights, which are shared, and a state of its own, which is equal now. Throws
  /// std::bad_alloc.
  Stream(const Stream& other);
  /// The same in the place of this stream, which stays as it is if that throws.
  Stream& operator=(const Stream& other);
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;

  std::int64_t batch() const noexcept;        ///< Sequences side by side.
  std::int64_t input_size() const noexcept;   ///< Columns of the input.
  std::int64_t output_size() const noexcept;  ///< Columns of the output.

  /// Steps of output that the next `frames` steps will give: as many, unless the model has a convolution with stride or
  /// without padding.
  std::int64_t output_len(std::int64_t frames) const noexcept;

  /// The outputs of the next `frames` steps, and how many steps these are: output_len(frames). With threads = 1 it
  /// allocates nothing, takes no lock and makes no system call, for any number of frames, from the first call on.
  /// \param in [frames][batch][input_size]
  /// \param out [output_len(frames)][batch][output_size], written; must not overlap `in`
  /// \param frames Steps; where it is below 1 nothing happens.
  std::int64_t process(const T* in, T* out, std::int64_t frames) noexcept;

  /// The same with strides. Throws std::invalid_argument for null pointers, seq_len below 1 and strides that make no
  /// sense; nothing is then written.
  std::int64_t process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len);

  /// Numbers in the state: of each block in turn, a recurrent layer's as in BasicModel::state_size, and of a
  /// convolution, [batch][OperationSpec::state_size()], the steps that it still reads.
  std::int64_t state_size() const noexcept;
  /// Copies the state, state_size() numbers. At the start it is zeros, or what was learned.
  void save_state(T* to) const noexcept;
  /// Sets the state from such numbers.
  void load_state(const T* from) noexcept;
  /// Back to the state of the start.
  void reset() noexcept;

  /// Runs `frames` steps of zeros in, so that what follows does not begin with the transient of the zero state.
  void prewarm(std::int64_t frames) noexcept;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

template <class T>
Stream(const std::shared_ptr<BasicModel<T>>&, std::int64_t = 1, int = 1) -> Stream<T>;

}  // namespace gru_native
