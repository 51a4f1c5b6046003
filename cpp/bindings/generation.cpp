#include "gru_native/generation.h"

#include "bindings/decoder_call.h"
#include "bindings/hypotheses.h"
#include "bindings/module.h"
#include "bindings/one_call.h"
#include "bindings/without_gil.h"
#include "decoding/stream_parts.h"

namespace gru_native::bindings {
namespace {

// One step of as many sequences as the first memory has.
Layout layout_of_memory(const AttentionDecoderSpec& spec, const py::list& memory) {
  check_count("memory", spec, memory);
  const std::string name = memory_name("memory", spec, 0);
  const py::array first = numpy_array(name, memory[0], "an array");
  Layout layout{1, 1, first.ndim() > (spec.attention == Attention::none ? 1 : 2), false};
  if (layout.batched) layout.batch = first.shape(first.ndim() - 2);
  if (layout.batch < 1)
    throw py::value_error(name + " has shape " + shape_text(first) + "; expected at least one sequence");
  return layout;
}

// (ids, score, attention weights of each memory or None)
template <class T>
py::tuple python_generated(const Generated<T>& g, const std::vector<std::int64_t>& memory_len, bool attention) {
  py::object weights = py::none();
  if (attention) {
    py::list each;
    for (std::size_t m = 0; m < memory_len.size(); ++m) {
      Array<T> a = empty_array<T>({static_cast<std::int64_t>(g.ids.size()), memory_len[m]});
      std::copy(g.attention[m].begin(), g.attention[m].end(), a.mutable_data());
      each.append(a);
    }
    weights = std::move(each);
  }
  return py::make_tuple(ids_array(g.ids), g.score, weights);
}

// The hypotheses of each sequence, and whether there is a batch.
template <class T>
py::tuple generated(const PyDecoder<T>& d, const py::list& memory, const py::list& memory_lengths,
                    const py::tuple& state, std::int64_t start, std::int64_t end, std::int64_t max_steps,
                    std::int64_t beam_size, double length_penalty, bool attention) {
  const AttentionDecoderSpec& spec = d.layer->spec();
  const DecoderInputs<T> inputs(spec, layout_of_memory(spec, memory), memory, memory_lengths, state);
  GenerationCall<T> call;
  call.batch = inputs.layout.batch;
  call.memory = inputs.memories;
  call.initial = inputs.initial;
  call.start = start;
  call.end = end;
  call.max_steps = max_steps;
  call.beam_size = beam_size;
  call.length_penalty = length_penalty;
  call.attention = attention;
  std::vector<std::vector<Generated<T>>> sequences;
  without_gil([&] { sequences = generate(*d.layer, call); });
  py::list all;
  for (const std::vector<Generated<T>>& hypotheses : sequences) {
    py::list list;
    for (const Generated<T>& g : hypotheses) list.append(python_generated(g, inputs.memory_len, attention));
    all.append(list);
  }
  return py::make_tuple(all, inputs.layout.batched);
}

template <class T>
class PyDecoderStream {
 public:
  // attention: the weights of the last step, as attention() has them; None: there was none.
  PyDecoderStream(const PyDecoder<T>& d, const py::list& memory, const py::list& memory_lengths, const py::tuple& state,
                  const py::object& attention)
      : PyDecoderStream(
            d,
            DecoderInputs<T>(d.layer->spec(), layout_of_memory(d.layer->spec(), memory), memory, memory_lengths, state),
            attention) {}
  // A copy with a state of its own.
  PyDecoderStream(PyDecoderStream& other) : PyDecoderStream(other, OneCall::Scope(other.one_call_, "stream")) {}

  std::int64_t batch_size() const { return layout_.batch; }

