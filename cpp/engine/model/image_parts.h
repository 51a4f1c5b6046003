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
  Index down = 1, across = 1;     // how many dots below and beside each other each of its own is
  bool repeats() const { return down * across > 1; }
};
template <class T>
using ImageParts = std::vector<ImagePart<T>>;

// How many numbers behind one part another begins.
template <class T>
Index distance(const ImagePart<T>& from, const ImagePart<T>& to) {
  return static_cast<Index>(reinterpret_cast<std::intptr_t>(to.data) - reinterpret_cast<std::intptr_t>(from.data)) /
         static_cast<Index>(sizeof(T));
}
// Where their dots, `height` in a column, lie at one distance from each other, and those of all these parts at the
// same, a dot of all of them is one of the first and, so many numbers further, of the others. Returns that distance, 0:
// they lie otherwise.
template <class T>
Index common_dot(const ImagePart<T>* begin, const ImagePart<T>* end, Index batch, Index height) {
  const Index dot = begin == end ? 0 : begin->dot;
  for (const ImagePart<T>* part = begin; part != end; ++part) {
    const bool evenly = part->dot == dot && part->row == height * dot && part->step == batch * height * dot;
    const bool whole = begin->data + distance(*begin, *part) == part->data;
    if (!evenly || !whole || part->channel != 1 || dot < part->channels) return 0;
  }
  return dot;
}
// Whether it is an image as the engine has them.
template <class T>
bool is_dense(const ImagePart<T>& part, Index batch, Index height) {
  return !part.repeats() && part.channel == 1 && part.dot == part.channels && part.row == height * part.dot &&
         part.step == batch * part.row;
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

// The same where dots are repeated; step, top: where in the image they begin.
template <class T>
void copy_repeated(const ImagePart<T>& part, Index row, Index step, Index top, Index steps, Index dots, Index channels,
                   Index column, T* to) {
  for (Index t = 0; t < steps; ++t, to += column)
    for (Index h = 0; h < dots; ++h) {
      const T* const x =
          part.data + (step + t) / part.across * part.step + row * part.row + (top + h) / part.down * part.dot;
      for (Index c = 0; c < part.channels; ++c) to[h * channels + c] = x[c * part.channel];
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
        const Index count = std::min(wide, steps.end - first), dots = std::min(high, height - top);
        const T* const x = part.data + row * part.row + first * part.step + top * part.dot;
        if (part.repeats()) copy_repeated(part, row, first, top, count, dots, channels, column, y);
        else copy_part(part, x, count, dots, channels, column, y);
        y += part.channels;
      }
    }
}

// Zeros around `columns` columns of numbers, which lie side by side: so many before and behind all of them, and at both
// ends of each.
template <class T>
void clear_around(T* image, Index columns, Index column, Index sides, Index ends) {
  T* to = std::fill_n(image, sides, T(0));
  for (Index i = 0; i < columns && ends > 0; ++i) {
    std::fill_n(to + i * column, ends, T(0));
    std::fill_n(to + (i + 1) * column - ends, ends, T(0));
  }
  std::fill_n(to + columns * column, sides, T(0));
}

}  // namespace gru_native
