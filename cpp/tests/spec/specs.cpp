// What no spec may be: values that are none of an enum's, in every enum of every spec.
#include <stdexcept>
#include <string>

#include "gru_native/attention_decoder.h"
#include "gru_native/large_softmax.h"
#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

// good is accepted; what `set` makes of it with a number beyond the enum is refused, and the text names the field.
template <class Enum, class Spec, class Set>
void check_enum(const Spec& good, const char* field, int count, const Set& set) {
  good.validate();
  for (const int number : {-1, count, 99, 1 << 30}) {
    Spec spec = good;
    set(spec, static_cast<Enum>(number));
    const std::string text = std::string(field) + " is " + std::to_string(number) + "; expected a";
    CHECK(throws<std::invalid_argument>([&] { spec.validate(); }, text.c_str()), "no error for %s", text.c_str());
  }
}

void check_enums() {
  const LayerSpec layer = spec_of(Cell::lstm, 3, 4), gru = spec_of(Cell::gru, 3, 4), rnn = spec_of(Cell::rnn, 3, 4);
  check_enum<Cell>(layer, "cell", 5, [](auto& s, Cell v) { s.cell = v; });
  const auto function = [](const LayerSpec& good, const char* field, auto member) {
    check_enum<Activation>(good, field, 12, [&](auto& s, Activation v) { member(s) = v; });
  };
  function(layer, "input_activation", [](auto& s) -> auto& { return s.lstm.input_activation; });
  function(layer, "output_activation", [](auto& s) -> auto& { return s.lstm.output_activation; });
  function(layer, "gate_activation", [](auto& s) -> auto& { return s.gate_activation; });
  function(gru, "candidate_activation", [](auto& s) -> auto& { return s.candidate_activation; });
  function(rnn, "nonlinearity", [](auto& s) -> auto& { return s.nonlinearity; });
  check_enum<DenseActivation>(dense_of(3, 4), "activation", 6, [](auto& s, DenseActivation v) { s.activation = v; });
  const GraphSpec graph{4, 2};
  check_enum<Aggregate>(graph, "aggregate", 2, [](auto& s, Aggregate v) { s.aggregate = v; });
  check_enum<MessageBias>(graph, "bias", 3, [](auto& s, MessageBias v) { s.bias = v; });
  const TreeSpec tree{TreeCell::nary, 3, 4, 2, true};
  check_enum<TreeCell>(tree, "cell", 2, [](auto& s, TreeCell v) { s.cell = v; });
  const ReadoutSpec readout{ReadoutKind::node_scores, 4, 3, 1};
  check_enum<ReadoutKind>(readout, "kind", 2, [](auto& s, ReadoutKind v) { s.kind = v; });
  // These have the first four functions.
  const GrConvSpec conv{3, 4};
  check_enum<Activation>(conv, "activation", 4, [](auto& s, Activation v) { s.activation = v; });
  const OutputRnnSpec output{3, 4, 2};
  check_enum<Activation>(output, "activation", 4, [](auto& s, Activation v) { s.activation = v; });
  check_enum<Activation>(output, "output_activation", 4, [](auto& s, Activation v) { s.output_activation = v; });
  AttentionDecoderSpec decoder;
  decoder.vocab_size = decoder.embedding_dim = decoder.hidden_size = decoder.memory_size = 3;
  check_enum<Attention>(decoder, "attention", 5, [](auto& s, Attention v) { s.attention = v; });
  check_enum<ReadoutFunction>(decoder, "readout", 2, [](auto& s, ReadoutFunction v) { s.readout = v; });
  LargeSoftmaxSpec softmax;
  softmax.input_size = softmax.vocab_size = 3;
  softmax.kind = SampledSoftmax{2, Proposal::uniform, {}};
  check_enum<Proposal>(softmax, "proposal", 3,
                       [](auto& s, Proposal v) { std::get<SampledSoftmax>(s.kind).proposal = v; });
  softmax.kind = NoiseContrastive{2, Proposal::uniform, {}};
  check_enum<Proposal>(softmax, "proposal", 3,
                       [](auto& s, Proposal v) { std::get<NoiseContrastive>(s.kind).proposal = v; });
  const auto operation = [](auto kind, const char* field, auto first, int count, auto member) {
    OperationSpec good;
    good.kind = kind;
    check_enum<decltype(first)>(
        good, field, count, [&](OperationSpec& s, decltype(first) v) { member(std::get<decltype(kind)>(s.kind)) = v; });
  };
  Conv1dSpec convolution;
  convolution.in_channels = convolution.out_channels = convolution.kernel_size = 2;
  operation(convolution, "padding", Padding::causal, 4, [](auto& s) -> auto& { return s.padding.kind; });
  operation(convolution, "activation", Activation::tanh, 12, [](auto& s) -> auto& { return s.activation.kind; });
  operation(ActivationSpec{}, "name", Activation::tanh, 12, [](auto& s) -> auto& { return s.function.kind; });
  operation(PoolSpec{}, "kind", PoolSpec::last, 3, [](auto& s) -> auto& { return s.kind; });
}

// Nor is a layer made of one.
void check_layers() {
  LayerSpec layer = spec_of(Cell::lstm, 3, 4);
  layer.cell = static_cast<Cell>(99);
  CHECK(throws<std::invalid_argument>([&] { Layer<float>{layer}; }, "cell is 99; expected a Cell"), "no error");
  TreeSpec tree{static_cast<TreeCell>(2), 3, 4, 1, true};
  CHECK(throws<std::invalid_argument>([&] { TreeLayer<float>{tree}; }, "cell is 2; expected a TreeCell"), "no error");
}

}  // namespace

int main() {
  check_enums();
  check_layers();
  return done("specs");
}
