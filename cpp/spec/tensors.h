// The tensors of a layer: torch's names and shapes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "gru_native/dense.h"
#include "gru_native/graph.h"
#include "gru_native/layer.h"
#include "gru_native/operation.h"
#include "gru_native/output_rnn.h"
#include "gru_native/readout.h"
#include "gru_native/tree.h"

namespace gru_native {

// Where the tensors of one direction lie in the layer's list; -1: not there.
struct WeightIndex {
  int ih = -1, hh = -1, bias_ih = -1, bias_hh = -1, hr = -1, hp = -1, peephole[3] = {-1, -1, -1}, rr = -1;
  int gain_ih = -1, gain_hh = -1, gain_c = -1, bias_c = -1, h0 = -1, c0 = -1;
};

// Whether quantize() makes few bits of it. A table of biases stays as it is, as every vector does.
inline bool is_matrix(const std::string& name, const std::vector<std::int64_t>& shape) {
  return shape.size() > 1 && name.compare(0, 4, "bias") != 0;
}

// f(layer * directions + direction, its place in a WeightIndex, name, shape), one after the other.
template <class F>
void each_weight(const LayerSpec& spec, const F& f) {
  const std::int64_t rows = spec.gates() * spec.hidden_size;
  std::int64_t i = 0;
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
      if (spec.learn_initial_state) {
        f(i, [](WeightIndex& w) -> int& { return w.h0; }, "h0" + suffix, Shape{spec.state_size()});
        if (spec.has_c()) f(i, [](WeightIndex& w) -> int& { return w.c0; }, "c0" + suffix, units);
      }
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
  each_weight(spec, [&](std::int64_t, auto, const std::string& name, const std::vector<std::int64_t>& shape) {
    f(name, shape);
  });
}
template <class F>
void each_name(const DenseSpec& spec, const F& f) {
  f(std::string("weight"), std::vector<std::int64_t>{spec.output_size, spec.input_size});
  if (spec.bias) f(std::string("bias"), std::vector<std::int64_t>{spec.output_size});
}
template <class F>
void each_name(const OutputRnnSpec& spec, const F& f) {
  using Shape = std::vector<std::int64_t>;
  f(std::string("weight_ih"), Shape{spec.hidden_size, spec.input_size});
  f(std::string("weight_oh"), Shape{spec.hidden_size, spec.output_size});
  if (spec.bias) f(std::string("bias_h"), Shape{spec.hidden_size});
  f(std::string("weight_ho"), Shape{spec.output_size, spec.hidden_size});
  if (spec.bias) f(std::string("bias_o"), Shape{spec.output_size});
}
template <class F>
void each_name(const TreeSpec& spec, const F& f) {
  using Shape = std::vector<std::int64_t>;
  const std::int64_t hidden = spec.hidden_size, inner = spec.arity * hidden;
  f(std::string("weight_ih"), Shape{4 * hidden, spec.input_size});
  if (spec.cell == TreeCell::nary) {
    f(std::string("weight_hh_iog"), Shape{3 * hidden, inner});
    f(std::string("weight_hh_f"), Shape{inner, inner});
  } else {
    f(std::string("weight_hh"), Shape{4 * hidden, hidden});
  }
  if (spec.bias) f(std::string("bias"), Shape{4 * hidden});
}
template <class F>
void each_name(const GraphSpec& spec, const F& f) {
  using Shape = std::vector<std::int64_t>;
  const std::int64_t hidden = spec.hidden_size;
  f(std::string("weight_edge"), Shape{spec.kinds(), hidden, hidden});
  if (spec.bias == MessageBias::edge) f(std::string("bias_edge"), Shape{spec.kinds(), hidden});
  if (spec.bias == MessageBias::node) f(std::string("bias_node"), Shape{spec.inputs()});
  f(std::string("weight_ih"), Shape{3 * hidden, spec.inputs()});
  f(std::string("weight_hh"), Shape{3 * hidden, hidden});
  f(std::string("bias_ih"), Shape{3 * hidden});
  f(std::string("bias_hh"), Shape{3 * hidden});
}
template <class F>
void each_name(const ReadoutSpec& spec, const F& f) {
  const std::vector<std::int64_t> matrix{spec.output_size, spec.hidden_size + spec.annotation_size};
  const std::vector<std::int64_t> bias{spec.output_size};
  f(std::string("weight_f"), matrix);
  f(std::string("weight_g"), matrix);
  f(std::string("bias_f"), bias);
  f(std::string("bias_g"), bias);
}
template <class F>
void each_name(const ActivationSpec&, const F&) {}
template <class F>
void each_name(const PoolSpec&, const F&) {}
template <class F>
void each_name(const MaxPool1dSpec&, const F&) {}
template <class F>
void each_name(const AvgPool1dSpec&, const F&) {}
template <class F>
void each_name(const BranchSpec&, const F&) {}
template <class F>
void each_name(const MaxPool2dSpec&, const F&) {}
template <class F>
void each_name(const AvgPool2dSpec&, const F&) {}
template <class F>
void each_name(const ImageSpec&, const F&) {}
template <class F>
void each_name(const ColumnsSpec&, const F&) {}
template <class F>
void each_name(const LayerNormSpec& spec, const F& f) {
  if (!spec.elementwise_affine) return;
  f(std::string("weight"), std::vector<std::int64_t>{spec.normalized_shape});
  if (spec.bias) f(std::string("bias"), std::vector<std::int64_t>{spec.normalized_shape});
}
template <class F>
void each_name(const BatchNorm1dSpec& spec, const F& f) {
  const std::vector<std::int64_t> columns{spec.num_features};
  if (spec.affine) f(std::string("weight"), columns);
  if (spec.affine) f(std::string("bias"), columns);
  f(std::string("running_mean"), columns);
  f(std::string("running_var"), columns);
}
template <class F>
void each_name(const EmbeddingSpec& spec, const F& f) {
  f(std::string("weight"), std::vector<std::int64_t>{spec.num_embeddings, spec.embedding_dim});
}
template <class F>
void each_name(const Conv1dSpec& spec, const F& f) {
  f(std::string("weight"),
    std::vector<std::int64_t>{spec.out_channels, spec.in_channels / spec.groups, spec.kernel_size});
  if (spec.bias) f(std::string("bias"), std::vector<std::int64_t>{spec.out_channels});
}
template <class F>
void each_name(const Conv2dSpec& spec, const F& f) {
  f(std::string("weight"), std::vector<std::int64_t>{spec.out_channels, spec.in_channels / spec.groups,
                                                     spec.kernel_size.height, spec.kernel_size.width});
  if (spec.bias) f(std::string("bias"), std::vector<std::int64_t>{spec.out_channels});
}
template <class F>
void each_name(const OperationSpec& spec, const F& f) {
  std::visit([&](const auto& s) { each_name(s, f); }, spec.kind);
}

}  // namespace gru_native
