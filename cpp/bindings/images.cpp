#include "bindings/images.h"

#include "bindings/without_gil.h"
#include "engine/model/largest.h"
#include "engine/model/operation.h"
#include "spec/check_operation.h"

namespace gru_native::bindings {
namespace {

// Whole arrays of T as they are, whatever their strides; all else as any argument.
template <class T>
py::array numbers_argument(const char* name, const py::object& value) {
  if (py::isinstance<py::array_t<T>>(value)) return py::reinterpret_borrow<py::array>(value);
  return as_array<T>(name, value);
}

constexpr std::int64_t max_beside = 1 << 20;  // zeros, or dots
constexpr Index max_window = Index(1) << 40;   // as in ONNX's attributes (onnx/operators/windows.py)

// Whether all of it can be read as T.
template <class T>
bool lies_on_numbers(const py::array& a) {
  bool whole = reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) == 0;
  for (int axis = 0; axis < a.ndim(); ++axis) whole = whole && a.strides(axis) % py::ssize_t(sizeof(T)) == 0;
  return whole;
}

template <class T>
Array<T> in_memory(const char* name, const py::array& image) {
  const py::object turned =
      image.ndim() == 4 ? image.attr("transpose")(3, 0, 2, 1) : py::object(image.attr("transpose")(2, 1, 0));
  return as_array<T>(name, turned);
}

}  // namespace

template <class T>
Array<T> image_argument(const char* name, const py::object& value, std::int64_t channels) {
  const py::array image = numbers_argument<T>(name, value);
  Dims dims{{"batch", -1}, {"channels", channels ? channels : -1}, {"height", -1}, {"width", -1}};
  if (image.ndim() == 3) dims = {{"channels", channels ? channels : -1}, {"height", -1}, {"width", -1}};
  check_shape(name, image, dims);
  return in_memory<T>(name, image);
}

template <class T>
Array<T> image_argument(const char* name, const py::object& value, const Shape& shape) {
  const py::array image = numbers_argument<T>(name, value);
  const std::size_t last = shape.size() - 1;
  Dims dims;
  if (last == 3) dims.push_back({"batch", shape[1]});
  dims.push_back({"channels", shape[last]});
  dims.push_back({"height", shape[last - 1]});
  dims.push_back({"width", shape[0]});
  check_shape(name, image, dims);
  return in_memory<T>(name, image);
}

template <class T>
py::object of_parts(const PyOperation<T>& o, const py::tuple& given, bool swish,
                    const std::pair<std::int64_t, std::int64_t>& zeros, const py::tuple& repeats) {
  const auto [down, across] = zeros;
  if (down < 0 || across < 0 || down > max_beside || across > max_beside)
    throw py::value_error("zeros has " + std::to_string(down) + " and " + std::to_string(across) +
                          "; expected numbers from 0 to " + std::to_string(max_beside));
  const OperationSpec& spec = o.layer->spec();
  if (!std::holds_alternative<Conv2dSpec>(spec.kind)) throw py::type_error("this block is no convolution of images");
  if (!repeats.empty() && repeats.size() != given.size())
    throw py::value_error("repeats has " + std::to_string(repeats.size()) + " entries; expected one for each of " +
                          std::to_string(given.size()) + " parts");
  std::vector<py::array> arrays;
  ImageParts<T> parts;
  std::int64_t channels = 0, batch = -1, height = -1, width = -1;
  for (const py::handle each : given) {
    py::array image = numbers_argument<T>("parts", py::reinterpret_borrow<py::object>(each));
    std::pair<std::int64_t, std::int64_t> times{1, 1};
    if (!repeats.empty()) times = repeats[arrays.size()].cast<std::pair<std::int64_t, std::int64_t>>();
    const auto [high, broad] = times;
    const bool divides = high > 0 && broad > 0 && (arrays.empty() || (height % high == 0 && width % broad == 0));
    if (!divides || high > max_beside || broad > max_beside)
      throw py::value_error("repeats has " + std::to_string(high) + " and " + std::to_string(broad) +
                            "; expected divisors of an image's sides");
    const std::int64_t own = arrays.empty() ? -1 : height / high, own_width = arrays.empty() ? -1 : width / broad;
    check_shape("parts", image, {{"batch", batch}, {"channels", -1}, {"height", own}, {"width", own_width}});
    if (image.size() == 0)
      throw py::value_error("parts has shape " + shape_text(image) + "; expected at least one dot");
    if (!lies_on_numbers<T>(image)) image = image.attr("copy")();
    // What there is one of may have any stride.
    const auto stride = [&](int axis, Index usual) {
      return image.shape(axis) == 1 ? usual : Index(image.strides(axis)) / Index(sizeof(T));
    };
    const Index wide = image.shape(1), channel = stride(1, 1), dot = stride(2, wide);
    const Index row = stride(0, image.shape(2) * dot), step = stride(3, image.shape(0) * row);
    parts.push_back({static_cast<const T*>(image.data()), wide, step, row, dot, channel, high, broad});
    batch = image.shape(0);
    height = image.shape(2) * high;
    width = image.shape(3) * broad;
    channels += wide;
    arrays.push_back(std::move(image));
  }
  if (channels != input_channels(spec))
    throw py::value_error("parts has " + std::to_string(channels) + " channels; expected " +
                          std::to_string(input_channels(spec)));
  OperationForwardCall<T> call;
  call.seq_len = width;
  call.batch = batch;
  call.channels = channels;
  call.input_size = height * channels;
  const std::int64_t outputs = spec.output_size(call.input_size, channels), out = spec.output_channels(channels);
  if (outputs < 1 || call.seq_len < least_len(spec))
    throw py::value_error("parts has shape " + shape_text(arrays[0]) + "; expected images that a window fits in");
  const std::int64_t steps = spec.output_len(call.seq_len), tall = outputs / out + 2 * down, column = tall * out;
  const Array<T> y = empty_array<T>({steps + 2 * across, call.batch, tall, out});
  T* const numbers = const_cast<T*>(y.data());
  const Index sides = across * call.batch * column, ends = down * out;
  call.x = {parts[0].data, call.batch * call.input_size, call.input_size};
  call.y = {numbers + sides + ends, call.batch * column, column};
  without_gil([&] {
    clear_around(numbers, steps * call.batch, column, sides, ends);
    forward_of_parts(*o.layer, call, parts, swish);
  });
  return as_image(y);
}

