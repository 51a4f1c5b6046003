// Layers and chains at work: their blocks, and their states as Python has them.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bindings/layer.h"
#include "bindings/reading.h"
#include "gru_native/model.h"
#include "spec/chain_width.h"

namespace gru_native::bindings {

// The blocks of a chain; f(shared pointer to a layer) with each.
template <class T, class F>
std::shared_ptr<const BasicModel<T>> chain_argument(const py::list& chain, const F& f) {
  std::vector<ModelBlock<T>> blocks;
  const auto add = [&](const auto& layer) {
    using L = std::decay_t<decltype(*layer)>;
    f(layer);
    blocks.push_back(std::shared_ptr<const L>(layer));
  };
  for (const py::handle block : chain) {
    if (py::isinstance<PyLayer<T>>(block)) add(block.cast<const PyLayer<T>&>().layer);
    else if (py::isinstance<PyDense<T>>(block)) add(block.cast<const PyDense<T>&>().layer);
    else if (py::isinstance<PyOperation<T>>(block)) add(block.cast<const PyOperation<T>&>().layer);
    else throw py::type_error("blocks[" + std::to_string(blocks.size()) + "] " + no_weights);
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

// h, or (h, c) for the LSTM, of shape (num_layers, batch, size); of a chain a tuple with that of each block that keeps
// something: of an operation (batch, size).
template <class T>
struct ModelStates {
  struct Part {
    LayerSpec layer;
    std::int64_t numbers = 0;  // of an operation: of each sequence; 0: it is a layer
  };
  std::vector<Part> parts;
  bool is_chain = false;

  ModelStates() = default;
  explicit ModelStates(const BasicModel<T>& chain) : is_chain(true) {
    ChainWidth width(chain.input_size());
    for (const ModelBlock<T>& block : chain.blocks()) {
      const auto* const layer = std::get_if<std::shared_ptr<const Layer<T>>>(&block);
      const auto* const operation = std::get_if<std::shared_ptr<const Operation<T>>>(&block);
      if (layer) parts.push_back({(*layer)->spec(), 0});
      const std::int64_t numbers = operation ? (*operation)->spec().state_size(width.width()) : 0;
      if (numbers > 0) parts.push_back({{}, numbers});
      std::visit([&](const auto& b) { width.add("blocks", b->spec()); }, block);
    }
  }

  // From and to numbers in the order of Stream::state_size.
  py::object object(const T* from, std::int64_t batch) const {
    const auto take = [&](Array<T>& to) {
      std::copy_n(from, to.size(), to.mutable_data());
      from += to.size();
    };
    py::list states;
    for (const Part& part : parts) {
      if (part.numbers > 0) {
        Array<T> kept = empty_array<T>({batch, part.numbers});
        take(kept);
        states.append(kept);
        continue;
      }
      NewState<T> copy(part.layer, layout(batch));
      take(copy.h);
      if (copy.c) take(*copy.c);
      states.append(copy.object());
    }
    return is_chain ? py::object(py::tuple(states)) : py::object(states[0]);
  }
  std::vector<T> numbers(const std::string& name, const py::object& value, std::int64_t batch) const {
    std::vector<T> flat;
    const py::tuple given = parts_of(name, value);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const LayerSpec& spec = parts[i].layer;
      const std::string part = is_chain ? name + "[" + std::to_string(i) + "]" : name;
      const auto put = [&](const std::optional<Array<T>>& from, std::int64_t count) {
        const std::size_t at = flat.size();
        flat.resize(at + static_cast<std::size_t>(count));
        if (from) std::copy_n(from->data(), from->size(), flat.data() + at);
      };
      if (parts[i].numbers > 0) {
        std::optional<Array<T>> kept;
        if (!given[i].is_none()) {
          kept = as_array<T>(part.c_str(), given[i]);
          check_shape(part.c_str(), *kept, {{"batch", batch}, {"size", parts[i].numbers}});
        }
        put(kept, batch * parts[i].numbers);
        continue;
      }
      const StateArrays<T> s = state_argument<T>(part.c_str(), py::object(given[i]), spec, layout(batch));
      put(s.h, spec.num_layers * batch * spec.state_size());
      if (spec.has_c()) put(s.c, spec.num_layers * batch * spec.hidden_size);
    }
    return flat;
  }

 private:
  static Layout layout(std::int64_t batch) { return {1, batch, true, false}; }
  // One state for each part.
  py::tuple parts_of(const std::string& name, const py::object& value) const {
    if (!is_chain) return py::make_tuple(value);
    if (value.is_none()) {
      py::list nothing;
      for (std::size_t i = 0; i < parts.size(); ++i) nothing.append(py::none());
      return nothing;
    }
    const bool sequence = py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value);
    if (!sequence || py::len(value) != parts.size())
      throw py::type_error(name + " is " + a_type(value) + (sequence ? " of " + std::to_string(py::len(value)) : "") +
                           "; expected a tuple with " + std::to_string(parts.size()) +
                           " states, one for each block that has one");
    return py::tuple(value);
  }
};

}  // namespace gru_native::bindings
