// A decoder in Python, and the arrays of its calls.
#pragma once
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/layer.h"
#include "bindings/reading.h"
#include "gru_native/attention_decoder.h"
#include "spec/check_decoder.h"

namespace gru_native::bindings {

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
inline std::string memory_name(const char* name, const AttentionDecoderSpec& spec, std::size_t m) {
  return spec.num_memories == 1 ? name : std::string(name) + "[" + std::to_string(m) + "]";
}

inline void check_count(const char* name, const AttentionDecoderSpec& spec, const py::list& given) {
  if (static_cast<std::int64_t>(given.size()) != spec.num_memories)
    throw py::value_error(std::string(name) + " has " + std::to_string(given.size()) +
                          " items; expected num_memories=" + std::to_string(spec.num_memories));
}

inline Shape memory_shape(const AttentionDecoderSpec& spec, const Layout& layout, std::int64_t positions) {
  Shape shape;
  if (spec.attention != Attention::none) shape.push_back(positions);
  if (layout.batched) shape.push_back(layout.batch);
  shape.push_back(spec.memory_size);
  return shape;
}
inline std::vector<Dim> memory_dims(const AttentionDecoderSpec& spec, const Layout& layout, std::int64_t positions) {
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
      weights.push_back(take(memory_name((of + "weights").c_str(), spec, m), list[m], "src_len", memory_len[m]));
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

inline Layout layout_of_targets(const Array<std::int64_t>& targets) {
  Layout layout{-1, -1, targets.ndim() != 1, false};
  if (layout.batched) check_shape("targets", targets, {{"steps", -1}, {"batch", -1}});
  layout.seq_len = targets.shape(0);
  layout.batch = layout.batched ? targets.shape(1) : 1;
  if (layout.seq_len < 1 || layout.batch < 1)
    throw py::value_error("targets has shape " + shape_text(targets) + "; expected at least one step and one sequence");
  return layout;
}

// (batch,) whole numbers, each 1 to the memory's length, or None.
inline std::vector<std::int64_t> memory_lengths(const std::string& name, const py::object& value, const Layout& layout,
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

// What a decoder looks at, and where it begins.
template <class T>
struct DecoderInputs {
  const AttentionDecoderSpec& spec;
  const LayerSpec layers;
  const Layout layout;
  std::vector<std::int64_t> memory_len;
  std::vector<DecoderMemory<const T>> memories;
  DecoderState<const T> initial;

  DecoderInputs(const AttentionDecoderSpec& spec_, const Layout& layout_, const py::list& memory,
                const py::list& lengths, const py::tuple& state)
      : spec(spec_),
        layers(layers_of(spec)),
        layout(layout_),
        of_layers_(state_argument<T>("state", state[0], layers, layout)) {
    check_count("memory", spec, memory);
    check_count("memory_lengths", spec, lengths);
    for (std::size_t m = 0; m < memory.size(); ++m) {
      const std::string name = memory_name("memory", spec, m), of_lengths = memory_name("memory_lengths", spec, m);
      arrays_.push_back(as_array<T>(name.c_str(), memory[m]));
      const Array<T>& h = arrays_.back();
      check_shape(name.c_str(), h, memory_dims(spec, layout, -1));
      const std::int64_t positions = spec.attention == Attention::none ? 1 : h.shape(0);
      if (positions < 1)
        throw py::value_error(name + " has shape " + shape_text(h) + "; expected at least one position");
      memory_len.push_back(positions);
      lengths_.push_back(memory_lengths(of_lengths, py::object(lengths[m]), layout, positions));
      if (spec.attention == Attention::none && !lengths_.back().empty())
        throw py::value_error(of_lengths + " was given without attention; expected None");
      memories.push_back({positions, time_major(h.data(), layout.batch, spec.memory_size),
                          lengths_.back().empty() ? nullptr : lengths_.back().data()});
    }
    beside_.emplace("state", spec, layout, memory_len, py::object(state[1]), py::object(state[2]));
    initial = beside_->view(of_layers_.view());
  }

 private:
  std::vector<Array<T>> arrays_;
  std::deque<std::vector<std::int64_t>> lengths_;  // of each memory
  StateArrays<T> of_layers_;
  std::optional<Beside<T>> beside_;
};

// A state that is to be filled, and what Python then gets.
template <class T>
class NewDecoderState {
 public:
  NewDecoderState(const AttentionDecoderSpec& spec, const Layout& layout, const std::vector<std::int64_t>& memory_len)
      : of_layers_(layers_of(spec), layout), beside_(spec, layout, memory_len) {}
  DecoderState<T> view() { return beside_.fresh(of_layers_.view()); }
  py::tuple object() const { return beside_.object(of_layers_.object()); }

 private:
  NewState<T> of_layers_;
  Beside<T> beside_;
};

// The arrays of one call with teacher forcing.
template <class T>
struct DecoderCall {
  const Array<std::int64_t> targets;
  const DecoderInputs<T> inputs;
  const std::optional<std::vector<std::int64_t>> lengths;
  Array<T> logits;
  NewDecoderState<T> final;
  DecoderForwardCall<T> arguments;

  DecoderCall(const PyDecoder<T>& d, const py::object& targets_, const py::list& memory, const py::list& memory_lengths,
              const py::object& lengths_, const py::tuple& state, bool training, std::uint64_t seed)
      : targets(integers_argument("targets", targets_)),
        inputs(d.layer->spec(), layout_of_targets(targets), memory, memory_lengths, state),
        lengths(lengths_of(lengths_, inputs.layout)),
        logits(empty_array<T>(inputs.layout.shape(inputs.spec.vocab_size))),
        final(inputs.spec, inputs.layout, inputs.memory_len) {
    const Layout& layout = inputs.layout;
    arguments.seq_len = layout.seq_len;
    arguments.batch = layout.batch;
    arguments.targets = {targets.data(), layout.batch, 1};
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.memory = inputs.memories;
    arguments.initial = inputs.initial;
    arguments.logits = layout.view(logits.mutable_data(), inputs.spec.vocab_size);
    arguments.final = final.view();
    arguments.training = training;
    arguments.seed = seed;
  }
  static std::optional<std::vector<std::int64_t>> lengths_of(const py::object& value, const Layout& layout) {
    if (!value.is_none() && !layout.batched)
      throw py::value_error("lengths was given with targets of rank 1; expected targets (steps, batch)");
    return lengths_argument(value, layout);
  }
};

}  // namespace gru_native::bindings