py::object largest_of_windows(const py::object& x, const py::tuple& taps, const py::tuple& strides,
                              const py::tuple& before, const py::tuple& outputs) {
  const auto side = [&](std::size_t i) {
    const auto number = [&](const char* name, const py::tuple& given, Index least) {
      const Index n = given.size() == 2 ? given[i].cast<Index>() : -1;
      if (n < least || n > max_window)
        throw py::value_error(std::string(name) + " are not two numbers from " + std::to_string(least) + " to " +
                              std::to_string(max_window));
      return n;
    };
    const LargestSide w{number("taps", taps, 1), number("strides", strides, 1), number("before", before, 0),
                        number("outputs", outputs, 1)};
    if (w.outputs - 1 > (Index(1) << 60) / w.stride)
      throw py::value_error("outputs are " + std::to_string(w.outputs) + "; expected windows that can be counted");
    return w;
  };
  const LargestSide down = side(0), across = side(1);
  return with_dtype_of(x, [&](auto zero) {
    using T = decltype(zero);
    const Array<T> image = image_argument<T>("x", x, 0);
    if (image.ndim() != 4) throw py::value_error("x has " + std::to_string(image.ndim()) + " axes; expected 4");
    const Index width = image.shape(0), batch = image.shape(1), height = image.shape(2), channels = image.shape(3);
    Array<T> y = empty_array<T>({across.outputs, batch, down.outputs, channels});
    const T* const from = image.data();
    T* const to = y.mutable_data();
    without_gil([&] { gru_native::largest_of_windows(down, across, from, width, batch, height, channels, to); });
    return as_image(y);
  });
}

py::object as_image(const py::array& memory) {
  if (memory.ndim() == 4) return memory.attr("transpose")(1, 3, 2, 0);
  return memory.attr("transpose")(2, 1, 0);
}

std::string image_shape_text(const Shape& memory) {
  const std::size_t last = memory.size() - 1;
  std::string text = last == 3 ? "(" + std::to_string(memory[1]) + ", " : "(";
  text += std::to_string(memory[last]) + ", " + std::to_string(memory[last - 1]) + ", ";
  return text + std::to_string(memory[0]) + ")";
}

bool lies_as_image(const py::object& value, bool ragged) {
  if (!py::isinstance<py::array>(value)) return false;
  const auto array = py::reinterpret_borrow<py::array>(value);
  return array.ndim() == 4 && (ragged || !(array.flags() & py::array::c_style));
}

template py::object of_parts(const PyOperation<float>&, const py::tuple&, bool,
                             const std::pair<std::int64_t, std::int64_t>&, const py::tuple&);
template py::object of_parts(const PyOperation<double>&, const py::tuple&, bool,
                             const std::pair<std::int64_t, std::int64_t>&, const py::tuple&);
template Array<float> image_argument(const char*, const py::object&, std::int64_t);
template Array<double> image_argument(const char*, const py::object&, std::int64_t);
template Array<float> image_argument(const char*, const py::object&, const Shape&);
template Array<double> image_argument(const char*, const py::object&, const Shape&);

}  // namespace gru_native::bindings
