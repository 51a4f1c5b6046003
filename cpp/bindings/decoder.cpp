#include <pybind11/stl.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/reading.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "gru_native/attention_decoder.h"
#include "spec/check_decoder.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyDecoder {
  std::shared_ptr<AttentionDecoder<T>> layer;
};
template <class T>
struct PyDecoderTape {
  std::shared_ptr<const AttentionDecoderTape<T>> tape;
  Layout layout;
};

// "memory", or "memory[1]" where there are several.
std::string named(const char* name, const AttentionDecoderSpec& spec, std::size_t m) {
  return spec.num_memories == 1 ? name : std::string(name) + "[" + std::to_string(m) + "]";
}

void check_count(const char* name, const AttentionDecoderSpec& spec, const py::list& given) {
  if (static_cast<std::int64_t>(given.size()) != spec.num_memories)
    throw py::value_error(std::string(name) + " has " + std::to_string(given.size()) +
                          " items; expected num_memories=" + std::to_string(spec.num_memories));
}

Shape memory_shape(const AttentionDecoderSpec& spec, const Layout& layout, std::int64_t positions) {
  Shape shape;
  if (spec.attention != Attention::none) shape.push_back(positions);
  if (layout.batched) shape.push_back(layout.batch);
  shape.push_back(spec.memory_size);
  return shape;
}
std::vector<Dim> memory_dims(const AttentionDecoderSpec& spec, const Layout& layout, std::int64_t positions) {
  std::vector<Dim> dims;
  if (spec.attention != Attention::none) dims.push_back({"src_len", positions});
  if (layout.batched) dims.push_back({"batch", layout.batch});
  dims.push_back({"memory_size", spec.memory_size});
  return dims;
}

// What a state has beside that of the layers, or its gradient; or fresh ones, to be filled.
template <class T>
struct Beside {
  std::optional<Array<T>> context;
  std::vector<Array<T>> weights;

  // memory_len: of each memory.
  Beside(const AttentionDecoderSpec& spec, const Layout& layout, const std::vector<std::int64_t>& memory_len) {
    if (spec.attention == Attention::none) return;
    context = empty_array<T>(row_shape(layout, spec.context_size()));
    if (spec.attention != Attention::location) return;
    for (const std::int64_t positions : memory_len) weights.push_back(empty_array<T>(row_shape(layout, positions)));
  }
  Beside(const char* name, const AttentionDecoderSpec& spec, const Layout& layout,
         const std::vector<std::int64_t>& memory_len, const py::object& context_, const py::object& weights_) {
    const std::string of = std::string(name) + ".";
    const auto take = [&](const std::string& part, const py::handle& value, const char* size_name, std::int64_t size) {
      Array<T> a = as_array<T>(part.c_str(), value);
      std::vector<Dim> dims;
      if (layout.batched) dims.push_back({"batch", layout.batch});
      dims.push_back({size_name, size});
      check_shape(part.c_str(), a, dims);
      return a;
    };
    if (!context_.is_none()) {
      if (spec.attention == Attention::none)
        throw py::value_error(of + "context is an array; expected None: without attention the memory is the context");
      context = take(of + "context", context_, "num_memories * memory_size", spec.context_size());
    }
    if (weights_.is_none()) return;
    const py::list list(weights_);
    if (spec.attention != Attention::location) {
      if (!list.empty())
        throw py::value_error(of + "weights is not empty; expected None: only location attention has it");
      return;
    }
    check_count((of + "weights").c_str(), spec, list);
    for (std::size_t m = 0; m < list.size(); ++m)
      weights.push_back(take(named((of + "weights").c_str(), spec, m), list[m], "src_len", memory_len[m]));
  }
  static Shape row_shape(const Layout& layout, std::int64_t size) {
    return layout.batched ? Shape{layout.batch, size} : Shape{size};
  }
  DecoderState<const T> view(const States<const T>& layers) const {
    DecoderState<const T> state;
    state.layers = layers;
    if (context) state.context = context->data();
    for (const Array<T>& w : weights) state.weights.push_back(w.data());
    return state;
  }
  DecoderState<T> fresh(const States<T>& layers) {
    DecoderState<T> state;
    state.layers = layers;
    if (context) state.context = context->mutable_data();
    for (Array<T>& w : weights) state.weights.push_back(w.mutable_data());
    return state;
  }
  // (layers, context, weights)
  py::tuple object(const py::object& layers) const {
    py::tuple each(weights.size());
    for (std::size_t m = 0; m < weights.size(); ++m) each[m] = weights[m];
    return py::make_tuple(layers, context ? py::object(*context) : py::none(), each);
  }
};

Layout layout_of_targets(const Array<std::int64_t>& targets) {
  Layout layout{-1, -1, targets.ndim() != 1, false};
  if (layout.batched) check_shape("targets", targets, {{"steps", -1}, {"batch", -1}});
  layout.seq_len = targets.shape(0);
  layout.batch = layout.batched ? targets.shape(1) : 1;
  if (layout.seq_len < 1 || layout.batch < 1)
    throw py::value_error("targets has shape " + shape_text(targets) + "; expected at least one step and one sequence");
  return layout;
}

