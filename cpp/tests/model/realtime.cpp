// Stream::process asks for no memory: every request of the process is counted, from the first call on. Nor does the end
// of an edit, so that it cannot fail.
//
//   test_realtime          the test
//   test_realtime FRAMES   streams so many frames and does nothing else, for strace (strace_stream.py)
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "tests/support/chain.h"
#include "tests/support/memory.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

long asked() { return requests + returns; }

void check(Stream<float> stream, std::int64_t inputs, std::int64_t outputs, std::int64_t batch, float value = 0.5f) {
  constexpr std::size_t most = 4096;
  const std::vector<float> in(most * static_cast<std::size_t>(batch * inputs), value);
  std::vector<float> out(most * static_cast<std::size_t>(batch * outputs)), state(stream.state_size());
  const long before = asked();
  for (const std::size_t frames : {std::size_t(1), std::size_t(2), std::size_t(64), std::size_t(257), most})
    stream.process(in.data(), out.data(), frames);
  stream.save_state(state.data());
  stream.load_state(state.data());
  stream.prewarm(100);
  stream.reset();
  const long made = asked() - before;
  CHECK(made == 0, "%ld requests for memory", made);
  CHECK(std::any_of(out.begin(), out.end(), [](float v) { return v != 0; }), "nothing was computed");
}

void check(const std::vector<AnySpec>& specs, std::int64_t batch) {
  const auto model = chain_of<float>(specs, 3);
  check(Stream(model, batch), model->input_size(), model->output_size(), batch);
}

void check_few_bits(const LayerSpec& spec, std::int64_t batch) {
  Layer<float> layer(spec);
  {
    const auto edit = layer.edit();
    for (const auto& w : edit.weights()) std::fill(w.begin(), w.end(), 0.1f);
  }
  for (const Precision precision : {Precision::int8, Precision::bf16})
    check(Stream<float>(layer.quantize(precision), batch), spec.input_size, spec.output_size(), batch);
}

template <class Kind>
ModelBlock<float> operation(const Kind& kind) {
  OperationSpec spec;
  spec.kind = kind;
  auto made = std::make_shared<Operation<float>>(spec);
  randomize(*made, 7);
  if constexpr (std::is_same_v<Kind, BatchNorm1dSpec>) {
    auto edit = made->edit();
    for (float& var : edit["running_var"]) var = 1 + std::abs(var);
  }
  return std::shared_ptr<const Operation<float>>(std::move(made));
}

// Of every block that streams: alone behind a dense layer, and all of them one after the other with paths around.
void check_blocks(std::int64_t batch) {
  constexpr std::int64_t size = 6;
  Conv1dSpec causal, strided, groups;
  causal.in_channels = causal.out_channels = causal.kernel_size = size;
  groups = strided = causal;
  causal.dilation = 3;
  strided.stride = 2;
  strided.padding.kind = Padding::valid;
  groups.groups = 3;
  const std::vector<ModelBlock<float>> kinds{
      operation(causal),
      operation(strided),
      operation(groups),
      operation(MaxPool1dSpec{3, 2}),
      operation(AvgPool1dSpec{2, 1}),
      operation(LayerNormSpec{size}),
      operation(BatchNorm1dSpec{size}),
      operation(ActivationSpec{Activation::tanh}),
  };
  LayerSpec learned = spec_of(Cell::lstm, size, size);
  learned.learn_initial_state = true;
  std::vector<ModelBlock<float>> all = chain_of<float>({dense_of(size, size), learned}, 5)->blocks();
  const ModelBlock<float> dense = all[0];
  for (const ModelBlock<float>& kind : kinds) {
    check(Stream(std::make_shared<const Model>(std::vector<ModelBlock<float>>{dense, kind}), batch), size, size, batch);
    all.push_back(kind);
  }
  for (const auto join : {BranchSpec::add, BranchSpec::multiply, BranchSpec::concat})
    for (const ModelBlock<float>& block : parallel<float>({{dense}, {operation(causal), kinds[7]}, {}}, join))
      all.push_back(block);
  const auto model = std::make_shared<const Model>(all);
  check(Stream(model, batch), model->input_size(), model->output_size(), batch);
  const std::vector<ModelBlock<float>> words{operation(EmbeddingSpec{3, size}), dense};
  check(Stream(std::make_shared<const Model>(words), batch), 1, size, batch, 2.0f);
}

template <class L, class Spec>
void check_edit(const Spec& spec) {
  L layer(spec);
  {
    const auto edit = layer.edit();
    edit[0][0] = 1;
    first_to_fail = 0;
    last_to_fail = std::numeric_limits<long>::max();
  }
  last_to_fail = -1;
  CHECK(layer.weights()[0][0] == 1, "no weight was written");
}

void check_edits() {
  for (const LayerSpec& spec : all_cells(3, 20, 2, true)) check_edit<Layer<float>>(spec);
  check_edit<Dense<float>>(dense_of(3, 20));
  for (const TreeCell cell : {TreeCell::child_sum, TreeCell::nary})
    check_edit<TreeLayer<float>>(TreeSpec{cell, 3, 20, cell == TreeCell::nary ? 2 : 1, true});
  check_edit<GatedGraph<float>>(GraphSpec{20, 2});
  check_edit<GatedRecursiveConv<float>>(GrConvSpec{3, 20});
  check_edit<GraphReadout<float>>(ReadoutSpec{ReadoutKind::graph_sum, 20, 3, 5});
  check_edit<OutputRnn<float>>(OutputRnnSpec{3, 20, 5});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2) {
    Stream stream(chain_of<float>({spec_of(Cell::lstm, 1, 24), spec_of(Cell::gru, 24, 16), dense_of(16, 1)}, 1));
    float x[64] = {1}, y[64];
    for (long left = std::atol(argv[1]); left > 0; left -= 64) stream.process(x, y, 64);
    return 0;
  }
  const long before = asked();
  int* volatile number = new int(3);  // volatile: a compiler may leave out what nobody sees
  delete number;
  void* volatile bytes = std::malloc(9);
  std::free(bytes);
  const long counted = asked() - before;
  CHECK(counted >= (counts_malloc ? 4 : 2), "only %ld requests are seen", counted);
  check_edits();
  check_blocks(1);
  check_blocks(3);
  for (std::int64_t layers = 1; layers <= 4; ++layers)
    for (const LayerSpec& spec : all_cells(2, 12, layers, false)) {
      check({spec}, 1);
      check_few_bits(spec, 1);
      check({spec, dense_of(spec.output_size(), 3, DenseActivation::softmax)}, 1);
      check({spec, dense_of(spec.output_size(), 5), spec_of(Cell::gru, 5, 7), dense_of(7, 1)}, 2);
    }
  return done("realtime");
}
