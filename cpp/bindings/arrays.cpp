#include "bindings/arrays.h"

#include "bindings/reading.h"

namespace gru_native::bindings {
namespace {

std::string tuple_text(const std::vector<std::string>& items) {
  std::string text = "(";
  for (std::size_t i = 0; i < items.size(); ++i) text += (i ? ", " : "") + items[i];
  return text + (items.size() == 1 ? ",)" : ")");
}

std::string dtype_name(const py::array& a) { return py::str(a.dtype()); }

bool has_dtype(py::handle value) {
  const auto dtype = py::reinterpret_steal<py::object>(PyObject_GetAttrString(value.ptr(), "dtype"));
  if (dtype) return true;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
  PyErr_Clear();
  return false;
}

template <class T>
constexpr const char* own_name = sizeof(T) == 4 ? "float32" : "float64";

template <class T>
Array<T> aligned(const Array<T>& a) {
  return is_aligned(a) ? a : copy_of(a);
}

}  // namespace

std::string shape_text(const py::array& a) {
  std::vector<std::string> items;
  for (py::ssize_t i = 0; i < a.ndim(); ++i) items.push_back(std::to_string(a.shape(i)));
  return tuple_text(items);
}

template <class T>
Array<T> as_array(const char* name, py::handle value) {
  if (Array<T>::check_(value)) return aligned(py::reinterpret_borrow<Array<T>>(value));
  py::array a = numpy_array(name, value, std::string(own_name<T>) + " numbers");
  // A list of Python floats is float64 by NumPy's habit, not by the user's choice.
  if (a.dtype().kind() == 'f' && !py::isinstance<py::array>(value) && !has_dtype(value))
    a = py::array(a.attr("astype")(own_name<T>));
  const char kind = a.dtype().kind();
  const bool convertible = kind == 'i' || kind == 'u' || kind == 'b' || (kind == 'f' && a.itemsize() == 2);
  const bool same = kind == 'f' && a.itemsize() == sizeof(T);
  if (!convertible && !same) {
    std::string text = std::string(name) + " has dtype " + dtype_name(a) + "; expected " + own_name<T>;
    if (kind == 'f')
      text += std::string(": write ") + name + ".astype(np." + own_name<T> + "), or make the layer with dtype=np." +
              dtype_name(a);
    throw py::type_error(text);
  }
  return aligned(Array<T>(py::array(a.attr("astype")(own_name<T>, py::arg("order") = "C", py::arg("copy") = false))));
}
template Array<float> as_array(const char*, py::handle);
template Array<double> as_array(const char*, py::handle);

void check_shape(const char* name, const py::array& a, const Dims& dims) {
  bool fits = a.ndim() == static_cast<py::ssize_t>(dims.size());
  for (std::size_t i = 0; fits && i < dims.size(); ++i)
    fits = dims[i].size < 0 || a.shape(static_cast<py::ssize_t>(i)) == dims[i].size;
  if (fits) return;
  std::vector<std::string> expected;
  for (const Dim& d : dims)
    expected.push_back(d.size < 0 ? std::string(d.name) : std::string(d.name) + "=" + std::to_string(d.size));
  throw py::value_error(std::string(name) + " has shape " + shape_text(a) + "; expected " + tuple_text(expected));
}

Array<std::int64_t> integers_argument(const char* name, const py::object& value) {
  if (Array<std::int64_t>::check_(value)) return copy_of(py::reinterpret_borrow<Array<std::int64_t>>(value));
  const py::array a = numpy_array(name, value, "whole numbers");
  if (a.dtype().kind() != 'i' && a.dtype().kind() != 'u')
    throw py::type_error(std::string(name) + " is of dtype " + dtype_name(a) + "; expected whole numbers");
  // A cast would make the largest unsigned numbers negative, which may have a meaning.
  const Array<std::int64_t> wide = copy_of(
      Array<std::int64_t>(py::array(a.attr("astype")("int64", py::arg("order") = "C", py::arg("copy") = false))));
  if (a.dtype().kind() == 'u' && a.itemsize() == sizeof(std::int64_t))
    for (py::ssize_t i = 0; i < wide.size(); ++i)
      if (wide.data()[i] < 0)
        throw py::value_error(std::string(name) + " holds " +
                              std::to_string(static_cast<std::uint64_t>(wide.data()[i])) +
                              ", which is beyond 64-bit integers; expected small whole numbers");
  return wide;
}

Shape Layout::shape(std::int64_t columns) const {
  if (!batched) return {seq_len, columns};
  return batch_first ? Shape{batch, seq_len, columns} : Shape{seq_len, batch, columns};
}

Dims Layout::dims(const char* columns_name, std::int64_t columns) const {
  if (!batched) return {{"seq_len", seq_len}, {columns_name, columns}};
  if (batch_first) return {{"batch", batch}, {"seq_len", seq_len}, {columns_name, columns}};
  return {{"seq_len", seq_len}, {"batch", batch}, {columns_name, columns}};
}

Shape Layout::state_shape(const LayerSpec& spec, std::int64_t size) const {
  const std::int64_t layers = spec.num_layers * spec.directions();
  return batched ? Shape{layers, batch, size} : Shape{layers, size};
}

Layout layout_of(const char* name, const py::array& x, const LayerSpec& spec, bool batch_first) {
  Layout any{-1, -1, x.ndim() != 2, batch_first};
  check_shape(name, x, any.dims("input_size", spec.input_size));
  const bool first = any.batched && batch_first;
  any.seq_len = x.shape(first ? 1 : 0);
  any.batch = any.batched ? x.shape(first ? 0 : 1) : 1;
  if (any.seq_len < 1 || any.batch < 1)
    throw py::value_error(std::string(name) + " has shape " + shape_text(x) +
                          "; expected at least one step and one sequence");
  return any;
}

template <class T>
StateArrays<T> state_argument(const char* name, const py::object& value, const LayerSpec& spec, const Layout& layout) {
  StateArrays<T> s;
  if (value.is_none()) return s;
  const auto take = [&](const std::string& part, py::handle from, const char* size_name, std::int64_t size) {
    Array<T> a = as_array<T>(part.c_str(), from);
    Dims dims{{"num_layers * directions", spec.num_layers * spec.directions()}};
    if (layout.batched) dims.push_back({"batch", layout.batch});
    dims.push_back({size_name, size});
    check_shape(part.c_str(), a, dims);
    return a;
  };
  const char* const out = spec.recurrent_gates() ? spec.proj_size ? "proj_size + 3 hidden_size" : "4 hidden_size"
                          : spec.proj_size       ? "proj_size"
                                                 : "hidden_size";
  const bool pair = py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value);
  if (spec.has_c()) {
    if (!pair || py::len(value) != 2)
      throw py::type_error(std::string(name) + " is " + a_type(value) +
                           (pair ? " of " + std::to_string(py::len(value)) : "") + "; expected the LSTM's pair (h, c)");
    const auto items = py::reinterpret_borrow<py::sequence>(value);
    s.h = take(std::string(name) + "[0] (h)", py::object(items[0]), out, spec.state_size());
    s.c = take(std::string(name) + "[1] (c)", py::object(items[1]), "hidden_size", spec.hidden_size);
  } else {
    if (py::isinstance<py::tuple>(value))
      throw py::type_error(std::string(name) + " is a tuple; expected one array h: this layer has no cell state c");
    s.h = take(name, value, out, spec.state_size());
  }
  return s;
}
template StateArrays<float> state_argument(const char*, const py::object&, const LayerSpec&, const Layout&);
template StateArrays<double> state_argument(const char*, const py::object&, const LayerSpec&, const Layout&);

