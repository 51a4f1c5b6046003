// Layers and chains at work: their blocks, and their states as Python has them.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bindings/layer.h"
#include "bindings/reading.h"
#include "gru_native/model.h"

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
    else throw py::type_error("blocks[" + std::to_string(blocks.size()) + "] " + no_weights);
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

// h, or (h, c) for the LSTM, of shape (num_layers, batch, size); of a chain a tuple with that of each recurrent layer.
template <class T>
struct ModelStates {
  std::vector<LayerSpec> layers;  // the recurrent ones
  bool is_chain = false;

  ModelStates() = default;
  explicit ModelStates(const py::list& chain) : is_chain(true) {
    for (const py::handle block : chain)
      if (py::isinstance<PyLayer<T>>(block)) layers.push_back(block.cast<const PyLayer<T>&>().layer->spec());
  }

  // From and to numbers in the order of BasicModel::state_size.
  py::object object(const T* from, std::int64_t batch) const {
    const auto take = [&](Array<T>& to) {
      std::copy_n(from, to.size(), to.mutable_data());
      from += to.size();
    };
    py::list states;
    for (const LayerSpec& spec : layers) {
      NewState<T> copy(spec, layout(batch));
      take(copy.h);
      if (copy.c) take(*copy.c);
      states.append(copy.object());
    }
    return is_chain ? py::object(py::tuple(states)) : py::object(states[0]);
  }
  std::vector<T> numbers(const std::string& name, const py::object& value, std::int64_t batch) const {
    std::vector<T> flat;
    const py::tuple parts = parts_of(name, value);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const LayerSpec& spec = layers[i];
      const std::string part = is_chain ? name + "[" + std::to_string(i) + "]" : name;
      const StateArrays<T> s = state_argument<T>(part.c_str(), py::object(parts[i]), spec, layout(batch));
      const auto put = [&](const std::optional<Array<T>>& from, std::int64_t columns) {
        const std::size_t at = flat.size();
        flat.resize(at + static_cast<std::size_t>(spec.num_layers * batch * columns));
        if (from) std::copy_n(from->data(), from->size(), flat.data() + at);
      };
      put(s.h, spec.state_size());
      if (spec.has_c()) put(s.c, spec.hidden_size);
    }
    return flat;
  }

 private:
  static Layout layout(std::int64_t batch) { return {1, batch, true, false}; }
  // One state for each recurrent layer.
  py::tuple parts_of(const std::string& name, const py::object& value) const {
    if (!is_chain) return py::make_tuple(value);
    if (value.is_none()) {
      py::list nothing;
      for (std::size_t i = 0; i < layers.size(); ++i) nothing.append(py::none());
      return nothing;
    }
    const bool sequence = py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value);
    if (!sequence || py::len(value) != layers.size())
      throw py::type_error(name + " is a " + type_name(value) +
                           (sequence ? " of " + std::to_string(py::len(value)) : "") + "; expected a tuple with " +
                           std::to_string(layers.size()) + " states, one for each recurrent layer");
    return py::tuple(value);
  }
};

}  // namespace gru_native::bindings
