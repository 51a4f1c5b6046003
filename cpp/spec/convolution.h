// Lengths of convolutions and of windows: over time, which of images is their width, and down their height.
#pragma once
#include <algorithm>
#include <optional>

#include "gru_native/operation.h"

namespace gru_native {

// Windows over the steps of a sequence, or along one side of an image, and what they may reach beyond it. ceil: torch's
// ceil_mode.
struct Windows {
  std::int64_t taps, stride, dilation, left, right;
  bool causal = false, ceil = false;
};

inline std::int64_t span_of(const Windows& w) { return (w.taps - 1) * w.dilation; }  // behind the first tap

inline Windows windows_of(const Conv1dSpec& s) {
  Windows w{s.kernel_size, s.stride, s.dilation, s.padding.steps, s.padding.steps};
  const std::int64_t span = span_of(w);
  w.causal = s.padding.kind == Padding::causal;
  if (w.causal) w.left = span, w.right = 0;
  if (s.padding.kind == Padding::same) w.left = span / 2, w.right = span - span / 2;
  return w;
}
inline Windows side_of(const Conv2dSpec& s, std::int64_t Size2d::* side) {
  Windows w{s.kernel_size.*side, s.stride.*side, s.dilation.*side, s.padding.size.*side, s.padding.size.*side};
  const std::int64_t span = span_of(w);
  if (s.padding.kind == Padding::same) w.left = span / 2, w.right = span - span / 2;
  return w;
}
inline Windows side_of(const MaxPool2dSpec& s, std::int64_t Size2d::* side) {
  const std::int64_t taps = s.kernel_size.*side, stride = s.stride.*side, padding = s.padding.*side;
  return {taps, stride ? stride : taps, s.dilation.*side, padding, padding, false, s.ceil_mode};
}
inline Windows side_of(const AvgPool2dSpec& s, std::int64_t Size2d::* side) {
  const std::int64_t taps = s.kernel_size.*side, stride = s.stride.*side, padding = s.padding.*side;
  return {taps, stride ? stride : taps, 1, padding, padding, false, s.ceil_mode};
}
inline Windows windows_of(const MaxPool2dSpec& s) { return side_of(s, &Size2d::width); }
inline Windows windows_of(const AvgPool2dSpec& s) { return side_of(s, &Size2d::width); }
inline Windows windows_of(const Conv2dSpec& s) { return side_of(s, &Size2d::width); }
inline Windows windows_of(const MaxPool1dSpec& s) {
  return {s.kernel_size, s.stride ? s.stride : s.kernel_size, s.dilation, s.padding, s.padding, false, s.ceil_mode};
}
inline Windows windows_of(const AvgPool1dSpec& s) {
  return {s.kernel_size, s.stride ? s.stride : s.kernel_size, 1, s.padding, s.padding, false, s.ceil_mode};
}
template <class Spec>
std::optional<Windows> windows_of(const Spec&) {
  return std::nullopt;
}
inline std::optional<Windows> windows_of(const OperationSpec& spec) {
  return std::visit([](const auto& s) -> std::optional<Windows> { return windows_of(s); }, spec.kind);
}

// Of images: down their height.
inline Windows down_of(const MaxPool2dSpec& s) { return side_of(s, &Size2d::height); }
inline Windows down_of(const AvgPool2dSpec& s) { return side_of(s, &Size2d::height); }
inline Windows down_of(const Conv2dSpec& s) { return side_of(s, &Size2d::height); }
template <class Spec>
std::optional<Windows> down_of(const Spec&) {
  return std::nullopt;
}
inline std::optional<Windows> down_of(const OperationSpec& spec) {
  return std::visit([](const auto& s) -> std::optional<Windows> { return down_of(s); }, spec.kind);
}

inline std::int64_t output_len(const Windows& w, std::int64_t seq_len) {
  const std::int64_t rest = seq_len + w.left + w.right - span_of(w) - 1 + (w.ceil ? w.stride - 1 : 0);
  if (rest < 0) return 0;
  const std::int64_t n = rest / w.stride + 1;
  return w.ceil && (n - 1) * w.stride >= seq_len + w.left ? n - 1 : n;  // each begins before the sequence ends
}
inline std::int64_t least_len(const Windows& w) {
  return std::max<std::int64_t>(1, span_of(w) + 1 - w.left - w.right - (w.ceil ? w.stride - 1 : 0));
}
// Of the numbers that a stream keeps of a sequence: whether one says when the next output is due.
inline bool has_phase(const Windows& w) { return w.stride > 1 || !w.causal; }
inline std::int64_t state_size(const Windows& w, std::int64_t columns) { return span_of(w) * columns + has_phase(w); }

}  // namespace gru_native
