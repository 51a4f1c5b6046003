// NumPy arrays in and out: every check of an array argument, in one place.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bindings/axes.h"
#include "gru_native/layer.h"
#include "runtime/free_memory.h"
#include "spec/limits.h"

namespace gru_native::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

std::string shape_text(const py::array& a);

// The argument `name` as an aligned C-contiguous array of T; no copy if it is one already. Lists, integers, bools and
// float16 are converted; the other floating type, objects, complex numbers and strings are a TypeError.
template <class T>
Array<T> as_array(const char* name, py::handle value);

// f(T()) for the dtype T of what has no layer to say it: float64 arrays are float64, all else is float32 or becomes it.
template <class F>
auto with_dtype_of(const py::object& value, const F& f) {
  if (py::isinstance<py::array_t<double>>(value)) return f(double());
  return f(float());
}

// The argument `name` as a C-contiguous array of 64-bit integers; anything that has no whole numbers is a TypeError,
// and one beyond 64 bits a ValueError. Always a copy: these numbers say where memory is read and written, so nobody
// else may change them between their check and their use.
Array<std::int64_t> integers_argument(const char* name, const py::object& value);

// Throws ValueError "NAME has shape (..); expected (..)" unless the shape fits.
void check_shape(const char* name, const py::array& a, const Dims& dims);

// A fresh array that nobody has initialised.
template <class T>
Array<T> empty_array(const Shape& shape) {
  double bytes = sizeof(T);
  for (const std::int64_t n : shape) bytes *= static_cast<double>(n);
  if (bytes >= large_request && bytes <= most_elements) check_memory(static_cast<std::size_t>(bytes));
  auto& numpy = py::detail::npy_api::get();  // py::array would make vectors of the shape and of strides
  py::object made = py::reinterpret_steal<py::object>(
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, py::dtype::of<T>().release().ptr(),
                                  static_cast<int>(shape.size()), shape.begin(), nullptr, nullptr, 0, nullptr));
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<Array<T>>(made.release());
}

// The same numbers in an array of its own.
template <class T>
Array<T> copy_of(const Array<T>& a) {
  Array<T> copy = empty_array<T>(Shape(a.shape(), a.shape() + a.ndim()));
  std::memcpy(static_cast<void*>(copy.mutable_data()), a.data(), static_cast<std::size_t>(a.nbytes()));
  return copy;
}

template <class T>
bool is_aligned(const Array<T>& a) {
  return reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) == 0;
}

// Whether two arrays, contiguous both, share memory.
template <class T>
bool overlap(const Array<T>& a, const Array<T>& b) {
  const auto begin = [](const Array<T>& of) { return reinterpret_cast<std::uintptr_t>(of.data()); };
  const auto end = [&](const Array<T>& of) { return begin(of) + static_cast<std::uintptr_t>(of.nbytes()); };
  return begin(a) < end(b) && begin(b) < end(a);
}

// How the sequences of one call lie in the user's arrays.
struct Layout {
  std::int64_t seq_len, batch;
  bool batched, batch_first;

  Shape shape(std::int64_t columns) const;
  Dims dims(const char* columns_name, std::int64_t columns) const;
  template <class T>
  Sequences<T> view(T* data, std::int64_t columns) const {
    if (!batched) return {data, columns, 0};
    return batch_first ? Sequences<T>{data, columns, seq_len * columns} : Sequences<T>{data, batch * columns, columns};
  }
  // Of a state: (layers * directions, batch, size), without batch when unbatched.
  Shape state_shape(const LayerSpec& spec, std::int64_t size) const;
};

// x of rank 2 (unbatched) or 3, with at least one step and one row.
Layout layout_of(const char* name, const py::array& x, const LayerSpec& spec, bool batch_first);

// State arguments: an array h, or a tuple (h, c) for the LSTM. Keeps the converted arrays alive.
template <class T>
struct StateArrays {
  std::optional<Array<T>> h, c;
  States<const T> view() const { return {h ? h->data() : nullptr, c ? c->data() : nullptr}; }
};
template <class T>
StateArrays<T> state_argument(const char* name, const py::object& value, const LayerSpec& spec, const Layout& layout);

// Fresh states in the same form, to be filled.
template <class T>
struct NewState {
  NewState(const LayerSpec& spec, const Layout& layout);
  Array<T> h;
  std::optional<Array<T>> c;
  States<T> view() { return {h.mutable_data(), c ? c->mutable_data() : nullptr}; }
  py::object object() const;
};

// (batch,) integers from 0 to seq_len, or None.
std::optional<std::vector<std::int64_t>> lengths_argument(const py::object& value, const Layout& layout);

// Lengths of the sequences of a batch: (batch,), or one number where there is no batch; None: all.
std::vector<std::int64_t> lengths_of(const char* name, const py::object& value, bool batched, std::int64_t batch,
                                     std::int64_t all);

// bool, one for each step as x has them: (seq_len, batch), with batch_first (batch, seq_len), unbatched (seq_len,); or
// None. A copy, as integers_argument's.
std::optional<std::vector<std::uint8_t>> mask_argument(const py::object& value, const Layout& layout);

}  // namespace gru_native::bindings
