#include "gru_native/dense.h"

#include <pybind11/stl.h>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/weights.h"
#include "engine/model/dense.h"
#include "spec/names.h"

namespace gru_native::bindings {
namespace {

// What backward needs of one forward call: copies, so that it stays right whatever becomes of arrays and weights.
template <class T>
struct PyDenseTape {
  std::shared_ptr<TapeOf<PackedDense<T>>> base;
  Array<T> x, y;
  Layout layout;
  std::optional<std::vector<std::int64_t>> lengths;
};

template <class T>
struct Call {
  const DenseSpec& spec;
  Array<T> x;
  Layout layout;
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> y;

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
      std::vector<Dim> dims(static_cast<std::size_t>(rank), Dim{"any", -1});
      dims.back() = {"input_size", spec.input_size};
      check_shape("x", x, dims);
      layout.seq_len = x.size() / spec.input_size;
    }
    if (x.size() == 0) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one row");
    lengths = lengths_argument(lengths_, layout);
    Shape shape(x.shape(), x.shape() + rank);
    shape.back() = spec.output_size;
    y = empty_array<T>(shape);
  }
};

template <class T>
DenseCall<T> arguments(const Layout& layout, const DenseSpec& spec, const Array<T>& x,
                       const std::optional<std::vector<std::int64_t>>& lengths, T* y) {
  DenseCall<T> call;
  call.seq_len = layout.seq_len;
  call.batch = layout.batch;
  call.x = layout.view(x.data(), spec.input_size);
  call.lengths = lengths ? lengths->data() : nullptr;
  call.y = layout.view(y, spec.output_size);
  return call;
}

template <class T>
Array<T> call(const PyDense<T>& d, const py::object& x, const py::object& lengths, bool batch_first) {
  Call<T> c(d, x, lengths, batch_first);
  const DenseCall<T> a = arguments(c.layout, c.spec, c.x, c.lengths, c.y.mutable_data());
  const py::gil_scoped_release release;
  d.layer->forward(a);
  return c.y;
}

template <class T>
py::tuple forward(const PyDense<T>& d, const py::object& x, const py::object& lengths, bool batch_first) {
  Call<T> c(d, x, lengths, batch_first);
  PyDenseTape<T> tape{std::make_shared<TapeOf<PackedDense<T>>>(impl_of(*d.layer).store.begin_tape()),
                      c.x.attr("copy")(), Array<T>(), c.layout, c.lengths};
  const DenseCall<T> a = arguments(c.layout, c.spec, c.x, c.lengths, c.y.mutable_data());
  {
    const py::gil_scoped_release release;
    d.layer->forward(a);
  }
  tape.y = c.y.attr("copy")();
  return py::make_tuple(c.y, tape);
}

template <class T>
py::tuple backward(const PyDense<T>& d, const PyDenseTape<T>& tape, const py::object& dy_argument) {
  impl_of(*d.layer).store.check(*tape.base);
  const DenseSpec& spec = d.layer->spec();
  const Array<T> dy = as_array<T>("dy", dy_argument);
  std::vector<Dim> dims;
  for (py::ssize_t i = 0; i < tape.y.ndim(); ++i) dims.push_back({"size", tape.y.shape(i)});
  dims.back().name = "output_size";
  check_shape("dy", dy, dims);
  Array<T> dx = empty_array<T>(Shape(tape.x.shape(), tape.x.shape() + tape.x.ndim()));
  Array<T> dweight = empty_array<T>({spec.output_size, spec.input_size}), dbias = empty_array<T>({spec.output_size});
  const DenseCall<T> a = arguments(tape.layout, spec, tape.x, tape.lengths, const_cast<T*>(tape.y.data()));
  const DenseGradients<T> g{tape.layout.view(dy.data(), spec.output_size),
                            tape.layout.view(dx.mutable_data(), spec.input_size), dweight.mutable_data(),
                            spec.bias ? dbias.mutable_data() : nullptr};
  {
    const py::gil_scoped_release release;
    const auto arena = impl_of(*d.layer).store.lease();
    dense_backward(*tape.base->packed, a, g, *arena);
  }
  py::dict weights;
  weights["weight"] = dweight;
  if (spec.bias) weights["bias"] = dbias;
  return py::make_tuple(dx, weights);
}

template <class T>
void register_dense_of(py::module_& m) {
  using D = PyDense<T>;
  py::class_<PyDenseTape<T>>(m, (std::string("DenseTape") + suffix<T>).c_str(), "What backward needs of one call.");
  py::class_<D> c(m, (std::string("Dense") + suffix<T>).c_str(), "A dense layer; gru_native.Dense is its face.");
  c.def(py::init([](std::int64_t input_size, std::int64_t output_size, bool bias, const std::string& activation) {
          const DenseSpec spec{input_size, output_size, bias,
                               named<DenseActivation>("activation", activation, dense_activation_names)};
          return D{std::make_shared<Dense<T>>(spec)};
        }),
        py::kw_only(), py::arg("input_size"), py::arg("output_size"), py::arg("bias"), py::arg("activation"))
      .def("__call__", &call<T>, py::arg("x"), py::arg("lengths") = py::none(), py::arg("batch_first") = false)
      .def("forward", &forward<T>, py::arg("x"), py::arg("lengths"), py::arg("batch_first"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"));
  def_weights(c);
}

}  // namespace

void register_dense(py::module_& m) {
  register_dense_of<float>(m);
  register_dense_of<double>(m);
}

}  // namespace gru_native::bindings
