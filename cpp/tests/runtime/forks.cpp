// fork() from a process whose other threads are everywhere in the core: each child computes, and none waits forever.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr unsigned patience = 60;  // seconds that a child may take

struct Calls {
  RandomCall<float> small{spec_of(Cell::lstm, 5, 8), 6, 3, true, 1};
  RandomCall<float> wide{spec_of(Cell::gru, 64, 128), 6, 5, false, 2};
  Layer<float> edited{spec_of(Cell::gru, 16, 40)}, loaded{spec_of(Cell::lstm, 40, 64)};
  std::vector<float> one, other;
  std::vector<const float*> ones, others;
  std::shared_ptr<Layer<float>> below = std::make_shared<Layer<float>>(spec_of(Cell::gru, 5, 8));
  std::shared_ptr<Dense<float>> above = std::make_shared<Dense<float>>(dense_of(8, 3));
  Model model{{std::shared_ptr<const Layer<float>>(below), std::shared_ptr<const Dense<float>>(above)}};
  TreeLayer<float> tree{TreeSpec{TreeCell::child_sum, 5, 8}};
  std::vector<std::int64_t> parents{1, 2, -1};
  std::shared_ptr<const Tape<float>> tape;

  Calls() {
    std::int64_t size = 0;
    for (const auto& w : loaded.weights()) size = std::max(size, w.size());
    one = random_numbers<float>(static_cast<std::size_t>(size), 5);
    other = random_numbers<float>(static_cast<std::size_t>(size), 6);
    ones.assign(loaded.weights().size(), one.data());
    others.assign(loaded.weights().size(), other.data());
    tape = wide.layer.forward_with_tape(wide.call());
  }
  // The call of p with outputs of its own, so that many threads may make it.
  struct Own {
    std::vector<float> y, h, c;
    ForwardCall<float> call;
    explicit Own(RandomCall<float>& p) : y(p.y.size()), h(p.h.size()), c(p.c.size()), call(p.call()) {
      call.y.data = y.data();
      call.final = {h.data(), c.empty() ? nullptr : c.data()};
    }
  };
  static std::vector<float> forward(RandomCall<float>& p) {
    Own own(p);
    p.layer.forward(own.call);
    return own.y;
  }
  void record() { wide.layer.forward_with_tape(Own(wide).call); }
  std::vector<float> backward() const {
    const LayerSpec& spec = wide.layer.spec();
    std::vector<float> dx(wide.x.size());
    BackwardCall<float> call;
    call.dy = {wide.y.data(), wide.batch * wide.outputs, wide.outputs};
    call.dx = {dx.data(), wide.batch * spec.input_size, spec.input_size};
    wide.layer.backward(*tape, call);
    return dx;
  }
  std::vector<float> grow() const {
    std::vector<float> x = random_numbers<float>(15, 3), h(24), c(24);
    TreeForwardCall<float> call{3, x.data(), parents.data(), nullptr, h.data(), c.data()};
    const auto own = tree.forward_with_tape(call);
    TreeBackwardCall<float> back;
    back.dh = h.data();
    std::vector<float> dx(15);
    back.dx = dx.data();
    tree.backward(*own, back);
    return dx;
  }
  void edit() {
    edited.edit()["bias_ih_l0"][0] += 1;
    std::vector<WeightEdit<float>> edits;
    edits.push_back(below->edit());
    edits.push_back(above->edit());
    for (const WeightEdit<float>& edit : edits) edit[0][0] += 1;
    end_together(std::move(edits));
  }
  void call_model() const {
    const std::vector<float> x = random_numbers<float>(15, 3);
    std::vector<float> y(9);
    ModelCall<float> call;
    call.seq_len = 3;
    call.batch = 1;
    call.x = time_major(x.data(), 1, 5);
    call.y = time_major(y.data(), 1, 3);
    model.forward(call);
  }
  void load(int turn) { loaded.load(turn % 2 ? ones : others); }
  static void make(int turn) {
    Layer<float> layer(spec_of(Cell::lstm, 5, 8));
    Stream<float> stream(layer, 2, 2);
    const std::vector<float> x(10, static_cast<float>(turn));
    std::vector<float> y(16);
    stream.process(x.data(), y.data(), 1);
    Rtrl<float> rtrl(std::make_shared<const Layer<float>>(spec_of(Cell::gru, 5, 8)));
    rtrl.step(x.data(), y.data());
  }
};

// In the child: everything once more, the same bits where nobody has changed anything.
bool all_works(Calls& c, const std::vector<std::vector<float>>& expected) {
  const bool right = Calls::forward(c.small) == expected[0] && Calls::forward(c.wide) == expected[1] &&
                     c.backward() == expected[2] && c.grow() == expected[3];
  c.load(0);
  c.load(1);
  c.edit();
  c.call_model();
  c.make(1);
  set_num_threads(3);
  return right && Calls::forward(c.wide) == expected[1];
}

void forks(int count) {
  Calls c;
  Calls::forward(c.wide);
  const std::vector<std::vector<float>> expected{Calls::forward(c.small), Calls::forward(c.wide), c.backward(),
                                                 c.grow()};
  const std::function<void(int)> works[] = {
      [&](int) { Calls::forward(c.small); },
      [&](int) { Calls::forward(c.wide); },
      [&](int) { c.backward(); },
      [&](int) { c.record(); },
      [&](int) { c.grow(); },
      [&](int turn) { c.load(turn); },
      [&](int) { c.call_model(); },
      [&](int turn) { Calls::make(turn); },
      [&](int turn) { set_num_threads(2 + turn % 2); },
  };
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (std::size_t i = 0; i < 3; ++i)
    busy.emplace_back([&, i] {
      for (int turn = 0; !stop.load(); ++turn) {
        works[(i * 3 + static_cast<std::size_t>(turn)) % std::size(works)](turn);
        if (i == 0) c.edit();  // one thread at a time edits
      }
    });
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(patience);
      _exit(all_works(c, expected) ? 0 : 1);
    }
    int status = -1;
    const pid_t ended = waitpid(child, &status, 0);
    if (ended != child || status != 0) stop.store(true);  // CHECK ends the process: not while others compute
    if (stop.load())
      for (std::thread& t : busy) t.join();
    CHECK(ended == child && status == 0, "child %d ended with %d", i, status);
  }
  stop.store(true);
  for (std::thread& t : busy) t.join();
}

}  // namespace

int main(int argc, char** argv) {
  forks(argc > 1 ? std::atoi(argv[1]) : 500);
  return done("forks");
}
