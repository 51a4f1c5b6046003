// The team, streams, pools of sessions, training, edits and commits, all at once from many threads: each gets the
// numbers that it gets alone. Above all for the thread sanitizer.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "tests/support/kinds_of_words.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr std::int64_t seq_len = 6, inputs = 5, outputs = 4;
const bool few = std::getenv("GRU_NATIVE_FEW_SHAPES") != nullptr;  // instrumented code is slow

// A chain whose layers are edited as one, with weights of either of two kinds.
struct Edited {
  std::shared_ptr<Layer<float>> gru = std::make_shared<Layer<float>>(spec_of(Cell::gru, inputs, 70, 2));
  std::shared_ptr<Dense<float>> dense = std::make_shared<Dense<float>>(dense_of(70, outputs));
  std::shared_ptr<const Model> model = std::make_shared<const Model>(std::vector<ModelBlock<float>>{
      std::shared_ptr<const Layer<float>>(gru), std::shared_ptr<const Dense<float>>(dense)});
  Numbers x = numbers(seq_len * inputs, 1);

  void become(unsigned kind) const {
    std::vector<WeightEdit<float>> edits;
    edits.push_back(gru->edit());
    edits.push_back(dense->edit());
    for (const WeightEdit<float>& edit : edits)
      for (const Weight<float>& w : edit) {
        const Numbers values = numbers(w.size(), 10 + kind);
        std::copy(values.begin(), values.end(), w.data);
      }
    end_together(std::move(edits));
  }
  Numbers call() const {
    Numbers y(seq_len * outputs);
    ModelCall<float> call;
    call.seq_len = seq_len;
    call.batch = 1;
    call.x = time_major(x.data(), 1, inputs);
    call.y = time_major(y.data(), 1, outputs);
    model->forward(call);
    return y;
  }
  Numbers stream() const {
    Numbers y(seq_len * outputs);
    Stream<float> first(model, 1, 2);
    first.process(x.data(), y.data(), seq_len / 2);
    Stream<float> second(first);  // a copy goes on with the weights of the first
    second.process(x.data() + seq_len / 2 * inputs, y.data() + seq_len / 2 * outputs, seq_len - seq_len / 2);
    return y;
  }
};

// A session that is opened, goes forward with another one beside it, moves to another place, and is closed.
Numbers session(SessionPool<float>& pool, const Numbers& x) {
  const std::int64_t two[] = {pool.open(), pool.open()};
  const std::int64_t in = pool.input_size(), out = pool.output_size(), half = seq_len / 2;
  Numbers y(static_cast<std::size_t>(seq_len * out)), both(static_cast<std::size_t>(seq_len * out * 2));
  const auto go = [&](std::int64_t first, std::int64_t at) {
    const std::int64_t ids[] = {first, two[0]};
    const Sequences<const float> from{x.data() + at * in, in, 0};  // the same for both
    pool.step({ids, 2, half, from, time_major(both.data(), 2, out)});
    for (std::int64_t t = 0; t < half; ++t) std::copy_n(both.data() + t * 2 * out, out, y.data() + (at + t) * out);
  };
  go(two[1], 0);
  const std::int64_t moved = pool.open();
  Numbers state(static_cast<std::size_t>(pool.state_size()));
  pool.save_state(two[1], state.data());
  pool.load_state(moved, state.data());
  pool.close(two[1]);
  go(moved, half);
  pool.close(moved);
  pool.close(two[0]);
  return y;
}

}  // namespace

int main() {
  set_num_threads(2);
  const Edited edited;
  std::vector<Numbers> either;
  for (const unsigned kind : {0U, 1U}) {
    edited.become(kind);
    either.push_back(edited.call());
    CHECK(edited.stream() == either.back(), "a stream has other numbers");
  }
  CHECK(either[0] != either[1], "weights make no difference");

  Layer<float> fixed(spec_of(Cell::lstm, inputs, 70));
  randomize(fixed, 20);
  const Numbers trained = train(fixed, 30, 3);
  const Numbers x = numbers(seq_len * inputs, 3);
  Numbers by_stream(static_cast<std::size_t>(seq_len * 70));
  Stream<float>(fixed).process(x.data(), by_stream.data(), seq_len);
  SessionPool<float> pool(fixed, 6, 2);
  const auto decoder = random_layer<AttentionDecoder<float>>(decoder_of(40, Attention::additive));
  const Numbers written = generated(*decoder, 4, 3, 5);
  const RandomMemory memory(decoder->spec(), 6, 8);
  const auto spoken = [&] {
    DecoderStream<float> stream(*decoder, memory.views(), memory.batch);
    return streamed(stream, decoder->spec().vocab_size, 4);
  };
  const Numbers said = spoken();

  // Weights that other threads read while they change are those of before or of after.
  const auto softmax = random_layer<LargeSoftmax<float>>(softmax_of(2, 300));
  const auto convolution = random_layer<Operation<float>>(operations(16).front());
  const TransducerNetworks<float> networks = transducer_of(30, 20);
  const Numbers decoded = train(*decoder, 6, 3), softened = train(*softmax, 12), convolved = train(*convolution, 20, 3);
  const Numbers labels = decoded_transducer(networks, 4, 2);
  Dense<float> learner(dense_of(40, 30));
  const Numbers learnt = optimized(learner);

  std::atomic<bool> enough{false};
  std::atomic<int> wrong{0}, calls{0};
  const auto expect = [&](bool right) { ++calls, wrong += right ? 0 : 1; };
  const std::vector<std::function<void(int)>> work = {
      [&](int i) { edited.become(static_cast<unsigned>(i % 2)); },
      [&](int i) {
        const Numbers y = i % 2 ? edited.call() : edited.stream();
        expect(y == either[0] || y == either[1]);
      },
      [&](int) { expect(train(fixed, 30, 3) == trained); },
      [&](int i) { expect(i % 2 ? generated(*decoder, 4, 3, 5) == written : spoken() == said); },
      [&](int i) { expect(i % 2 ? spoken() == said : generated(*decoder, 4, 3, 5) == written); },
      [&](int) { expect(session(pool, x) == by_stream); },
      [&](int) { expect(session(pool, x) == by_stream); },
      [&](int i) {
        if (i % 3 == 0) pack_anew(*decoder), pack_anew(*softmax), pack_anew(*convolution);
        else if (i % 3 == 1) expect(train(*decoder, 6, 3) == decoded);
        else expect(train(*convolution, 20, 3) == convolved);
      },
      [&](int i) {
        if (i % 2) expect(train(*softmax, 12) == softened);
        else expect(decoded_transducer(networks, 4, 2) == labels);
      },
      [&](int) { expect(optimized(learner) == learnt); },
      [&](int i) {
        set_num_threads(1 + i % 3);
        pool.reserve(8 + i % 40);
        expect(pool.sessions().size() <= 6);
      },
  };
  std::vector<std::thread> threads;
  for (const auto& f : work)
    threads.emplace_back([&] {
      for (int i = 0; !enough; ++i) f(i);
    });
  std::this_thread::sleep_for(std::chrono::seconds(few ? 5 : 2));
  enough = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0, "%d of %d calls have other numbers than alone", wrong.load(), calls.load());
  CHECK(calls > 5, "only %d calls", calls.load());
  std::printf("%d calls\n", calls.load());
  return done("at_once");
}
