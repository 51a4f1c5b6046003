#include "spec/check_operation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "spec/check_layer.h"
#include "spec/checks.h"
#include "spec/convolution.h"
#include "spec/names.h"
#include "spec/options.h"

namespace gru_native {
namespace {

void check_eps(double eps) {
  if (!(eps >= 0 && std::isfinite(eps))) refuse("eps", shown(eps), "a finite number of at least 0");
}

void check_kind(const ActivationSpec& s) { check_function("name", s.function); }
void check_kind(const LayerNormSpec& s) {
  check_size("normalized_shape", s.normalized_shape, 1);
  check_fits("the weights", double(s.normalized_shape), {{"normalized_shape", s.normalized_shape}});
  check_eps(s.eps);
}
void check_kind(const BatchNorm1dSpec& s) {
  check_size("num_features", s.num_features, 1);
  check_fits("the weights", 4 * double(s.num_features), {{"num_features", s.num_features}});
  check_eps(s.eps);
  if (!(s.momentum >= 0 && s.momentum <= 1)) refuse("momentum", shown(s.momentum), "a number from 0 to 1");
}
void check_kind(const EmbeddingSpec& s) {
  check_size("num_embeddings", s.num_embeddings, 1);
  check_size("embedding_dim", s.embedding_dim, 1);
  check_fits("the weights", double(s.num_embeddings) * double(s.embedding_dim),
             {{"num_embeddings", s.num_embeddings}, {"embedding_dim", s.embedding_dim}});
  if (s.padding_idx < -1 || s.padding_idx >= s.num_embeddings)
    refuse("padding_idx", std::to_string(s.padding_idx), "0 to " + std::to_string(s.num_embeddings - 1) + ", or none");
}

void check_groups(std::int64_t in_channels, std::int64_t out_channels, std::int64_t groups) {
  check_size("groups", groups, 1);
  for (const auto& [name, channels] : {std::pair{"in_channels", in_channels}, {"out_channels", out_channels}})
    if (channels % groups != 0)
      refuse(name, std::to_string(channels), "a multiple of groups=" + std::to_string(groups));
}

void check_kind(const Conv1dSpec& s) {
  check_size("in_channels", s.in_channels, 1);
  check_size("out_channels", s.out_channels, 1);
  check_size("kernel_size", s.kernel_size, 1);
  check_size("stride", s.stride, 1);
  check_size("dilation", s.dilation, 1);
  check_groups(s.in_channels, s.out_channels, s.groups);
  check_fits("the weights", double(s.in_channels) * double(s.out_channels) * double(s.kernel_size),
             {{"in_channels", s.in_channels}, {"out_channels", s.out_channels}, {"kernel_size", s.kernel_size}});
  check_fits("the padding", double(s.kernel_size) * double(s.dilation) * double(s.in_channels),
             {{"kernel_size", s.kernel_size}, {"dilation", s.dilation}, {"in_channels", s.in_channels}});
  check_fits("the stride", double(s.stride) * double(s.in_channels), {{"stride", s.stride}});
  check_enum("padding", s.padding.kind, Padding::number, "a Padding::Kind");
  check_size("padding", s.padding.steps, 0);
  check_fits("the padding", double(s.padding.steps) * double(s.in_channels), {{"padding", s.padding.steps}});
  if (s.padding.kind != Padding::number && s.padding.steps != 0)
    refuse("padding.steps", std::to_string(s.padding.steps), "0 unless padding is a number");
  if (s.padding.kind == Padding::same && s.stride > 1)
    refuse("stride", std::to_string(s.stride), "1 with padding \"same\"");
  check_function("activation", s.activation);
}

void check_kind(const ImageSpec& s) { check_size("features", s.features, 0); }
void check_kind(const ColumnsSpec&) {}

// Both sides of an option.
void check_sides(const char* name, const Size2d& size, std::int64_t least) {
  for (const auto& [side, n] : {std::pair{".height", size.height}, {".width", size.width}})
    if (n < least) check_size(std::string(name) + side, n, least);
}
void check_kind(const Conv2dSpec& s) {
  check_size("in_channels", s.in_channels, 1);
  check_size("out_channels", s.out_channels, 1);
  check_sides("kernel_size", s.kernel_size, 1);
  check_sides("stride", s.stride, 1);
  check_sides("dilation", s.dilation, 1);
  check_groups(s.in_channels, s.out_channels, s.groups);
  const double channels = static_cast<double>(s.in_channels);
  check_fits("the weights",
             channels * double(s.out_channels) * double(s.kernel_size.height) * double(s.kernel_size.width),
             {{"in_channels", s.in_channels},
              {"out_channels", s.out_channels},
              {"kernel_size.height", s.kernel_size.height},
              {"kernel_size.width", s.kernel_size.width}});
  check_fits("the padding",
             double(s.kernel_size.height) * double(s.dilation.height) * double(s.kernel_size.width) *
                 double(s.dilation.width) * channels,
             {{"kernel_size.height", s.kernel_size.height},
              {"kernel_size.width", s.kernel_size.width},
              {"dilation.height", s.dilation.height},
              {"dilation.width", s.dilation.width},
              {"in_channels", s.in_channels}});
  check_fits("the stride", double(s.stride.height) * double(s.stride.width) * channels,
             {{"stride.height", s.stride.height}, {"stride.width", s.stride.width}});
  check_enum("padding", s.padding.kind, Padding::number, "a Padding::Kind");
  if (s.padding.kind == Padding::causal) refuse("padding", "\"causal\"", "\"same\", \"valid\" or numbers");
  check_sides("padding", s.padding.size, 0);
  check_fits("the padding", (double(s.padding.size.height) + 1) * (double(s.padding.size.width) + 1) * channels,
             {{"padding.height", s.padding.size.height}, {"padding.width", s.padding.size.width}});
  if (s.padding.kind != Padding::number && (s.padding.size.height != 0 || s.padding.size.width != 0))
    refuse("padding.size",
           "(" + std::to_string(s.padding.size.height) + ", " + std::to_string(s.padding.size.width) + ")",
           "0 unless padding is a number");
  if (s.padding.kind == Padding::same && (s.stride.height > 1 || s.stride.width > 1))
    refuse("stride", "(" + std::to_string(s.stride.height) + ", " + std::to_string(s.stride.width) + ")",
           "1 with padding \"same\"");
  check_function("activation", s.activation);
}

void check_kind(const BranchSpec& s) { check_enum("mark", s.mark, BranchSpec::concat, "a BranchSpec::Mark"); }
void check_kind(const PoolSpec& s) { check_enum("kind", s.kind, PoolSpec::max, "a PoolSpec::Kind"); }

void check_half(const char* name, std::int64_t padding, std::int64_t kernel_size) {
  if (padding < 0 || padding > kernel_size / 2)
    refuse(name, std::to_string(padding), between(0, kernel_size / 2) + ", half of kernel_size");
}
void check_windows(std::int64_t kernel_size, std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
  check_size("kernel_size", kernel_size, 1);
  check_size("stride", stride, 0);
  check_size("dilation", dilation, 1);
  check_fits("the window", double(kernel_size) * double(dilation),
             {{"kernel_size", kernel_size}, {"dilation", dilation}});
  check_fits("the stride", double(stride), {{"stride", stride}});
  check_half("padding", padding, kernel_size);
}
void check_kind(const MaxPool1dSpec& s) { check_windows(s.kernel_size, s.stride, s.padding, s.dilation); }
void check_kind(const AvgPool1dSpec& s) { check_windows(s.kernel_size, s.stride, s.padding, 1); }

void check_windows(const Size2d& kernel_size, const Size2d& stride, const Size2d& padding, const Size2d& dilation) {
  check_sides("kernel_size", kernel_size, 1);
  check_sides("stride", stride, 0);
  check_sides("dilation", dilation, 1);
  check_fits("the window",
             double(kernel_size.height) * double(dilation.height) * double(kernel_size.width) * double(dilation.width),
             {{"kernel_size.height", kernel_size.height},
              {"kernel_size.width", kernel_size.width},
              {"dilation.height", dilation.height},
              {"dilation.width", dilation.width}});
  check_fits("the stride", (double(stride.height) + 1) * (double(stride.width) + 1),
             {{"stride.height", stride.height}, {"stride.width", stride.width}});
  check_half("padding.height", padding.height, kernel_size.height);
  check_half("padding.width", padding.width, kernel_size.width);
}
void check_kind(const MaxPool2dSpec& s) { check_windows(s.kernel_size, s.stride, s.padding, s.dilation); }
void check_kind(const AvgPool2dSpec& s) {
  check_windows(s.kernel_size, s.stride, s.padding, {1, 1});
  check_size("divisor_override", s.divisor_override, 0);
}

struct Extent {
  std::int64_t input, output;  // columns; 0: any, and the same
};
template <class Spec>
Extent extent_of(const Spec&) {
  return {0, 0};
}
Extent extent_of(const LayerNormSpec& s) { return {s.normalized_shape, s.normalized_shape}; }
Extent extent_of(const BatchNorm1dSpec& s) { return {s.num_features, s.num_features}; }
Extent extent_of(const BatchNorm2dSpec&) { return {0, 0}; }
Extent extent_of(const EmbeddingSpec& s) { return {1, s.embedding_dim}; }
Extent extent_of(const Conv1dSpec& s) { return {s.in_channels, s.out_channels}; }
Extent extent_of(const ImageSpec& s) { return {s.features, s.features}; }

Extent extent_of(const OperationSpec& spec) {
  return std::visit([](const auto& s) { return extent_of(s); }, spec.kind);
}

}  // namespace

void OperationSpec::validate() const {
  std::visit([](const auto& s) { check_kind(s); }, kind);
  check_enum("precision", precision, Precision::int8, "a Precision");
  if (precision != Precision::full)
    refuse("precision", precision_names[static_cast<int>(precision)],
           std::string("full: ") + type_of(*this) + " has no form with weights of few bits");
}

std::int64_t OperationSpec::input_size() const { return extent_of(*this).input; }
std::int64_t OperationSpec::output_size(std::int64_t input_size, std::int64_t channels) const {
  if (const std::optional<Windows> down = down_of(*this)) {
    const std::int64_t own = gru_native::input_channels(*this), read = own ? own : channels;
    if (read <= 0 || input_size <= 0) return 0;  // of images whose height is not known
    return output_channels(read) * gru_native::output_len(*down, input_size / read);
  }
  const std::int64_t own = extent_of(*this).output;
  return own ? own : input_size;
}

std::int64_t OperationSpec::output_channels(std::int64_t channels) const {
  if (const auto* const s = std::get_if<Conv2dSpec>(&kind)) return s->out_channels;
  if (std::holds_alternative<ImageSpec>(kind)) return 1;
  if (std::holds_alternative<ColumnsSpec>(kind)) return 0;
  return channels;
}
std::int64_t input_channels(const OperationSpec& spec) {
  if (const auto* const s = std::get_if<BatchNorm2dSpec>(&spec.kind)) return s->num_features;
  const auto* const s = std::get_if<Conv2dSpec>(&spec.kind);
  return s ? s->in_channels : 0;
}
bool reads_images(const OperationSpec& spec) {
  return down_of(spec) || std::holds_alternative<ColumnsSpec>(spec.kind) ||
         std::holds_alternative<BatchNorm2dSpec>(spec.kind);
}
const BatchNorm1dSpec* batch_norm_of(const OperationSpec& spec) {
  if (const auto* const s = std::get_if<BatchNorm2dSpec>(&spec.kind)) return s;
  return std::get_if<BatchNorm1dSpec>(&spec.kind);
}
bool may_read_images(const OperationSpec& spec) {
  return reads_images(spec) || std::holds_alternative<ActivationSpec>(spec.kind) ||
         std::holds_alternative<BranchSpec>(spec.kind);
}

std::int64_t OperationSpec::output_len(std::int64_t seq_len) const {
  if (ends_time(*this)) return 1;
  const std::optional<Windows> windows = windows_of(*this);
  return windows ? gru_native::output_len(*windows, seq_len) : seq_len;
}
std::int64_t OperationSpec::state_size(std::int64_t input_size) const {
  const std::optional<Windows> windows = windows_of(*this);
  return windows ? gru_native::state_size(*windows, input_size) : 0;
}

std::int64_t least_len(const OperationSpec& spec) {
  const std::optional<Windows> windows = windows_of(spec);
  return windows ? least_len(*windows) : 1;
}
std::int64_t least_height(const OperationSpec& spec) {
  const std::optional<Windows> down = down_of(spec);
  return down ? least_len(*down) : 1;
}
bool ends_time(const OperationSpec& spec) { return std::holds_alternative<PoolSpec>(spec.kind); }
bool is_over_time(const OperationSpec& spec) {
  return ends_time(spec) || windows_of(spec) || reads_images(spec) || std::holds_alternative<ImageSpec>(spec.kind);
}
bool keeps_steps(const OperationSpec& spec) {
  const std::optional<Windows> windows = windows_of(spec);
  return !ends_time(spec) && !(windows && has_phase(*windows));
}
bool changes_height(const OperationSpec& spec) { return down_of(spec).has_value(); }
void check_streamable(const OperationSpec& spec) {
  const auto refuse_end = [&](const std::string& what, const std::string& expected) {
    throw std::invalid_argument(std::string("a ") + type_of(spec) + what +
                                " has no stream: it would have to know the end; expected " + expected);
  };
  if (ends_time(spec)) refuse_end("", "a chain without it");
  if (reads_images(spec) || std::holds_alternative<ImageSpec>(spec.kind))
    throw std::invalid_argument(std::string("a ") + type_of(spec) +
                                " has no stream: images are computed as a whole; expected a chain without them");
  const std::optional<Windows> windows = windows_of(spec);
  if (!windows) return;
  if (std::holds_alternative<Conv1dSpec>(spec.kind)) {
    if (windows->right > 0) refuse_end(" with zeros behind a sequence", "padding \"causal\" or \"valid\"");
  } else if (windows->right > 0 || windows->ceil) {
    refuse_end(" with windows beyond the end of a sequence", "padding 0 without ceil_mode");
  }
}

template <>
void check_numbers<float>(const OperationSpec& spec) {
  constexpr std::int64_t most = std::int64_t(1) << 24;  // float has all whole numbers up to there
  const auto* const s = std::get_if<EmbeddingSpec>(&spec.kind);
  if (s && s->num_embeddings > most)
    refuse("num_embeddings", std::to_string(s->num_embeddings), "at most " + std::to_string(most) + " with float32");
}
template <>
void check_numbers<double>(const OperationSpec&) {}

void check_trainable(const OperationSpec& spec) {
  if (const auto* const s = std::get_if<ActivationSpec>(&spec.kind)) check_slope("name", s->function);
  if (const auto* const s = std::get_if<Conv1dSpec>(&spec.kind)) check_slope("activation", s->activation);
  if (const auto* const s = std::get_if<Conv2dSpec>(&spec.kind)) check_slope("activation", s->activation);
}

template <class T>
std::int64_t input_size(const OperationSpec& spec, const OperationForwardCall<T>& call) {
  const std::int64_t own = spec.input_size();
  return own ? own : call.input_size;
}

template <class T>
std::int64_t channels(const OperationSpec& spec, const OperationForwardCall<T>& call) {
  const std::int64_t own = input_channels(spec);
  return own ? own : may_read_images(spec) ? call.channels : 0;
}

template <class T>
void check_call(const OperationSpec& spec, const OperationForwardCall<T>& call) {
  const std::int64_t inputs = input_size(spec, call), images = channels(spec, call);
  check_size("input_size", inputs, 1);
  check_size("channels", images, reads_images(spec) ? 1 : 0);
  if (images > 0 && inputs % images != 0)
    refuse("input_size", std::to_string(inputs), "a multiple of channels=" + std::to_string(images));
  const std::optional<Windows> down = down_of(spec);
  if (down && inputs / images < least_height(spec))
    refuse("input_size", std::to_string(inputs),
           "at least channels=" + std::to_string(images) + " times a height of " + std::to_string(least_height(spec)));
  const std::int64_t outputs = spec.output_size(inputs, images);
  check_calls_size(call.seq_len, call.batch, inputs + outputs);
  if (call.seq_len < least_len(spec)) check_size("seq_len", call.seq_len, least_len(spec));
  if (const std::optional<Windows> windows = windows_of(spec))
    check_fits("the padded sequences",
               double(call.batch) * (double(call.seq_len) + double(windows->left) + double(windows->right)) *
                   (double(inputs) + (down ? double(images) * (double(down->left) + double(down->right)) : 0.0) + 1024),
               {{"seq_len", call.seq_len}, {"batch", call.batch}});
  check_rows("x", call.x, call.seq_len, call.batch, inputs);
  check_rows("y", call.y, spec.output_len(call.seq_len), call.batch, outputs);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
}

template <class T>
void check_call(const OperationSpec& spec, const OperationBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, std::int64_t inputs, std::int64_t outputs, std::size_t weights) {
  check_rows("dy", call.dy, spec.output_len(seq_len), batch, outputs);
  if (call.dx.data && std::holds_alternative<EmbeddingSpec>(spec.kind))
    throw std::invalid_argument("dx.data is not null; expected null: ids have no gradient");
  if (call.dx.data) check_rows("dx", call.dx, seq_len, batch, inputs);
  check_dweights(call.dweights.size(), weights);
}

#define GRU_NATIVE_CHECK_OPERATION(T)                                                                         \
  template std::int64_t input_size(const OperationSpec&, const OperationForwardCall<T>&);                     \
  template std::int64_t channels(const OperationSpec&, const OperationForwardCall<T>&);                       \
  template void check_call(const OperationSpec&, const OperationForwardCall<T>&);                             \
  template void check_call(const OperationSpec&, const OperationBackwardCall<T>&, std::int64_t, std::int64_t, \
                           std::int64_t, std::int64_t, std::size_t);
GRU_NATIVE_CHECK_OPERATION(float)
GRU_NATIVE_CHECK_OPERATION(double)

}  // namespace gru_native
