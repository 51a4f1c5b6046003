// Convolutions of 8 bits, as ONNX Runtime's quantize_dynamic writes them.
#pragma once
#include "engine/model/operation.h"

namespace gru_native {

// The same as Operation::forward, of a convolution whose weights are whole numbers and whose x has no gaps:
//   s = (max x - min x) / 255, z = round(-min x / s), both with 0 among x;  q = x / s, rounded to whole numbers of 8
//   bits y = (sums of weights (q - z) + floor(bias / (s scale))) s scale
// and with `swish` times its logistic function. bias: null, or of each channel.
struct WholeNumbers {
  float scale;
  const float* bias;
  bool swish;
};
void forward_of_whole_numbers(const Operation<float>& convolution, const OperationForwardCall<float>& call,
                              const WholeNumbers& numbers);

}  // namespace gru_native