template <class T>
NewState<T>::NewState(const LayerSpec& spec, const Layout& layout)
    : h(empty_array<T>(layout.state_shape(spec, spec.state_size()))) {
  if (spec.has_c()) c = empty_array<T>(layout.state_shape(spec, spec.hidden_size));
}
template <class T>
py::object NewState<T>::object() const {
  if (c) return py::make_tuple(h, *c);
  return h;
}
template struct NewState<float>;
template struct NewState<double>;

std::optional<std::vector<std::int64_t>> lengths_argument(const py::object& value, const Layout& layout) {
  if (value.is_none()) return std::nullopt;
  const Array<std::int64_t> wide = integers_argument("lengths", value);
  if (!layout.batched) throw py::value_error("lengths was given with an unbatched x; expected x of rank 3");
  check_shape("lengths", wide, {{"batch", layout.batch}});
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(layout.batch));
  for (py::ssize_t i = 0; i < wide.size(); ++i) {
    const std::int64_t n = lengths[static_cast<std::size_t>(i)] = wide.at(i);
    if (n < 0 || n > layout.seq_len)
      throw py::value_error("lengths[" + std::to_string(i) + "] is " + std::to_string(n) +
                            "; expected 0 to seq_len=" + std::to_string(layout.seq_len));
  }
  return lengths;
}

std::vector<std::int64_t> lengths_of(const char* name, const py::object& value, bool batched, std::int64_t batch,
                                     std::int64_t all) {
  if (value.is_none()) return std::vector<std::int64_t>(static_cast<std::size_t>(batch), all);
  const Array<std::int64_t> a = integers_argument(name, value);
  if (batched || a.ndim() > 0) check_shape(name, a, {{"batch", batch}});
  return {a.data(), a.data() + a.size()};
}

std::optional<std::vector<std::uint8_t>> mask_argument(const py::object& value, const Layout& layout) {
  if (value.is_none()) return std::nullopt;
  const std::string expected = "bool, False where a step is masked";
  const py::array a = numpy_array("mask", value, expected);
  if (a.dtype().kind() != 'b') throw py::type_error("mask is of dtype " + dtype_name(a) + "; expected " + expected);
  Dims dims = layout.dims("", 1);
  dims.pop_back();
  check_shape("mask", a, dims);
  const Array<bool> flags(a);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(flags.size()));
  std::memcpy(mask.data(), flags.data(), mask.size());
  return mask;
}

}  // namespace gru_native::bindings
