// The largest numbers of windows of images, with windows as ONNX has them: no block has these, nor a tape of them.
#pragma once
#include "simd/index.h"

namespace gru_native {

// Windows along one side of an image: as many as outputs, of which some may reach over either end, or lie beyond it.
struct LargestSide {
  Index taps, stride, left, outputs;
};

// x: [width][batch][height][channels], y alike. Where a window has nothing of x, y is -inf; NaN is larger than all
// else.
template <class T>
void largest_of_windows(const LargestSide& down, const LargestSide& across, const T* x, Index width, Index batch,
                        Index height, Index channels, T* y);

}  // namespace gru_native
