// The tensors of a layer: torch's names and shapes.
#pragma once
#include <string>
#include <vector>

#include "engine/sequence/packed.h"
#include "gru_native/dense.h"

namespace gru_native {

// f(layer * directions + direction, its place in a WeightIndex, name, shape), one after the other.
template <class F>
void each_weight(const LayerSpec& spec, const F& f) {
  const std::int64_t rows = spec.gates() * spec.hidden_size;
  Index i = 0;
  for (std::int64_t l = 0; l < spec.num_layers; ++l)
    for (std::int64_t d = 0; d < spec.directions(); ++d, ++i) {
      const std::int64_t inputs = l == 0 ? spec.input_size : spec.directions() * spec.output_size();
      const std::string suffix = "_l" + std::to_string(l) + (d ? "_reverse" : "");
      using Shape = std::vector<std::int64_t>;
      f(i, [](WeightIndex& w) -> int& { return w.ih; }, "weight_ih" + suffix, Shape{rows, inputs});
      f(i, [](WeightIndex& w) -> int& { return w.hh; }, "weight_hh" + suffix, Shape{rows, spec.recurrent_size()});
      if (spec.bias) {
        f(i, [](WeightIndex& w) -> int& { return w.bias_ih; }, "bias_ih" + suffix, Shape{rows});
        f(i, [](WeightIndex& w) -> int& { return w.bias_hh; }, "bias_hh" + suffix, Shape{rows});
      }
      if (spec.proj_size)
        f(
            i, [](WeightIndex& w) -> int& { return w.hr; }, "weight_hr" + suffix,
            Shape{spec.proj_size, spec.hidden_size});
      if (spec.nonrecurrent_proj_size)
        f(
            i, [](WeightIndex& w) -> int& { return w.hp; }, "weight_hp" + suffix,
            Shape{spec.nonrecurrent_proj_size, spec.hidden_size});
      const LstmVariant& v = spec.lstm;
      const Shape units{spec.hidden_size};
      if (v.peephole && v.input_gate)
        f(i, [](WeightIndex& w) -> int& { return w.peephole[0]; }, "weight_ci" + suffix, units);
      if (v.peephole && v.forget_gate && !v.coupled_gates)
        f(i, [](WeightIndex& w) -> int& { return w.peephole[1]; }, "weight_cf" + suffix, units);
      if (v.peephole && v.output_gate)
        f(i, [](WeightIndex& w) -> int& { return w.peephole[2]; }, "weight_co" + suffix, units);
      if (const std::int64_t n = spec.recurrent_gates())
        f(i, [](WeightIndex& w) -> int& { return w.rr; }, "weight_rr" + suffix, Shape{n, n});
      if (!spec.layer_norm) continue;
      f(i, [](WeightIndex& w) -> int& { return w.gain_ih; }, "gain_ih" + suffix, Shape{rows});
      f(i, [](WeightIndex& w) -> int& { return w.gain_hh; }, "gain_hh" + suffix, Shape{rows});
      if (!spec.has_c()) continue;
      f(i, [](WeightIndex& w) -> int& { return w.gain_c; }, "gain_c" + suffix, units);
      if (spec.bias) f(i, [](WeightIndex& w) -> int& { return w.bias_c; }, "bias_c" + suffix, units);
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
