// Requests for memory that fail: each in turn, alone and with all that follow it. Whatever was asked for either works
// or throws std::bad_alloc, loses no memory, and works the next time with the same numbers.
#include <pthread.h>
#include <unistd.h>

#include <string>

#include "tests/support/kinds_of_words.h"
#include "tests/support/memory.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr long none = -1;
const bool few = std::getenv("GRU_NATIVE_FEW_SHAPES") != nullptr;  // instrumented code is slow

// f with a request that fails, for each of its requests until it makes no more. f returns what must not change.
template <class F>
void each_failure(const std::string& what, const F& f) {
  const auto expected = f();
  for (int i = 0; i < 5; ++i) f();  // arenas have their sizes by now, and edited layers keep their memory
  const long before = held.load();
  for (const bool alone : {true, false})
    for (long n = 1;; n += few && n > 5 ? 7 : 1) {
      bool worked = false;
      requests = 0;
      first_to_fail = n;
      last_to_fail = alone ? n : 1000000000;
      try {
        const auto values = f();
        worked = true;
        first_to_fail = last_to_fail = none;
        CHECK(values == expected, "%s: other numbers, request %ld", what.c_str(), n);
      } catch (const std::bad_alloc&) {
        first_to_fail = last_to_fail = none;
      }
      const bool reached = requests.load() >= n;
      CHECK(worked || reached, "%s: an error, and no request has failed", what.c_str());
      CHECK(f() == expected, "%s: other numbers after request %ld", what.c_str(), n);
      f();  // an arena that had to go is there again
      if (!reached) break;
      CHECK(n < 5000, "%s: no end", what.c_str());
      CHECK(held.load() <= before, "%s: %ld blocks are lost with request %ld", what.c_str(), held.load() - before, n);
    }
}

// Making a layer of a kind, editing it, and the calls of one that is there.
template <class L, class Spec, class Train>
void check(const char* name, const Spec& spec, const Train& train) {
  each_failure(std::string(name) + " made", [&] { return random_layer<L>(spec)->weights().size(); });
  const auto layer = random_layer<L>(spec);
  each_failure(std::string(name) + " trained", [&] { return train(*layer); });
  each_failure(std::string(name) + " edited", [&] {
    {
      std::vector<WeightEdit<float>> edits;
      edits.push_back(layer->edit());
      end_together(std::move(edits));
    }
    return train(*layer);
  });
}

void check_layers(int threads) {
  set_num_threads(threads);
  const bool large = threads > 1;  // large enough for more than one thread
  const std::int64_t hidden = large ? 64 : 6, steps = large ? 20 : 3;
  LayerSpec plain = spec_of(Cell::lstm, 5, hidden, 2, true), norm = spec_of(Cell::gru, 5, hidden);
  plain.dropout = 0.2;
  norm.layer_norm = true;
  LayerSpec projected = spec_of(Cell::lstm, 5, hidden, 1, false, hidden / 2);
  projected.lstm.peephole = true;
  projected.zoneout = 0.1;
  for (const LayerSpec& spec : {plain, norm, projected})
    check<Layer<float>>("Layer", spec, [&](const Layer<float>& l) { return train(l, steps, 4); });
  check<Dense<float>>("Dense", dense_of(5, hidden), [&](const Dense<float>& l) { return train(l, large ? 2000 : 7); });
  check<OutputRnn<float>>("OutputRnn", OutputRnnSpec{3, hidden, 4},
                          [&](const OutputRnn<float>& l) { return train(l, large ? 400 : 4, 3); });
  for (const TreeCell cell : {TreeCell::child_sum, TreeCell::nary})
    check<TreeLayer<float>>("TreeLayer", TreeSpec{cell, 3, hidden, cell == TreeCell::nary ? 2 : 1, true},
                            [&](const TreeLayer<float>& l) { return train(l, large ? 60 : 5); });
  check<GatedGraph<float>>("GatedGraph", GraphSpec{hidden, 2},
                           [&](const GatedGraph<float>& l) { return train(l, large ? 40 : 4); });
  check<GraphReadout<float>>("GraphReadout", ReadoutSpec{ReadoutKind::graph_sum, hidden, 3, 5},
                             [&](const GraphReadout<float>& l) { return train(l, large ? 900 : 4); });
  check<GatedRecursiveConv<float>>("GatedRecursiveConv", GrConvSpec{3, hidden},
                                   [&](const GatedRecursiveConv<float>& l) { return train(l, large ? 12 : 4, 2); });
  const auto small = random_layer<Layer<float>>(spec_of(Cell::lstm, 3, large ? 16 : 4));
  each_failure("Rtrl", [&] { return train_rtrl(small, 2, 3); });
  each_failure("quantized", [&] {
    Numbers y(static_cast<std::size_t>(hidden));
    const Numbers x = numbers(5, 3);
    Stream<float>(random_layer<Layer<float>>(spec_of(Cell::gru, 5, hidden))->quantize(Precision::int8))
        .process(x.data(), y.data(), 1);
    return y;
  });
  each_failure("cross_entropy", [&] { return cross_entropies(large ? 500 : 3, 40); });
  each_failure("ctc", [&] { return ctc_losses(large ? 100 : 6, 3, 30, 2); });
  each_failure("ctc_beam", [&] { return decoded_ctc(large ? 60 : 6, 3, 30, 4); });
  each_failure("transducer", [&] { return transducer_losses(large ? 40 : 6, 3, 30, 2); });
}

