// Calls that are told to end: they throw, soon, on any number of threads, and all works afterwards with the same
// numbers.
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "tests/support/every_kind.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

// Instrumented code is slow, and so takes as long with less.
const int share = std::getenv("GRU_NATIVE_FEW_SHAPES") ? 16 : 1;

using Clock = std::chrono::steady_clock;

struct Question {
  int asked = 0, end_at = 0;  // 0: never
  std::thread::id thread;
};

// Whether f, which takes longer than 50 milliseconds, was asked and then ended.
template <class F>
bool ends(Question& question, const F& f) {
  const Interruptible here(
      [](void* context) {
        Question& q = *static_cast<Question*>(context);
        q.thread = std::this_thread::get_id();
        return ++q.asked == q.end_at;
      },
      &question);
  try {
    f();
  } catch (const Interrupted&) {
    return true;
  }
  return false;
}

bool same(const Numbers& a, const Numbers& b) {  // NaN, too: gradients of many steps may be that
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// f takes long and returns numbers.
template <class F>
void check(const char* name, const F& f) {
  const auto expected = f();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const int at : {1, 2}) {
      Question question;
      question.end_at = at;
      const bool ended = ends(question, f);
      CHECK(question.asked <= at, "%s: asked again after it was told", name);
      CHECK(ended == (question.asked == at), "%s: asked %d times", name, question.asked);
      CHECK(question.asked == 0 || question.thread == std::this_thread::get_id(), "%s: asked on another thread", name);
    }
    Question never;
    CHECK(!ends(never, [&] { CHECK(same(f(), expected), "%s: other numbers when asked", name); }), "%s ended", name);
    CHECK(same(f(), expected), "%s: other numbers", name);
  }
}

// So long that it is asked on any machine.
void check_that_it_ends() {
  const auto layer = random_layer<Layer<float>>(spec_of(Cell::lstm, 5, 256));
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Question question;
    question.end_at = 1;
    const auto begin = Clock::now();
    CHECK(ends(question,
               [&] {
                 for (;;) train(*layer, 20000 / share, 1);  // each some seconds
               }),
          "it goes on");
    CHECK(Clock::now() - begin < std::chrono::seconds(60), "late");
  }
}

// A stream goes on from where it was, and what is noexcept goes on.
void check_streams() {
  const std::int64_t frames = 20000 / share;
  Stream<float> stream(*random_layer<Layer<float>>(spec_of(Cell::gru, 5, 256)));
  const Numbers x = numbers(frames * 5, 1);
  Numbers y(static_cast<std::size_t>(frames * 256)), again(y.size());
  stream.process(x.data(), y.data(), 10);
  Numbers before(static_cast<std::size_t>(stream.state_size())), state(before.size());
  stream.save_state(before.data());
  Question question;
  question.end_at = 1;
  const bool ended =
      ends(question, [&] { stream.process(time_major(x.data(), 1, 5), time_major(y.data(), 1, 256), frames); });
  stream.save_state(state.data());
  CHECK(ended == (state == before), "the state is not that of before");
  CHECK(!ends(question, [&] { stream.process(x.data(), y.data(), frames); }), "a call that is noexcept ended");
  if (!ended) return;
  stream.load_state(before.data());
  stream.process(x.data(), again.data(), frames);
  CHECK(again == y, "other numbers after an interrupted call");
}

// A question may ask for calls of its own, which have their own questions.
void check_nested() {
  const auto layer = random_layer<Layer<float>>(spec_of(Cell::lstm, 5, 256));
  static const Layer<float>* const inner = layer.get();
  static int answered;
  answered = 0;
  set_num_threads(2);
  const Numbers expected = train(*layer, 2000 / share, 1);
  const Interruptible here(
      [](void*) {
        Question question;
        question.end_at = 1;
        ends(question, [] { train(*inner, 3000 / share, 1); });
        return ++answered < 0;
      },
      nullptr);
  CHECK(same(train(*layer, 2000 / share, 1), expected), "other numbers");
}

}  // namespace

int main() {
  const auto lstm = random_layer<Layer<float>>(spec_of(Cell::lstm, 5, 128, 2, true));
  check("Layer", [&] { return train(*lstm, 400 / share, 4); });
  const auto dense = random_layer<Dense<float>>(dense_of(300, 300));
  check("Dense", [&] { return train(*dense, 8000 / share); });
  const auto output_rnn =
      random_layer<OutputRnn<float>>(OutputRnnSpec{8, 128, 32, true, Activation::tanh, Activation::tanh});
  check("OutputRnn", [&] { return train(*output_rnn, 2000 / share, 3); });
  const auto tree = random_layer<TreeLayer<float>>(TreeSpec{TreeCell::child_sum, 8, 128, 1, true});
  check("TreeLayer", [&] { return train(*tree, 6000 / share); });
  const auto graph = random_layer<GatedGraph<float>>(GraphSpec{64, 10});
  check("GatedGraph", [&] { return train(*graph, 500 / share); });
  const auto readout = random_layer<GraphReadout<float>>(ReadoutSpec{ReadoutKind::graph_sum, 128, 3, 128});
  check("GraphReadout", [&] { return train(*readout, 9000 / share); });
  const auto grconv = random_layer<GatedRecursiveConv<float>>(GrConvSpec{3, 64});
  check("GatedRecursiveConv", [&] { return train(*grconv, share > 1 ? 12 : 60, 6); });
  const auto small = random_layer<Layer<float>>(spec_of(Cell::lstm, 3, 32));
  check("Rtrl", [&] { return train_rtrl(small, 2, share > 1 ? 2 : 12); });
  check("cross_entropy", [] { return cross_entropies(20000 / share, 300); });
  check("ctc", [] { return ctc_losses(300 / share, 30, 30, 80); });
  check("ctc_beam", [] { return decoded_ctc(600 / share, 30, 300, 40); });
  check("transducer", [] { return transducer_losses(100 / share, 30, 20, 20); });
  check_that_it_ends();
  check_streams();
  check_nested();
  return done("interruption");
}
