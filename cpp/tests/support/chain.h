// Models with random weights, for the tests.
#pragma once
#include "tests/support/problem.h"

namespace gru_native::testing {

using AnySpec = std::variant<LayerSpec, DenseSpec>;

inline DenseSpec dense_of(std::int64_t inputs, std::int64_t outputs,
                          DenseActivation activation = DenseActivation::identity, bool bias = true) {
  return {inputs, outputs, bias, activation};
}

template <class T>
std::shared_ptr<const BasicModel<T>> chain_of(const std::vector<AnySpec>& specs, unsigned seed) {
  std::vector<ModelBlock<T>> blocks;
  for (const AnySpec& spec : specs) {
    seed += 100;
    if (const auto* s = std::get_if<LayerSpec>(&spec)) {
      auto layer = std::make_shared<Layer<T>>(*s);
      randomize(*layer, seed);
      blocks.push_back(std::shared_ptr<const Layer<T>>(std::move(layer)));
    } else {
      auto dense = std::make_shared<Dense<T>>(std::get<DenseSpec>(spec));
      randomize(*dense, seed);
      blocks.push_back(std::shared_ptr<const Dense<T>>(std::move(dense)));
    }
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

}  // namespace gru_native::testing
