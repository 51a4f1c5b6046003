// The options of every kind of layer, each list once: from these come constructors in Python, what model files say and
// how a layer is described. A new option is a line here, beside its field in the spec and its check.
#pragma once
#include <iterator>
#include <optional>
#include <string>
#include <variant>

#include "gru_native/attention_decoder.h"
#include "gru_native/graph.h"
#include "gru_native/grconv.h"
#include "gru_native/large_softmax.h"
#include "gru_native/model.h"
#include "gru_native/output_rnn.h"
#include "gru_native/readout.h"
#include "gru_native/tree.h"
#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {

// each_option(spec, f) calls f(name, value) for each; f may change the value. A text that f sets where it names a
// choice must be one of that choice: std::invalid_argument.

namespace detail {

template <class Enum, std::size_t n, class F>
void choice(const char* option, Enum& value, const char* const (&names)[n], const F& f) {
  std::string text = names[static_cast<int>(value)];
  f(option, text);
  value = named<Enum>(option, text, names);
}

// A size that may be left out: 0 in the spec.
template <class F>
void size_or_none(const char* option, std::int64_t& value, const F& f) {
  std::optional<std::int64_t> given;
  if (value != 0) given = value;
  f(option, given);
  if (given) check_size(option, *given, 1);
  value = given.value_or(0);
}

// Of a pool: none is that of its windows.
template <class F>
void stride(std::int64_t& value, const F& f) {
  size_or_none("stride", value, f);
}

// The alternative of this type, a new one if it was another.
template <class Kind, class Variant>
void hold(Variant& kind) {
  if (!std::holds_alternative<Kind>(kind)) kind = Kind();
}

template <class F>
void stride(Size2d& value, const F& f) {
  std::optional<Size2d> given;
  if (value.height != 0 || value.width != 0) given = value;
  f("stride", given);
  if (given) check_size("stride.height", given->height, 1), check_size("stride.width", given->width, 1);
  value = given.value_or(Size2d{0, 0});
}

// Of sequences and of images alike.
template <class Spec, class F>
void convolution(Spec& s, const F& f) {
  f("in_channels", s.in_channels);
  f("out_channels", s.out_channels);
  f("kernel_size", s.kernel_size);
  f("stride", s.stride);
  f("dilation", s.dilation);
  f("groups", s.groups);
  f("padding", s.padding);
  f("bias", s.bias);
  f("activation", s.activation);
}
template <class Spec, class F>
void max_pool(Spec& s, const F& f) {
  f("kernel_size", s.kernel_size);
  stride(s.stride, f);
  f("padding", s.padding);
  f("dilation", s.dilation);
  f("ceil_mode", s.ceil_mode);
}
template <class Spec, class F>
void avg_pool(Spec& s, const F& f) {
  f("kernel_size", s.kernel_size);
  stride(s.stride, f);
  f("padding", s.padding);
  f("ceil_mode", s.ceil_mode);
  f("count_include_pad", s.count_include_pad);
}

// The two functions that have a Cell of their own keep it.
inline void set_rnn_function(LayerSpec& s, const ActivationFunction& f) {
  s.cell = f == Activation::tanh ? Cell::rnn_tanh : f == Activation::relu ? Cell::rnn_relu : Cell::rnn;
  s.nonlinearity = s.cell == Cell::rnn ? f : ActivationFunction(Activation::tanh);
}

}  // namespace detail

template <class F>
void each_option(LayerSpec& s, const F& f) {
  const bool lstm = s.cell == Cell::lstm, gru = s.cell == Cell::gru;
  f("input_size", s.input_size);
  f("hidden_size", s.hidden_size);
  f("num_layers", s.num_layers);
  if (!lstm && !gru) {
    ActivationFunction function = s.rnn_function();
    f("nonlinearity", function);
    detail::set_rnn_function(s, function);
  }
  f("bias", s.bias);
  f("dropout", s.dropout);
  f("zoneout", s.zoneout);
  f("bidirectional", s.bidirectional);
  f("learn_initial_state", s.learn_initial_state);
  if (lstm) {
    f("proj_size", s.proj_size);
    f("nonrecurrent_proj_size", s.nonrecurrent_proj_size);
    f("peephole", s.lstm.peephole);
    f("coupled_gates", s.lstm.coupled_gates);
    f("input_gate", s.lstm.input_gate);
    f("forget_gate", s.lstm.forget_gate);
    f("output_gate", s.lstm.output_gate);
    f("input_activation", s.lstm.input_activation);
    f("output_activation", s.lstm.output_activation);
    f("cell_clip", s.lstm.cell_clip);
    f("gate_recurrence", s.lstm.gate_recurrence);
    f("zoneout_cell", s.zoneout_cell);
  }
  if (gru) {
    f("reset_after", s.reset_after);
    f("candidate_activation", s.candidate_activation);
  }
  if (lstm || gru) {
    f("layer_norm", s.layer_norm);
    f("gate_activation", s.gate_activation);
  }
  f("activation_clip", s.activation_clip);
}

