#include "gru_native/grconv.h"

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyGrConv {
  std::shared_ptr<GatedRecursiveConv<T>> layer;
};
template <class T>
struct PyGrConvTape {
  std::shared_ptr<const GrConvTape<T>> tape;
};

template <class T>
struct Call {
  Array<T> x;
  Layout layout;
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> y;
  py::list gates;
  GrConvForwardCall<T> arguments;

  Call(const GrConvSpec& spec, const py::object& x_, const py::object& lengths_, bool with_gates)
      : x(as_array<T>("x", x_)) {
    check_shape("x", x, {{"seq_len", -1}, {"batch", -1}, {"input_size", spec.input_size}});
    layout = {x.shape(0), x.shape(1), true, false};
    if (layout.seq_len < 1 || layout.batch < 1)
      throw py::value_error("x has shape " + shape_text(x) + "; expected at least one step and one sequence");
    lengths = lengths_argument(lengths_, layout);
    y = empty_array<T>({layout.batch, spec.hidden_size});
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.x = layout.view(x.data(), spec.input_size);
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.y = y.mutable_data();
    for (std::int64_t level = 1; with_gates && level < layout.seq_len; ++level) {
      Array<T> of_level = empty_array<T>({layout.seq_len - level, layout.batch, 3});
      arguments.gates.push_back(of_level.mutable_data());
      gates.append(of_level);
    }
  }
};

template <class T>
py::object call(const PyGrConv<T>& l, const py::object& x, const py::object& lengths, bool return_gates) {
  const Call<T> c(l.layer->spec(), x, lengths, return_gates);
  without_gil([&] { l.layer->forward(c.arguments); });
  if (return_gates) return py::make_tuple(c.y, c.gates);
  return c.y;
}

template <class T>
py::tuple forward(const PyGrConv<T>& l, const py::object& x, const py::object& lengths) {
  const Call<T> c(l.layer->spec(), x, lengths, false);
  PyGrConvTape<T> tape;
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.y, tape);
}

template <class T>
py::tuple backward(const PyGrConv<T>& l, const PyGrConvTape<T>& tape, const py::object& dy_) {
  l.layer->check(*tape.tape);
  const GrConvSpec& spec = l.layer->spec();
  const Layout layout{tape.tape->seq_len(), tape.tape->batch(), true, false};
  const Array<T> dy = as_array<T>("dy", dy_);
  check_shape("dy", dy, {{"batch", layout.batch}, {"hidden_size", spec.hidden_size}});
  Array<T> dx = empty_array<T>(layout.shape(spec.input_size));
  GrConvBackwardCall<T> b;
  b.dy = dy.data();
  b.dx = layout.view(dx.mutable_data(), spec.input_size);
  const py::dict weights = weight_gradients(l.layer->weights(), b.dweights);
  without_gil([&] { l.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, weights);
}

template <class T>
void register_grconv(py::module_& m) {
  using L = PyGrConv<T>;
  py::class_<PyGrConvTape<T>>(m, (std::string("GrConvTape") + suffix<T>).c_str(), tape_doc);
  py::class_<L> c(m, (std::string("GrConv") + suffix<T>).c_str(),
                  "A gated recursive convolution; gru_native.GatedRecursiveConv is its face.");
  c.def(py::init([](const py::kwargs& options) {
     return L{std::make_shared<GatedRecursiveConv<T>>(spec_of<GrConvSpec>(options, "GatedRecursiveConv"))};
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("lengths"), py::arg("return_gates"))
      .def("forward", &forward<T>, py::arg("x"), py::arg("lengths"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"));
  def_weights(c);
}

}  // namespace

void register_grconvs(py::module_& m) {
  register_grconv<float>(m);
  register_grconv<double>(m);
  m.def(
      "check_grconv", [](const py::kwargs& options) { spec_of<GrConvSpec>(options, "GatedRecursiveConv").validate(); },
      "Raises what GrConv32 would, and makes no weights.");
}

}  // namespace gru_native::bindings
