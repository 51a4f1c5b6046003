#include "bindings/images.h"

namespace gru_native::bindings {
namespace {

// Whole arrays of T as they are, whatever their strides; all else as any argument.
template <class T>
py::array numbers_argument(const char* name, const py::object& value) {
  if (py::isinstance<py::array_t<T>>(value)) return py::reinterpret_borrow<py::array>(value);
  return as_array<T>(name, value);
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

template Array<float> image_argument(const char*, const py::object&, std::int64_t);
template Array<double> image_argument(const char*, const py::object&, std::int64_t);
template Array<float> image_argument(const char*, const py::object&, const Shape&);
template Array<double> image_argument(const char*, const py::object&, const Shape&);

}  // namespace gru_native::bindings
