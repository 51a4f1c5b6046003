#include "gru_native/losses.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/module.h"

namespace gru_native::bindings {
namespace {

// f(T()) for the dtype T of what has no layer to say it: float64 arrays are float64, all else is float32 or becomes it.
template <class F>
auto with_dtype_of(const py::object& value, const F& f) {
  if (py::isinstance<py::array_t<double>>(value)) return f(double());
  return f(float());
}

template <class T>
py::tuple cross_entropy_of(const py::object& logits, const py::object& targets, std::optional<std::int64_t> ignore,
                           double label_smoothing) {
  const Array<T> a = as_array<T>("logits", logits);
  if (a.ndim() == 0) throw py::value_error("logits has shape (); expected (..., classes)");
  const Array<std::int64_t> t = integers_argument("targets", targets);
  std::vector<Dim> dims;
  for (py::ssize_t i = 0; i + 1 < a.ndim(); ++i) dims.push_back({"rows", a.shape(i)});
  check_shape("targets", t, dims);
  if (a.size() == 0) throw py::value_error("logits has shape " + shape_text(a) + "; expected at least one row");
  Array<T> da = empty_array<T>(Shape(a.shape(), a.shape() + a.ndim()));
  const CrossEntropyCall<T> call{t.size(), a.shape(a.ndim() - 1), a.data(),         t.data(),
                                 ignore,   label_smoothing,       da.mutable_data()};
  double loss = 0;
  {
    const py::gil_scoped_release release;
    loss = cross_entropy(call);
  }
  return py::make_tuple(loss, da);
}

}  // namespace

void register_losses(py::module_& m) {
  m.def(
      "cross_entropy",
      [](const py::object& logits, const py::object& targets, std::optional<std::int64_t> ignore,
         double label_smoothing) {
        return with_dtype_of(logits, [&](auto type) {
          return cross_entropy_of<decltype(type)>(logits, targets, ignore, label_smoothing);
        });
      },
      py::arg("logits"), py::arg("targets"), py::arg("ignore"), py::arg("label_smoothing"));
}

}  // namespace gru_native::bindings