// (batch,) whole numbers, each 1 to the memory's length, or None.
std::vector<std::int64_t> memory_lengths(const std::string& name, const py::object& value, const Layout& layout,
                                         std::int64_t positions) {
  if (value.is_none()) return {};
  const Array<std::int64_t> a = integers_argument(name.c_str(), value);
  if (layout.batched || a.ndim() > 0) check_shape(name.c_str(), a, {{"batch", layout.batch}});
  for (py::ssize_t b = 0; b < a.size(); ++b)
    if (a.data()[b] < 1 || a.data()[b] > positions)
      throw py::value_error(name + "[" + std::to_string(b) + "] is " + std::to_string(a.data()[b]) +
                            "; expected 1 to src_len=" + std::to_string(positions));
  return {a.data(), a.data() + a.size()};
}

// The arrays of one call.
template <class T>
struct Call {
  const AttentionDecoderSpec& spec;
  const LayerSpec layers;
  Array<std::int64_t> targets;
  Layout layout;
  std::vector<Array<T>> memory;
  std::deque<std::vector<std::int64_t>> lengths_of_memories;
  std::vector<std::int64_t> memory_len;
  StateArrays<T> state;
  std::optional<Beside<T>> beside, final_beside;
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> logits;
  NewState<T> final;
  DecoderForwardCall<T> arguments;

  Call(const PyDecoder<T>& d, const py::object& targets_, const py::list& memory_, const py::list& memory_lengths_,
       const py::object& lengths_, const py::tuple& state_, bool training, std::uint64_t seed)
      : spec(d.layer->spec()),
        layers(layers_of(spec)),
        targets(integers_argument("targets", targets_)),
        layout(layout_of_targets(targets)),
        state(state_argument<T>("state", state_[0], layers, layout)),
        lengths(lengths_of(lengths_, layout)),
        logits(empty_array<T>(layout.shape(spec.vocab_size))),
        final(layers, layout) {
    check_count("memory", spec, memory_);
    check_count("memory_lengths", spec, memory_lengths_);
    for (std::size_t m = 0; m < memory_.size(); ++m) {
      const std::string name = named("memory", spec, m);
      memory.push_back(as_array<T>(name.c_str(), memory_[m]));
      const Array<T>& h = memory.back();
      check_shape(name.c_str(), h, memory_dims(spec, layout, -1));
      const std::int64_t positions = spec.attention == Attention::none ? 1 : h.shape(0);
      if (positions < 1)
        throw py::value_error(name + " has shape " + shape_text(h) + "; expected at least one position");
      memory_len.push_back(positions);
      lengths_of_memories.push_back(
          memory_lengths(named("memory_lengths", spec, m), py::object(memory_lengths_[m]), layout, positions));
      DecoderMemory<const T>& argument = arguments.memory.emplace_back();
      argument.seq_len = positions;
      argument.h = time_major(h.data(), layout.batch, spec.memory_size);
      argument.lengths = lengths_of_memories.back().empty() ? nullptr : lengths_of_memories.back().data();
    }
    for (std::size_t m = 0; m < memory_.size(); ++m)
      if (spec.attention == Attention::none && !lengths_of_memories[m].empty())
        throw py::value_error(named("memory_lengths", spec, m) + " was given without attention; expected None");
    beside.emplace("state", spec, layout, memory_len, py::object(state_[1]), py::object(state_[2]));
    final_beside.emplace(spec, layout, memory_len);
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.targets = {targets.data(), layout.batch, 1};
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.initial = beside->view(state.view());
    arguments.logits = layout.view(logits.mutable_data(), spec.vocab_size);
    arguments.final = final_beside->fresh(final.view());
    arguments.training = training;
    arguments.seed = seed;
  }
  static std::optional<std::vector<std::int64_t>> lengths_of(const py::object& value, const Layout& layout) {
    if (!value.is_none() && !layout.batched)
      throw py::value_error("lengths was given with targets of rank 1; expected targets (steps, batch)");
    return lengths_argument(value, layout);
  }
  py::tuple final_state() const { return final_beside->object(final.object()); }
};

template <class T>
py::tuple call(const PyDecoder<T>& d, const py::object& targets, const py::list& memory, const py::list& lengths_of,
               const py::object& lengths, const py::tuple& state) {
  Call<T> c(d, targets, memory, lengths_of, lengths, state, false, 0);
  without_gil([&] { d.layer->forward(c.arguments); });
  return py::make_tuple(c.logits, c.final_state());
}

template <class T>
py::tuple forward(const PyDecoder<T>& d, const py::object& targets, const py::list& memory, const py::list& lengths_of,
                  const py::object& lengths, const py::tuple& state, bool training, std::uint64_t seed) {
  Call<T> c(d, targets, memory, lengths_of, lengths, state, training, seed);
  PyDecoderTape<T> tape{nullptr, c.layout};
  without_gil([&] { tape.tape = d.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.logits, c.final_state(), tape);
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
  NewState<T> dinitial(layers, layout);
  Beside<T> dinitial_beside(spec, layout, memory_len);
  b.dinitial = dinitial_beside.fresh(dinitial.view());
  const py::dict weights = weight_gradients(d.layer->weights(), b.dweights);
  without_gil([&] { d.layer->backward(*tape.tape, b); });
  return py::make_tuple(dmemory, dinitial_beside.object(dinitial.object()), weights);
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
