#include "engine/model/whole_numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gru_native {

void forward_of_whole_numbers(const Operation<float>& convolution, const OperationForwardCall<float>& call,
                              const WholeNumbers& numbers) {
  const TapsKernels<float>& kernels = kernels_for<float>().taps;
  const Index n = static_cast<Index>(call.seq_len * call.batch * call.input_size);
  float low = 0, high = 0;
  kernels.range(call.x.data, n, &low, &high);
  const float range = (high - low) / 255;
  // Of no numbers but 0, or so small ones: 1. What is not finite has no levels: all is NaN.
  const float step = range == 0 ? 1 : std::isfinite(range) ? range : std::numeric_limits<float>::quiet_NaN();
  const float zero = std::min(255.0f, std::max(0.0f, std::nearbyint(-low / step)));
  const float factor = step * numbers.scale;
  const auto arena = impl_of(convolution).store.lease();
  float* const levels = arena->take<float>(n);
  in_parts(0, n, macs_of_function, 1, [&](Index begin, Index end) {
    kernels.to_levels(call.x.data + begin, end - begin, step, 255 - zero, factor, levels + begin);
  });
  const Index channels = convolution.weights()[0].shape[0];
  float* const bias = numbers.bias ? arena->take<float>(channels) : nullptr;
  constexpr float most = 2147483648.0f;  // a whole number of 32 bits
  for (Index i = 0; bias && i < channels; ++i)
    bias[i] = std::min(most, std::max(-most, std::floor(numbers.bias[i] / factor))) * factor;
  OperationForwardCall<float> of_levels = call;
  of_levels.x.data = levels;
  impl_of(convolution).forward(of_levels, {numbers.swish, bias});
}

}  // namespace gru_native