  // tokens: (batch,), or without a batch a number.
  Array<T> step(const py::object& tokens) {
    const Array<std::int64_t> t = integers_argument("tokens", tokens);
    Dims dims;
    if (layout_.batched) dims.push_back({"batch", layout_.batch});
    check_shape("tokens", t, dims);
    Array<T> logits = empty_array<T>(row_shape(spec_.vocab_size));
    const OneCall::Scope only(one_call_, "stream");
    without_gil([&] { stream_.step(t.data(), logits.mutable_data()); });
    return logits;
  }
  // Of each memory (batch, src_len), or without a batch (src_len,).
  py::list attention() {
    const OneCall::Scope only(one_call_, "stream");
    return last_weights();
  }
  py::tuple state() {
    NewDecoderState<T> state(spec_, layout_, memory_len_);
    const OneCall::Scope only(one_call_, "stream");
    stream_.save_state(state.view());
    return state.object();
  }
  void set_state(const py::tuple& state) {
    const StateArrays<T> of_layers = state_argument<T>("state", state[0], layers_of(spec_), layout_);
    const Beside<T> beside("state", spec_, layout_, memory_len_, py::object(state[1]), py::object(state[2]));
    const OneCall::Scope only(one_call_, "stream");
    stream_.load_state(beside.view(of_layers.view()));
  }
  void reset() {
    const OneCall::Scope only(one_call_, "stream");
    stream_.load_state({});
  }
  // What another one is made of: a decoder with the weights that it has, and all but the first argument of __init__.
  py::tuple parts() {
    const OneCall::Scope only(one_call_, "stream");
    const DecoderStreamParts<T> parts = parts_of(stream_);
    const bool attends = spec_.attention != Attention::none;
    py::list memory, lengths;
    for (const GivenMemory<T>& m : parts.memories) {
      Array<T> h = empty_array<T>(memory_shape(spec_, layout_, m.seq_len));
      std::copy(m.h.begin(), m.h.end(), h.mutable_data());
      memory.append(h);
      lengths.append(attends ? py::object(ids_array(m.lengths)) : py::none());
    }
    NewDecoderState<T> state(spec_, layout_, memory_len_);
    stream_.save_state(state.view());
    return py::make_tuple(PyDecoder<T>{parts.decoder}, memory, lengths, state.object(),
                          attends && parts.has_stepped ? py::object(last_weights()) : py::none());
  }

 private:
  PyDecoderStream(const PyDecoder<T>& d, const DecoderInputs<T>& inputs, const py::object& attention)
      : spec_(inputs.spec),
        layout_(inputs.layout),
        memory_len_(inputs.memory_len),
        stream_(with_last_weights(DecoderStream<T>(*d.layer, inputs.memories, inputs.layout.batch, inputs.initial),
                                  attention)) {}
  PyDecoderStream(const PyDecoderStream& other, const OneCall::Scope&)
      : spec_(other.spec_), layout_(other.layout_), memory_len_(other.memory_len_), stream_(other.stream_) {}
  py::list last_weights() const {
    py::list all;
    for (std::size_t m = 0; m < memory_len_.size(); ++m) {
      Array<T> a = empty_array<T>(row_shape(memory_len_[m]));
      for (std::int64_t b = 0; b < layout_.batch; ++b) {
        const std::vector<T> weights = stream_.weights(b, static_cast<std::int64_t>(m));
        std::copy(weights.begin(), weights.end(), a.mutable_data() + b * memory_len_[m]);
      }
      all.append(a);
    }
    return all;
  }
  DecoderStream<T> with_last_weights(DecoderStream<T> stream, const py::object& attention) const {
    if (attention.is_none()) return stream;
    if (spec_.attention == Attention::none) throw py::value_error("attention is not None; the decoder has none");
    const py::list list(attention);
    check_count("attention", spec_, list);
    std::vector<Array<T>> arrays;
    std::vector<const T*> weights;
    for (std::size_t m = 0; m < list.size(); ++m) {
      const std::string name = memory_name("attention", spec_, m);
      arrays.push_back(as_array<T>(name.c_str(), list[m]));
      Dims dims;
      if (layout_.batched) dims.push_back({"batch", layout_.batch});
      dims.push_back({"src_len", memory_len_[m]});
      check_shape(name.c_str(), arrays.back(), dims);
      weights.push_back(arrays.back().data());
    }
    return with_weights(std::move(stream), weights);
  }
  Shape row_shape(std::int64_t size) const { return layout_.batched ? Shape{layout_.batch, size} : Shape{size}; }

  const AttentionDecoderSpec spec_;
  const Layout layout_;
  const std::vector<std::int64_t> memory_len_;
  DecoderStream<T> stream_;
  OneCall one_call_;
};

template <class T>
void register_one(py::module_& m) {
  m.def("generate", &generated<T>, py::arg("decoder"), py::arg("memory"), py::arg("memory_lengths"), py::arg("state"),
        py::arg("start"), py::arg("end"), py::arg("max_steps"), py::arg("beam_size"), py::arg("length_penalty"),
        py::arg("attention"));
  using S = PyDecoderStream<T>;
  py::class_<S>(m, (std::string("DecoderStream") + suffix<T>).c_str())
      .def(py::init<const PyDecoder<T>&, const py::list&, const py::list&, const py::tuple&, const py::object&>(),
           py::arg("decoder"), py::arg("memory"), py::arg("memory_lengths"), py::arg("state"), py::arg("attention"))
      .def("copy", [](S& s) { return std::make_unique<S>(s); })
      .def("parts", &S::parts)
      .def("step", &S::step, py::arg("tokens"))
      .def("attention", &S::attention)
      .def("state", &S::state)
      .def("set_state", &S::set_state, py::arg("state"))
      .def("reset", &S::reset)
      .def_property_readonly("batch_size", &S::batch_size);
}

}  // namespace

void register_generation(py::module_& m) {
  register_one<float>(m);
  register_one<double>(m);
}

}  // namespace gru_native::bindings
