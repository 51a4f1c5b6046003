#include "gru_native/output_rnn.h"

#include <vector>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyOutputRnn {
  std::shared_ptr<OutputRnn<T>> layer;
  bool batch_first;
};
template <class T>
struct PyOutputRnnTape {
  std::shared_ptr<const OutputRnnTape<T>> tape;
  Layout layout;
};

// What is fed back, as the states of other layers: (1, batch, output_size), without batch when unbatched.
Dims state_dims(const OutputRnnSpec& spec, const Layout& layout) {
  if (layout.batched) return {{"layers", 1}, {"batch", layout.batch}, {"output_size", spec.output_size}};
  return {{"layers", 1}, {"output_size", spec.output_size}};
}
Shape state_shape(const OutputRnnSpec& spec, const Layout& layout) {
  if (layout.batched) return {1, layout.batch, spec.output_size};
  return {1, spec.output_size};
}
template <class T>
std::optional<Array<T>> optional_array(const char* name, const py::object& value, const Dims& dims) {
  if (value.is_none()) return std::nullopt;
  Array<T> a = as_array<T>(name, value);
  check_shape(name, a, dims);
  return a;
}

// The arrays of one call.
template <class T>
struct Call {
  const OutputRnnSpec& spec;
  Array<T> x;
  Layout layout;
  std::optional<Array<T>> state, targets;
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> y, final;
  OutputRnnForwardCall<T> arguments;

  Call(const PyOutputRnn<T>& l, const py::object& x_, const py::object& state_, const py::object& targets_,
       const py::object& lengths_)
      : spec(l.layer->spec()),
        x(as_array<T>("x", x_)),
        layout(layout_of("x", x, inputs_of(spec), l.batch_first)),
        state(optional_array<T>("state", state_, state_dims(spec, layout))),
        targets(optional_array<T>("targets", targets_, layout.dims("output_size", spec.output_size))),
        lengths(lengths_argument(lengths_, layout)),
        y(empty_array<T>(layout.shape(spec.output_size))),
        final(empty_array<T>(state_shape(spec, layout))) {
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.x = layout.view(x.data(), spec.input_size);
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.initial = state ? state->data() : nullptr;
    if (targets) arguments.targets = layout.view(targets->data(), spec.output_size);
    arguments.y = layout.view(y.mutable_data(), spec.output_size);
    arguments.final = final.mutable_data();
  }
  static LayerSpec inputs_of(const OutputRnnSpec& spec) {
    LayerSpec s;
    s.input_size = spec.input_size;
    return s;
  }
};

template <class T>
py::tuple call(const PyOutputRnn<T>& l, const py::object& x, const py::object& state, const py::object& targets,
               const py::object& lengths) {
  Call<T> c(l, x, state, targets, lengths);
  without_gil([&] { l.layer->forward(c.arguments); });
  return py::make_tuple(c.y, c.final);
}

template <class T>
py::tuple forward(const PyOutputRnn<T>& l, const py::object& x, const py::object& state, const py::object& targets,
                  const py::object& lengths) {
  Call<T> c(l, x, state, targets, lengths);
  PyOutputRnnTape<T> tape{nullptr, c.layout};
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.y, c.final, tape);
}

// dx, dstate, dtargets (None without targets), gradients of the weights.
template <class T>
py::tuple backward(const PyOutputRnn<T>& l, const PyOutputRnnTape<T>& tape, const py::object& dy,
                   const py::object& dstate) {
  const OutputRnnSpec& spec = l.layer->spec();
  const Layout& layout = tape.layout;
  if (dy.is_none() && dstate.is_none())
    throw py::value_error("dy and dstate are both None; expected at least one gradient");
  l.layer->check(*tape.tape);
  const auto dy_array = optional_array<T>("dy", dy, layout.dims("output_size", spec.output_size));
  const auto dfinal = optional_array<T>("dstate", dstate, state_dims(spec, layout));
  OutputRnnBackwardCall<T> b;
  if (dy_array) b.dy = layout.view(dy_array->data(), spec.output_size);
  if (dfinal) b.dfinal = dfinal->data();
  Array<T> dx = empty_array<T>(layout.shape(spec.input_size));
  b.dx = layout.view(dx.mutable_data(), spec.input_size);
  Array<T> dinitial = empty_array<T>(state_shape(spec, layout));
  b.dinitial = dinitial.mutable_data();
  py::object dtargets = py::none();
  if (tape.tape->forced()) {
    Array<T> d = empty_array<T>(layout.shape(spec.output_size));
    b.dtargets = layout.view(d.mutable_data(), spec.output_size);
    dtargets = std::move(d);
  }
  const py::dict weights = weight_gradients(l.layer->weights(), b.dweights);
  without_gil([&] { l.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, dinitial, dtargets, weights);
}

template <class T>
void register_one(py::module_& m) {
  using L = PyOutputRnn<T>;
  py::class_<PyOutputRnnTape<T>>(m, (std::string("OutputRnnTape") + suffix<T>).c_str(), tape_doc);
  py::class_<L> c(m, (std::string("OutputRnn") + suffix<T>).c_str(),
                  "Output recurrence; gru_native.OutputRNN is its face.");
  c.def(py::init([](const py::kwargs& options) {
     bool batch_first = false;
     const OutputRnnSpec spec = spec_of<OutputRnnSpec>(options, "OutputRNN", &batch_first);
     return L{std::make_shared<OutputRnn<T>>(spec), batch_first};
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("state"), py::arg("targets"), py::arg("lengths"))
      .def("forward", &forward<T>, py::arg("x"), py::arg("state"), py::arg("targets"), py::arg("lengths"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"), py::arg("dstate"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_output_rnn(py::module_& m) {
  register_one<float>(m);
  register_one<double>(m);
  m.def(
      "check_output_rnn",
      [](const py::kwargs& options) {
        bool batch_first = false;
        spec_of<OutputRnnSpec>(options, "OutputRNN", &batch_first).validate();
      },
      "Raises what OutputRnn32 would, and makes no weights.");
}

}  // namespace gru_native::bindings
