// Images, (batch, channels, height, width) or (channels, height, width) to users. In memory they lie as the engine
// reads them, (width, batch, height, channels): what our own blocks hand on is so already, and is not copied.
#pragma once
#include <utility>

#include "bindings/arrays.h"
#include "bindings/layer.h"

namespace gru_native::bindings {

// The argument `name` as it lies in memory; of so many channels, 0: any.
template <class T>
Array<T> image_argument(const char* name, const py::object& value, std::int64_t channels);
// Of this shape in memory.
template <class T>
Array<T> image_argument(const char* name, const py::object& value, const Shape& shape);

// A convolution of images, whose channels lie side by side in its x, each in memory of any order; with SiLU behind it
// or not. The image that it makes has so many zeros above and below, and on the left and right. repeats: how many dots
// below and beside each other each of a part's is; empty: one.
template <class T>
py::object of_parts(const PyOperation<T>& convolution, const py::tuple& parts, bool swish,
                    const std::pair<std::int64_t, std::int64_t>& zeros, const py::tuple& repeats);

// The largest numbers of an image's windows; of each side's two numbers the first is of the height.
py::object largest_of_windows(const py::object& x, const py::tuple& taps, const py::tuple& strides,
                              const py::tuple& before, const py::tuple& outputs);

// As users see it.
py::object as_image(const py::array& memory);
std::string image_shape_text(const Shape& memory);

// What has no need to be an image: whether it is one, because lengths are those of images, or because it lies as one.
bool lies_as_image(const py::object& value, bool ragged);

}  // namespace gru_native::bindings
