// Lengths of convolutions and of windows over time.
#pragma once
#include "gru_native/operation.h"

namespace gru_native {

// Steps of zeros around a sequence.
struct Padded {
  std::int64_t left, right;
};
inline std::int64_t span_of(const Conv1dSpec& s) { return (s.kernel_size - 1) * s.dilation; }  // behind the first tap
inline Padded padded(const Conv1dSpec& s) {
  const std::int64_t span = span_of(s);
  switch (s.padding.kind) {
    case Padding::causal: return {span, 0};
    case Padding::same: return {span / 2, span - span / 2};
    default: return {s.padding.steps, s.padding.steps};
  }
}
inline std::int64_t output_len(const Conv1dSpec& s, std::int64_t seq_len) {
  const Padded around = padded(s);
  const std::int64_t rest = seq_len + around.left + around.right - span_of(s) - 1;
  return rest < 0 ? 0 : rest / s.stride + 1;
}
// Of the numbers that a stream keeps of a sequence: whether one says when the next output is due.
inline bool has_phase(const Conv1dSpec& s) { return s.stride > 1 || s.padding.kind != Padding::causal; }
inline std::int64_t state_size(const Conv1dSpec& s) { return span_of(s) * s.in_channels + has_phase(s); }

}  // namespace gru_native
