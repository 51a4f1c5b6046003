// A layer or chain at work as Python makes it anew, with the weights that it has.
#pragma once
#include <memory>
#include <variant>
#include <vector>

#include "bindings/layer.h"
#include "bindings/options.h"
#include "bindings/reading.h"
#include "engine/model/stream_blocks.h"

namespace gru_native::bindings {

template <class T>
class ModelBlocks {
 public:
  template <class L>
  void add(const std::shared_ptr<L>& layer, bool batch_first) {
    specs_.push_back({"", layer->spec(), batch_first});
    few_bits_.push_back(layer->spec().precision == Precision::full ? std::shared_ptr<L>() : layer);
  }
  // (its options, a layer) of each block. made: those that blocks_of() has.
  py::list list(const std::vector<NewBlock<T>>& made) const {
    py::list list;
    for (std::size_t i = 0; i < made.size(); ++i) {
      const auto python = [&](const auto& layer) -> py::object {
        return layer ? python_layer(layer, specs_[i].batch_first) : py::none();
      };
      const py::object anew = std::visit(python, made[i]), own = std::visit(python, few_bits_[i]);
      list.append(py::make_tuple(dict_of(specs_[i]), anew.is_none() ? own : anew));
    }
    return list;
  }

 private:
  static py::object python_layer(const std::shared_ptr<Layer<T>>& layer, bool batch_first) {
    return py::cast(std::make_unique<PyLayer<T>>(layer, batch_first));
  }
  static py::object python_layer(const std::shared_ptr<Dense<T>>& layer, bool) { return py::cast(PyDense<T>{layer}); }
  static py::object python_layer(const std::shared_ptr<Operation<T>>& layer, bool) {
    return py::cast(PyOperation<T>{layer});
  }

  std::vector<BlockSpec> specs_;
  std::vector<NewBlock<T>> few_bits_;  // blocks of few bits, whose weights never change; null: not one of them
};

}  // namespace gru_native::bindings
