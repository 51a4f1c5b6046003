#include "gru_native/dense.h"

#include <pybind11/stl.h>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "engine/model/fold.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyDenseTape {
  std::shared_ptr<const DenseTape<T>> tape;
  Layout layout;
  Shape shape;  // of x
};

template <class T>
struct Call {
  const DenseSpec& spec;
  Array<T> x;
  Layout layout;
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> y;
  DenseForwardCall<T> arguments;

  // x is (..., input_size); with lengths it is (seq, batch, input_size), or batch first.
  Call(const PyDense<T>& d, const py::object& x_, const py::object& lengths_, bool batch_first)
      : spec(d.layer->spec()), x(as_array<T>("x", x_)), layout{1, 1, false, false} {
    const bool ragged = !lengths_.is_none();
    const py::ssize_t rank = x.ndim();
    if (ragged || rank == 0) {
      layout = {-1, -1, true, batch_first};
      check_shape("x", x, layout.dims("input_size", spec.input_size));
      layout.seq_len = x.shape(batch_first ? 1 : 0);
      layout.batch = x.shape(batch_first ? 0 : 1);
    } else {
      Dims dims(static_cast<std::size_t>(rank), Dim{"any", -1});
      dims.back() = {"input_size", spec.input_size};
      check_shape("x", x, dims);
      layout.seq_len = x.size() / spec.input_size;
    }
    if (x.size() == 0) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one row");
    lengths = lengths_argument(lengths_, layout);
    Shape outputs = shape();
    outputs.back() = spec.output_size;
    y = empty_array<T>(outputs);
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.x = layout.view(x.data(), spec.input_size);
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.y = layout.view(y.mutable_data(), spec.output_size);
  }
  Shape shape() const { return Shape(x.shape(), x.shape() + x.ndim()); }
};

template <class T>
Array<T> call(const PyDense<T>& d, const py::object& x, const py::object& lengths, bool batch_first) {
  const Call<T> c(d, x, lengths, batch_first);
  without_gil([&] { d.layer->forward(c.arguments); });
  return c.y;
}

template <class T>
py::tuple forward(const PyDense<T>& d, const py::object& x, const py::object& lengths, bool batch_first) {
  const Call<T> c(d, x, lengths, batch_first);
  PyDenseTape<T> tape{nullptr, c.layout, c.shape()};
  without_gil([&] { tape.tape = d.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.y, tape);
}

template <class T>
py::tuple backward(const PyDense<T>& d, const PyDenseTape<T>& tape, const py::object& dy_argument, bool want_x) {
  d.layer->check(*tape.tape);
  const DenseSpec& spec = d.layer->spec();
  const Array<T> dy = as_array<T>("dy", dy_argument);
  Dims dims;
  for (const std::int64_t size : tape.shape) dims.push_back({"size", size});
  dims.back() = {"output_size", spec.output_size};
  check_shape("dy", dy, dims);
  DenseBackwardCall<T> b;
  b.dy = tape.layout.view(dy.data(), spec.output_size);
  py::object dx = py::none();
  if (want_x) {
    Array<T> array = empty_array<T>(tape.shape);
    b.dx = tape.layout.view(array.mutable_data(), spec.input_size);
    dx = std::move(array);
  }
  const py::dict weights = weight_gradients(d.layer->weights(), b.dweights);
  without_gil([&] { d.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, weights);
}

template <class T>
void register_dense_of(py::module_& m) {
  using D = PyDense<T>;
  py::class_<PyDenseTape<T>>(m, (std::string("DenseTape") + suffix<T>).c_str(), tape_doc);
  py::class_<D> c(m, (std::string("Dense") + suffix<T>).c_str(), "A dense layer; gru_native.Dense is its face.");
  c.def(py::init([](const py::kwargs& options) {
     return D{std::make_shared<Dense<T>>(spec_of<DenseSpec>(options, "Dense"))};
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("lengths") = py::none(), py::arg("batch_first") = false)
      .def("forward", &forward<T>, py::arg("x"), py::arg("lengths"), py::arg("batch_first"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"), py::arg("want_x") = true)
      .def(
          "folded",
          [](const D& d, const PyOperation<T>& norm) -> py::object {
            const auto made = folded(*d.layer, *norm.layer);
            return made ? py::cast(PyDense<T>{made}) : py::none();
          },
          py::arg("norm"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_dense(py::module_& m) {
  register_dense_of<float>(m);
  register_dense_of<double>(m);
}

}  // namespace gru_native::bindings