template <class F>
void each_option(DenseSpec& s, const F& f) {
  f("input_size", s.input_size);
  f("output_size", s.output_size);
  f("bias", s.bias);
  detail::choice("activation", s.activation, dense_activation_names, f);
}

template <class F>
void each_option(ActivationSpec& s, const F& f) {
  f("name", s.function);
}
template <class F>
void each_option(LayerNormSpec& s, const F& f) {
  f("normalized_shape", s.normalized_shape);
  f("eps", s.eps);
  f("elementwise_affine", s.elementwise_affine);
  f("bias", s.bias);
}
template <class F>
void each_option(BatchNorm1dSpec& s, const F& f) {
  f("num_features", s.num_features);
  f("eps", s.eps);
  f("momentum", s.momentum);
  f("affine", s.affine);
}
template <class F>
void each_option(EmbeddingSpec& s, const F& f) {
  f("num_embeddings", s.num_embeddings);
  f("embedding_dim", s.embedding_dim);
  std::optional<std::int64_t> padding_idx;
  if (s.padding_idx >= 0) padding_idx = s.padding_idx;
  f("padding_idx", padding_idx);
  s.padding_idx = padding_idx.value_or(-1);
}
template <class F>
void each_option(Conv1dSpec& s, const F& f) {
  detail::convolution(s, f);
}
template <class F>
void each_option(PoolSpec& s, const F& f) {
  detail::choice("kind", s.kind, pool_names, f);
}
template <class F>
void each_option(MaxPool1dSpec& s, const F& f) {
  detail::max_pool(s, f);
}
template <class F>
void each_option(AvgPool1dSpec& s, const F& f) {
  detail::avg_pool(s, f);
}
template <class F>
void each_option(ImageSpec& s, const F& f) {
  detail::size_or_none("features", s.features, f);
}
template <class F>
void each_option(ColumnsSpec&, const F&) {}
template <class F>
void each_option(Conv2dSpec& s, const F& f) {
  detail::convolution(s, f);
}
template <class F>
void each_option(MaxPool2dSpec& s, const F& f) {
  detail::max_pool(s, f);
}
template <class F>
void each_option(AvgPool2dSpec& s, const F& f) {
  detail::avg_pool(s, f);
  detail::size_or_none("divisor_override", s.divisor_override, f);
}
template <class F>
void each_option(BranchSpec& s, const F& f) {
  detail::choice("mark", s.mark, branch_names, f);
}
template <class F>
void each_option(OperationSpec& s, const F& f) {
  std::visit([&](auto& kind) { each_option(kind, f); }, s.kind);
}

template <class F>
void each_option(OutputRnnSpec& s, const F& f) {
  f("input_size", s.input_size);
  f("hidden_size", s.hidden_size);
  f("output_size", s.output_size);
  f("bias", s.bias);
  detail::choice("activation", s.activation, activation_names, f);
  detail::choice("output_activation", s.output_activation, activation_names, f);
}

template <class F>
void each_option(GrConvSpec& s, const F& f) {
  f("input_size", s.input_size);
  f("hidden_size", s.hidden_size);
  detail::choice("activation", s.activation, activation_names, f);
}

template <class F>
void each_option(TreeSpec& s, const F& f) {
  f("input_size", s.input_size);
  f("hidden_size", s.hidden_size);
  std::optional<std::int64_t> arity;  // none: child_sum
  if (s.cell == TreeCell::nary) arity = s.arity;
  f("arity", arity);
  s.cell = arity ? TreeCell::nary : TreeCell::child_sum;
  s.arity = arity.value_or(1);
  f("bias", s.bias);
}

template <class F>
void each_option(GraphSpec& s, const F& f) {
  f("hidden_size", s.hidden_size);
  f("num_steps", s.num_steps);
  f("num_edge_types", s.num_edge_types);
  detail::choice("aggregate", s.aggregate, aggregate_names, f);
  std::optional<std::string> bias;
  if (s.bias != MessageBias::none) bias = s.bias == MessageBias::edge ? "edge" : "node";
  f("bias", bias);
  if (bias && *bias != "edge" && *bias != "node")
    throw std::invalid_argument("bias is \"" + shown(*bias) + "\"; expected \"edge\", \"node\" or None");
  s.bias = !bias ? MessageBias::none : *bias == "edge" ? MessageBias::edge : MessageBias::node;
  f("reset_after", s.reset_after);
}

