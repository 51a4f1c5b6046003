#include "bindings/layer.h"

#include <pybind11/stl.h>

#include <utility>

#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/reading.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "spec/names.h"

namespace gru_native::bindings {
namespace {

MaskedOutput masked_output_argument(const py::object& value) {
  return named<MaskedOutput>("masked_output", text("masked_output", value, "a string"), masked_output_names);
}

template <class T>
struct Call {
  const LayerSpec& spec;
  Array<T> x;
  Layout layout;
  StateArrays<T> state;
  std::optional<std::vector<std::int64_t>> lengths;
  std::optional<std::vector<std::uint8_t>> mask;
  Array<T> y;
  NewState<T> final;
  ForwardCall<T> arguments;

  Call(const PyLayer<T>& l, const py::object& x_, const py::object& state_, const py::object& lengths_,
       const py::object& mask_, const py::object& masked_output, bool training, std::uint64_t seed)
      : spec(l.layer->spec()),
        x(as_array<T>("x", x_)),
        layout(layout_of("x", x, spec, l.batch_first)),
        state(state_argument<T>("state", state_, spec, layout)),
        lengths(lengths_argument(lengths_, layout)),
        mask(mask_argument(mask_, layout)),
        y(empty_array<T>(layout.shape(spec.directions() * spec.output_size()))),
        final(spec, layout) {
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.x = layout.view(x.data(), spec.input_size);
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.initial = state.view();
    arguments.y = layout.view(y.mutable_data(), spec.directions() * spec.output_size());
    arguments.final = final.view();
    if (mask) arguments.mask = layout.view(std::as_const(*mask).data(), 1);
    arguments.masked_output = masked_output_argument(masked_output);
    arguments.training = training;
    arguments.seed = seed;
  }
};

template <class T>
py::tuple call(const PyLayer<T>& l, const py::object& x, const py::object& state, const py::object& lengths,
               const py::object& mask, const py::object& masked_output, bool training, std::uint64_t seed) {
  Call<T> c(l, x, state, lengths, mask, masked_output, training, seed);
  without_gil([&] { l.layer->forward(c.arguments); });
  return py::make_tuple(c.y, c.final.object());
}

template <class T>
py::tuple forward(const PyLayer<T>& l, const py::object& x, const py::object& state, const py::object& lengths,
                  const py::object& mask, const py::object& masked_output, bool training, std::uint64_t seed) {
  Call<T> c(l, x, state, lengths, mask, masked_output, training, seed);
  PyTape<T> tape{nullptr, c.layout};
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.y, c.final.object(), tape);
}

template <class T>
py::tuple backward(const PyLayer<T>& l, const PyTape<T>& tape, const py::object& dy, const py::object& dstate,
                   bool want_x, bool want_state, bool want_weights) {
  const LayerSpec& spec = l.layer->spec();
  const Layout& layout = tape.layout;
  const std::int64_t outputs = spec.directions() * spec.output_size();
  if (dy.is_none() && dstate.is_none())
    throw py::value_error("dy and dstate are both None; expected at least one gradient");
  l.layer->check(*tape.tape);
  BackwardCall<T> b;
  std::optional<Array<T>> dy_array;
  if (!dy.is_none()) {
    dy_array = as_array<T>("dy", dy);
    check_shape("dy", *dy_array, layout.dims("directions * output_size", outputs));
    b.dy = layout.view(dy_array->data(), outputs);
  }
  const StateArrays<T> dfinal = state_argument<T>("dstate", dstate, spec, layout);
  b.dfinal = dfinal.view();
  py::object dx = py::none(), dstate_initial = py::none(), dweights = py::none();
  if (want_x) {
    Array<T> array = empty_array<T>(layout.shape(spec.input_size));
    b.dx = layout.view(array.mutable_data(), spec.input_size);
    dx = std::move(array);
  }
  if (want_state) {
    NewState<T> state(spec, layout);
    b.dinitial = state.view();
    dstate_initial = state.object();
  }
  if (want_weights) dweights = weight_gradients(l.layer->weights(), b.dweights);
  without_gil([&] { l.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, dstate_initial, dweights);
}

// Whether the layer's weights were others. The arrays are those of weights(), in that order.
template <class T>
bool load(PyLayer<T>& l, const py::list& arrays) {
  const std::vector<Weight<const T>>& own = l.layer->weights();
  if (arrays.size() != own.size())
    throw py::value_error("weights has " + std::to_string(arrays.size()) + " arrays; expected " +
                          std::to_string(own.size()));
  std::vector<Array<T>> kept;
  std::vector<const T*> from;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const char* const name = own[i].name.c_str();
    kept.push_back(as_array<T>(name, arrays[i]));
    Dims dims;
    for (const std::int64_t size : own[i].shape) dims.push_back({"size", size});
    check_shape(name, kept.back(), dims);
    from.push_back(kept.back().data());
  }
  bool others = false;
  without_gil([&] { others = l.layer->load(from); });
  return others;
}

template <class T>
void register_layer(py::module_& m) {
  using L = PyLayer<T>;
  py::class_<PyTape<T>>(m, (std::string("Tape") + suffix<T>).c_str(), tape_doc);
  py::class_<L> c(m, (std::string("Layer") + suffix<T>).c_str(),
                  "A recurrent layer; gru_native.RNN, LSTM and GRU are its faces.");
  c.def(py::init([](const py::kwargs& options) {
     const BlockSpec block = block_of(options);
     if (const auto* spec = std::get_if<LayerSpec>(&block.spec)) return std::make_unique<L>(*spec, block.batch_first);
     throw py::value_error(std::string("type is \"") + type_of(block) + "\"; expected \"RNN\", \"LSTM\" or \"GRU\"");
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("state") = py::none(), py::arg("lengths") = py::none(),
           py::arg("mask") = py::none(), py::arg("masked_output") = "zero", py::kw_only(), py::arg("training") = false,
           py::arg("seed") = 0)
      .def("forward", &forward<T>, py::arg("x"), py::arg("state") = py::none(), py::arg("lengths") = py::none(),
           py::arg("mask") = py::none(), py::arg("masked_output") = "zero", py::kw_only(), py::arg("training") = false,
           py::arg("seed") = 0)
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"), py::arg("dstate"), py::arg("want_x") = true,
           py::arg("want_state") = true, py::arg("want_weights") = true)
      .def("load", &load<T>, py::arg("weights"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_layers(py::module_& m) {
  register_layer<float>(m);
  register_layer<double>(m);
}

}  // namespace gru_native::bindings
