// The tensors of a layer: torch's names and shapes.
#pragma once
#include <string>
#include <vector>

#include "engine/packed.h"
#include "gru_native/dense.h"

namespace gru_native {

// f(layer * directions + direction, which of WeightIndex, name, shape), one after the other.
template <class F>
void each_weight(const LayerSpec& spec, const F& f) {
  const std::int64_t rows = spec.gates() * spec.hidden_size;
  Index i = 0;
  for (std::int64_t l = 0; l < spec.num_layers; ++l)
    for (std::int64_t d = 0; d < spec.directions(); ++d, ++i) {
      const std::int64_t inputs = l == 0 ? spec.input_size : spec.directions() * spec.output_size();
      const std::string suffix = "_l" + std::to_string(l) + (d ? "_reverse" : "");
      using Shape = std::vector<std::int64_t>;
      f(i, &WeightIndex::ih, "weight_ih" + suffix, Shape{rows, inputs});
      f(i, &WeightIndex::hh, "weight_hh" + suffix, Shape{rows, spec.output_size()});
      if (spec.bias) {
        f(i, &WeightIndex::bias_ih, "bias_ih" + suffix, Shape{rows});
        f(i, &WeightIndex::bias_hh, "bias_hh" + suffix, Shape{rows});
      }
      if (spec.proj_size) f(i, &WeightIndex::hr, "weight_hr" + suffix, Shape{spec.proj_size, spec.hidden_size});
    }
}

// f(name, shape)
template <class F>
void each_name(const LayerSpec& spec, const F& f) {
  each_weight(spec,
              [&](Index, auto, const std::string& name, const std::vector<std::int64_t>& shape) { f(name, shape); });
}
template <class F>
void each_name(const DenseSpec& spec, const F& f) {
  f(std::string("weight"), std::vector<std::int64_t>{spec.output_size, spec.input_size});
  if (spec.bias) f(std::string("bias"), std::vector<std::int64_t>{spec.output_size});
}

}  // namespace gru_native