void check_words(int threads) {
  set_num_threads(threads);
  const bool large = threads > 1;  // then some kinds stand for all: what differs is the team
  for (int kind = large ? 3 : 0; kind < 4; ++kind)
    check<LargeSoftmax<float>>("LargeSoftmax", softmax_of(kind, large ? 3000 : 20),
                               [&](const LargeSoftmax<float>& l) { return train(l, large ? 60 : 5); });
  for (const OperationSpec& spec : operations(large ? 32 : 4)) {
    check<Operation<float>>("Operation", spec, [&](const Operation<float>& l) { return train(l, large ? 200 : 5, 3); });
    if (large) break;
  }
  const TransducerNetworks<float> networks = transducer_of(large ? 64 : 6, large ? 300 : 5);
  each_failure("transducer_beam", [&] { return decoded_transducer(networks, large ? 12 : 4, 2); });
  Dense<float> layer(dense_of(large ? 200 : 5, large ? 100 : 4));
  each_failure("Optimizer", [&] { return optimized(layer); });
}

void check_streams(int threads) {
  set_num_threads(threads);
  const auto model = chain_of<float>({spec_of(Cell::lstm, 5, 64), dense_of(64, 8)}, 4);
  constexpr std::int64_t frames = 100;
  const Numbers x = numbers(frames * 5, 1);
  const auto run = [&](Stream<float>& stream) {
    Numbers y(static_cast<std::size_t>(frames * 8));
    stream.reset();
    stream.process(x.data(), y.data(), frames);
    return y;
  };
  each_failure("Stream made", [&] {
    Stream<float> stream(model, 1, threads);
    return run(stream);
  });
  Stream<float> stream(model, 1, threads);
  each_failure("Stream at work", [&] { return run(stream); });
}

void check_decoders(int threads) {
  set_num_threads(threads);
  const bool large = threads > 1;
  const AttentionDecoderSpec spec = decoder_of(large ? 64 : 6, Attention::location);
  check<AttentionDecoder<float>>("AttentionDecoder", spec, [&](const AttentionDecoder<float>& decoder) {
    return train(decoder, large ? 6 : 2, large ? 8 : 2);
  });
  const auto decoder = random_layer<AttentionDecoder<float>>(spec);
  each_failure("generate", [&] { return generated(*decoder, large ? 8 : 2, 3, large ? 6 : 3); });
  const std::int64_t batch = large ? 16 : 2;
  const RandomMemory memory(spec, 6, batch);
  const auto run = [&](DecoderStream<float>& stream) { return streamed(stream, spec.vocab_size, 3); };
  each_failure("DecoderStream made", [&] {
    DecoderStream<float> stream(*decoder, memory.views(), batch);
    return run(stream);
  });
  DecoderStream<float> stream(*decoder, memory.views(), batch);
  each_failure("DecoderStream at work", [&] { return run(stream); });
  std::vector<float> logits(static_cast<std::size_t>(batch * spec.vocab_size));
  const std::vector<std::int64_t> tokens(static_cast<std::size_t>(batch), 1);
  const long before = requests;
  for (int step = 0; step < 20; ++step) stream.step(tokens.data(), logits.data());
  stream.load_state();
  CHECK(requests == before, "20 steps of a DecoderStream ask for memory %ld times", requests.load() - before);
}

void check_files() {
  const char* const folder = std::getenv("TMPDIR");
  const std::string path = std::string(folder ? folder : "/tmp") + "/gru_native_" + std::to_string(getpid()) + ".model";
  const auto model = chain_of<float>({spec_of(Cell::lstm, 2, 3), dense_of(3, 2)}, 4);
  each_failure("saved", [&] {
    model->save(path);
    return true;
  });
  each_failure("loaded", [&] { return BasicModel<float>::load(path)->blocks().size(); });
  unlink(path.c_str());
}

// A team of another size is made in the first call that wants it.
void check_growth() {
  const auto layer = random_layer<Layer<float>>(spec_of(Cell::lstm, 5, 64));
  each_failure("a team", [&] {
    set_num_threads(2);
    Numbers y = train(*layer, 20, 4);
    set_num_threads(5);
    return train(*layer, 20, 4) == y;
  });
}

}  // namespace

int main() {
  set_adaptive_threads(false);  // a call that comes to have more members than the one before asks for more
  for (const int threads : {1, 2}) {
    if (threads == 1 || !few) check_layers(threads), check_words(threads);
    check_streams(threads);
    if (threads == 1 || !few) check_decoders(threads);
  }
  check_files();
  check_growth();
  return done("allocations");
}
