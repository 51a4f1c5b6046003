// Images whose channels lie side by side in one that is never made: what joins them, or slices them, is not computed.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "engine/matrix/matrices.h"
#include "engine/matrix/narrow.h"

namespace gru_native {

// One of them. Strides: numbers from one to the next; any sign.
template <class T>
struct ImagePart {
  const T* data;
  Index channels;
  Index step, row, dot, channel;  // strides of columns of dots, images of the batch, dots of a column, channels
};
template <class T>
using ImageParts = std::vector<ImagePart<T>>;

// Where their dots lie at one distance from each other, and those of all parts at the same, a dot of all of them is one
// of the first and, so many numbers further, of the others. Returns that distance, 0: they lie otherwise.
template <class T>
Index common_dot(const ImageParts<T>& parts, Index batch, Index height) {
  const Index dot = parts.front().dot;
  for (const ImagePart<T>& part : parts) {
    const auto bytes = reinterpret_cast<std::intptr_t>(part.data) - reinterpret_cast<std::intptr_t>(parts[0].data);
    const bool evenly = part.dot == dot && part.row == height * dot && part.step == batch * height * dot;
    if (!evenly || part.channel != 1 || dot < part.channels || bytes % static_cast<std::intptr_t>(sizeof(T)) != 0)
      return 0;
  }
  return dot;
}
// Whether it is an image as the engine has them.
template <class T>
bool is_dense(const ImagePart<T>& part, Index batch, Index height) {
  return part.channel == 1 && part.dot == part.channels && part.row == height * part.dot &&
         part.step == batch * part.row;
}
// How many numbers behind the first one another begins.
template <class T>
Index behind_first(const ImageParts<T>& parts, std::size_t i) {
  return static_cast<Index>(reinterpret_cast<std::intptr_t>(parts[i].data) -
                            reinterpret_cast<std::intptr_t>(parts[0].data)) /
         static_cast<Index>(sizeof(T));
}

// Some dots of some steps, of one image: to[step][dot][channel], so many numbers apart.
template <class T>
void copy_part(const ImagePart<T>& part, const T* from, Index steps, Index dots, Index channels, Index column, T* to) {
  for (Index t = 0; t < steps; ++t, from += part.step, to += column) {
    if (part.channel == 1 && part.dot == channels && part.channels == channels) copy_row(from, dots * channels, to);
    else if (part.channel == 1 && part.channels > 1)
      for (Index h = 0; h < dots; ++h) copy_row(from + h * part.dot, part.channels, to + h * channels);
    else
      for (Index c = 0; c < part.channels; ++c) {
        const T* x = from + c * part.channel;
        T* y = to + c;
#pragma GCC unroll 4
        for (Index h = 0; h < dots; ++h, x += part.dot, y += channels) *y = *x;
      }
  }
}

// A column of `height` dots for each step of a share, of one image of the batch. Where steps are nearer to each other
// than dots, a line of x serves several, so these are copied together, a few dots of each.
template <class T>
void copy_parts(const ImageParts<T>& parts, Index row, Share steps, Index height, Index channels, Index column, T* to) {
  constexpr Index block = 32;
  const bool apart =
      std::any_of(parts.begin(), parts.end(), [](const auto& p) { return std::abs(p.step) < std::abs(p.dot); });
  const Index wide = apart ? block / 2 : 1, high = apart ? block : height;
  for (Index first = steps.begin; first < steps.end; first += wide)
    for (Index top = 0; top < height; top += high) {
      T* y = to + (first - steps.begin) * column + top * channels;
      for (const ImagePart<T>& part : parts) {
        const T* const x = part.data + row * part.row + first * part.step + top * part.dot;
        copy_part(part, x, std::min(wide, steps.end - first), std::min(high, height - top), channels, column, y);
        y += part.channels;
      }
    }
}

}  // namespace gru_native