template <class F>
void each_option(ReadoutSpec& s, const F& f) {
  bool sums = s.kind == ReadoutKind::graph_sum;
  f("sums", sums);
  s.kind = sums ? ReadoutKind::graph_sum : ReadoutKind::node_scores;
  f("hidden_size", s.hidden_size);
  f("annotation_size", s.annotation_size);
  f("output_size", s.output_size);
}

template <class F>
void each_option(AttentionDecoderSpec& s, const F& f) {
  const auto size_or_hidden = [&](const char* name, std::int64_t& size) {
    std::optional<std::int64_t> given;  // none: hidden_size
    if (size > 0) given = size;
    f(name, given);
    if (given) check_size(name, *given, 1);
    size = given.value_or(0);
  };
  f("vocab_size", s.vocab_size);
  f("embedding_dim", s.embedding_dim);
  f("hidden_size", s.hidden_size);
  f("memory_size", s.memory_size);
  const char* const cells[] = {"lstm", "gru"};
  std::string cell = cells[s.cell == Cell::gru];
  f("cell", cell);
  s.cell = place_of("cell", cell, cells, std::size(cells)) == 0 ? Cell::lstm : Cell::gru;
  f("num_layers", s.num_layers);
  std::optional<std::string> attention;
  if (s.attention != Attention::none) attention = attention_names[static_cast<int>(s.attention)];
  f("attention", attention);
  const std::size_t kinds = std::size(attention_names) - 1;  // but for "none"
  s.attention = attention ? static_cast<Attention>(1 + place_of("attention", *attention, attention_names + 1, kinds))
                          : Attention::none;
  size_or_hidden("attention_size", s.attention_size);
  f("num_memories", s.num_memories);
  f("input_feeding", s.input_feeding);
  size_or_hidden("readout_size", s.readout_size);
  detail::choice("readout", s.readout, readout_names, f);
  f("location_channels", s.location_channels);
  f("location_width", s.location_width);
  f("dropout", s.dropout);
}

// A softmax over a large vocabulary is described by the name of its class, too.
template <class F>
void each_option(LargeSoftmaxSpec& s, const F& f) {
  std::string type = large_softmax_names[s.kind.index()];
  f("type", type);
  switch (named<LargeSoftmaxKind>("type", type, large_softmax_names)) {
    case LargeSoftmaxKind::sampled: detail::hold<SampledSoftmax>(s.kind); break;
    case LargeSoftmaxKind::contrastive: detail::hold<NoiseContrastive>(s.kind); break;
    case LargeSoftmaxKind::classes: detail::hold<ClassSoftmax>(s.kind); break;
    case LargeSoftmaxKind::tree: detail::hold<TreeSoftmax>(s.kind); break;
  }
  f("input_size", s.input_size);
  f("vocab_size", s.vocab_size);
  f("bias", s.bias);
  const auto sampling = [&](auto& kind) {
    f("num_samples", kind.num_samples);
    detail::choice("proposal", kind.proposal, proposal_names, f);
  };
  if (auto* sampled = std::get_if<SampledSoftmax>(&s.kind)) sampling(*sampled);
  if (auto* contrastive = std::get_if<NoiseContrastive>(&s.kind)) sampling(*contrastive);
}
// f(name, list): a number for each word, or none.
template <class F>
void each_list(LargeSoftmaxSpec& s, const F& f) {
  if (auto* classes = std::get_if<ClassSoftmax>(&s.kind)) return f("classes", classes->classes);
  if (auto* sampled = std::get_if<SampledSoftmax>(&s.kind)) return f("counts", sampled->counts);
  if (auto* contrastive = std::get_if<NoiseContrastive>(&s.kind)) return f("counts", contrastive->counts);
  f("counts", std::get<TreeSoftmax>(s.kind).counts);
}

// Of a block of a model file; beside these it has a type and a prefix.
template <class F>
void each_option(BlockSpec& block, const F& f) {
  std::visit([&](auto& spec) { each_option(spec, f); }, block.spec);
  f("batch_first", block.batch_first);
  std::visit([&](auto& spec) { detail::choice("precision", spec.precision, precision_names, f); }, block.spec);
}

const char* type_of(const OperationSpec& spec);    // the class in Python
const char* type_of(const BlockSpec& block);       // likewise: "RNN", "LSTM", "GRU", "Dense" or an operation's
BlockSpec block_of_type(const std::string& type);  // throws std::invalid_argument

}  // namespace gru_native
