#include <pybind11/stl.h>

#include "bindings/decoder_call.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
py::tuple call(const PyDecoder<T>& d, const py::object& targets, const py::list& memory, const py::list& lengths_of,
               const py::object& lengths, const py::tuple& state) {
  DecoderCall<T> c(d, targets, memory, lengths_of, lengths, state, false, 0);
  without_gil([&] { d.layer->forward(c.arguments); });
  return py::make_tuple(c.logits, c.final.object());
}

template <class T>
py::tuple forward(const PyDecoder<T>& d, const py::object& targets, const py::list& memory, const py::list& lengths_of,
                  const py::object& lengths, const py::tuple& state, bool training, std::uint64_t seed) {
  DecoderCall<T> c(d, targets, memory, lengths_of, lengths, state, training, seed);
  PyDecoderTape<T> tape{nullptr, c.inputs.layout};
  without_gil([&] { tape.tape = d.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.logits, c.final.object(), tape);
}

// A list of gradients of the memories, that of the state, those of the weights.
template <class T>
py::tuple backward(const PyDecoder<T>& d, const PyDecoderTape<T>& tape, const py::object& dlogits,
                   const py::tuple& dstate) {
  const AttentionDecoderSpec& spec = d.layer->spec();
  const LayerSpec layers = layers_of(spec);
  const Layout& layout = tape.layout;
  d.layer->check(*tape.tape);
  std::vector<std::int64_t> memory_len;
  for (std::int64_t m = 0; m < spec.num_memories; ++m) memory_len.push_back(tape.tape->memory_len(m));
  DecoderBackwardCall<T> b;
  std::optional<Array<T>> dlogits_array;
  if (!dlogits.is_none()) {
    dlogits_array = as_array<T>("dlogits", dlogits);
    check_shape("dlogits", *dlogits_array, layout.dims("vocab_size", spec.vocab_size));
    b.dlogits = layout.view(dlogits_array->data(), spec.vocab_size);
  }
  const StateArrays<T> dlayers = state_argument<T>("dstate", dstate[0], layers, layout);
  const Beside<T> beside("dstate", spec, layout, memory_len, py::object(dstate[1]), py::object(dstate[2]));
  b.dfinal = beside.view(dlayers.view());
  py::list dmemory;
  for (const std::int64_t positions : memory_len) {
    Array<T> dh = empty_array<T>(memory_shape(spec, layout, positions));
    b.dmemory.push_back(time_major(dh.mutable_data(), layout.batch, spec.memory_size));
    dmemory.append(dh);
  }
  NewDecoderState<T> dinitial(spec, layout, memory_len);
  b.dinitial = dinitial.view();
  const py::dict weights = weight_gradients(d.layer->weights(), b.dweights);
  without_gil([&] { d.layer->backward(*tape.tape, b); });
  return py::make_tuple(dmemory, dinitial.object(), weights);
}

template <class T>
void register_one(py::module_& m) {
  using D = PyDecoder<T>;
  py::class_<PyDecoderTape<T>>(m, (std::string("DecoderTape") + suffix<T>).c_str(), tape_doc);
  py::class_<D> c(m, (std::string("AttentionDecoder") + suffix<T>).c_str(),
                  "A decoder with attention; gru_native.AttentionDecoder is its face.");
  c.def(py::init([](const py::kwargs& options) {
     return D{std::make_shared<AttentionDecoder<T>>(spec_of<AttentionDecoderSpec>(options, "AttentionDecoder"))};
   }))
      .def("__call__", &call<T>, py::arg("targets"), py::arg("memory"), py::arg("memory_lengths"), py::arg("lengths"),
           py::arg("state"))
      .def("forward", &forward<T>, py::arg("targets"), py::arg("memory"), py::arg("memory_lengths"), py::arg("lengths"),
           py::arg("state"), py::arg("training"), py::arg("seed"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dlogits"), py::arg("dstate"));
  def_weights(c);
}

}  // namespace

void register_decoders(py::module_& m) {
  register_one<float>(m);
  register_one<double>(m);
  m.def(
      "check_attention_decoder",
      [](const py::kwargs& options) { spec_of<AttentionDecoderSpec>(options, "AttentionDecoder").validate(); },
      "Raises what AttentionDecoder32 would, and makes no weights.");
}

}  // namespace gru_native::bindings
