// A stream: one step or one chunk after the other, the state kept in between.
#pragma once
#include "gru_native/layer.h"

namespace gru_native {

// Runs a layer over sequences that come in pieces. The results are those of the whole sequence, bit for bit.
// A stream belongs to one thread at a time and keeps the layer's weights of the moment it was made.
template <class T>
class GRU_NATIVE_API Stream {
 public:
  // The layer must outlive the stream. Throws std::invalid_argument for a bidirectional layer (it would need the
  // end of the sequence) or batch < 1.
  Stream(const Layer<T>& layer, std::int64_t batch);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::int64_t batch() const;

  // seq_len steps of x (input_size columns) to y (output_size columns). Allocates nothing after the first call
  // with the longest seq_len.
  void process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len);

  // The state, [num_layers][batch][size]: a copy that the next call of state() overwrites. Zeros at the start.
  States<T> state() const;
  void set_state(const States<const T>& state);  // null pointers: zeros
  void reset() { set_state({}); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
