// The Tree-LSTM in C++: gradients by central differences, the same bits on any number of threads, and errors.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "gru_native/gru_native.h"
#include "tests/support/weights.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class T>
struct RandomForest {
  TreeLayer<T> layer;
  std::int64_t nodes;
  std::vector<T> x, h, c, dh, dc;
  std::vector<std::int64_t> parents, slots;

  // Every `tree` nodes begin a tree; the others hang under random nodes before them that have room.
  RandomForest(const TreeSpec& spec, std::int64_t nodes, std::int64_t tree, unsigned seed) : layer(spec), nodes(nodes) {
    seed = randomize(layer, seed);
    const auto numbers = [&](std::int64_t columns) {
      return random_numbers<T>(static_cast<std::size_t>(nodes * columns), seed++);
    };
    x = numbers(spec.input_size), dh = numbers(spec.hidden_size), dc = numbers(spec.hidden_size);
    h.resize(dh.size()), c.resize(dc.size());
    std::mt19937 pick(seed);
    std::vector<std::int64_t> count(static_cast<std::size_t>(nodes));
    const std::int64_t most = spec.cell == TreeCell::nary ? spec.arity : nodes;
    for (std::int64_t n = 0; n < nodes; ++n) {
      const std::int64_t first = n / tree * tree;
      std::int64_t parent = n == first ? -1 : first + pick() % (n - first);
      while (parent >= 0 && count[parent] == most) parent = first + pick() % (n - first);
      parents.push_back(parent);
      slots.push_back(parent < 0 ? 0 : most - ++count[parent]);  // from the last slot on
    }
  }
  TreeForwardCall<T> call() { return {nodes, x.data(), parents.data(), slots.data(), h.data(), c.data()}; }

  // dx, then the weights'.
  std::vector<std::vector<T>> gradients(const TreeTape<T>& tape) const {
    std::vector<std::vector<T>> g{std::vector<T>(x.size())};
    for (const auto& w : layer.weights()) g.emplace_back(static_cast<std::size_t>(w.size()));
    TreeBackwardCall<T> b{dh.data(), dc.data(), g[0].data(), {}};
    for (std::size_t i = 1; i < g.size(); ++i) b.dweights.push_back(g[i].data());
    layer.backward(tape, b);
    return g;
  }
};

TreeSpec spec_of(TreeCell cell, std::int64_t inputs, std::int64_t hidden, std::int64_t arity) {
  TreeSpec spec;
  spec.cell = cell;
  spec.input_size = inputs;
  spec.hidden_size = hidden;
  spec.arity = arity;
  return spec;
}

void check_gradients(const TreeSpec& spec, std::int64_t nodes, std::int64_t tree, unsigned seed) {
  RandomForest<double> f(spec, nodes, tree, seed);
  const auto tape = f.layer.forward_with_tape(f.call());
  const auto gradients = f.gradients(*tape);
  const auto loss = [&] {
    f.layer.forward(f.call());
    double sum = 0;
    for (std::size_t i = 0; i < f.h.size(); ++i) sum += f.dh[i] * f.h[i] + f.dc[i] * f.c[i];
    return sum;
  };
  std::mt19937 pick(seed);
  for (std::size_t g = 0; g < gradients.size(); ++g)
    for (int i = 0; i < 12; ++i) {
      const std::size_t at = pick() % gradients[g].size();
      const auto set = [&](double value) {
        return g == 0 ? std::exchange(f.x[at], value) : set_weight(f.layer, g - 1, at, value);
      };
      const double kept = set(0), step = 1e-5;
      const auto loss_at = [&](double value) {
        set(value);
        return loss();
      };
      const double numeric = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
      loss_at(kept);
      CHECK(std::fabs(numeric - gradients[g][at]) <= 1e-6 * (1 + std::fabs(numeric)),
            "array %zu[%zu]: %.12g by differences, %.12g backward", g, at, numeric, gradients[g][at]);
    }
}

template <class T>
void check_threads(const TreeSpec& spec, std::int64_t nodes, std::int64_t tree, unsigned seed) {
  RandomForest<T> f(spec, nodes, tree, seed);
  set_num_threads(1);
  const auto expected = f.gradients(*f.layer.forward_with_tape(f.call()));
  const std::vector<T> h = f.h, c = f.c;
  for (const int threads : {2, 3, 5}) {
    set_num_threads(threads);
    const auto tape = f.layer.forward_with_tape(f.call());
    CHECK(f.h == h && f.c == c, "other bits with %d threads", threads);
    CHECK(f.gradients(*tape) == expected, "other gradients with %d threads", threads);
    f.layer.forward(f.call());
    CHECK(f.h == h && f.c == c, "other bits with %d threads and no tape", threads);
  }
}

void check_errors() {
  using E = std::invalid_argument;
  const auto refuses = [](TreeSpec spec, const char* part) {
    CHECK(throws<E>([&] { TreeLayer<float> layer(spec); }, part), "no error for %s", part);
  };
  refuses(spec_of(TreeCell::child_sum, 0, 3, 1), "input_size is 0");
  refuses(spec_of(TreeCell::child_sum, 3, -1, 1), "hidden_size is -1");
  refuses(spec_of(TreeCell::nary, 3, 3, 0), "arity is 0");
  refuses(spec_of(TreeCell::nary, 3, std::int64_t(1) << 40, 2), "larger than memory");
  RandomForest<float> f(spec_of(TreeCell::nary, 3, 5, 2), 4, 4, 1), twin(spec_of(TreeCell::nary, 3, 5, 2), 4, 4, 1);
  const auto call = [&](std::vector<std::int64_t> parents, std::vector<std::int64_t> slots, const char* part) {
    TreeForwardCall<float> c = f.call();
    c.parents = parents.data(), c.slots = slots.empty() ? nullptr : slots.data();
    CHECK(throws<E>([&] { f.layer.forward(c); }, part), "no error for %s", part);
  };
  call({-1, 0, 0, 4}, {0, 0, 1, 0}, "parents[3] is 4");
  call({-1, 1, 0, 0}, {0, 0, 1, 0}, "parents[1] is 1, the node itself");
  call({1, 2, 0, -1}, {0, 0, 0, 0}, "cycle through node 0");
  call({-1, 0, 0, 1}, {0, 0, 2, 0}, "slots[2] is 2");
  call({-1, 0, 0, 1}, {0, 1, 1, 0}, "slots[2] is 1");
  call({-1, 0, 0, 1}, {}, "slots is null");
  TreeForwardCall<float> nowhere = f.call();
  nowhere.h = nullptr;
  CHECK(throws<E>([&] { f.layer.forward(nowhere); }, "h is null"), "no error for no h");
  TreeForwardCall<float> none = f.call();
  none.nodes = 0;
  CHECK(throws<E>([&] { f.layer.forward(none); }, "0 nodes"), "no error for no nodes");
  const auto tape = twin.layer.forward_with_tape(twin.call());
  CHECK(throws<E>([&] { f.layer.backward(*tape, {}); }, "another layer"), "no error for another layer's tape");
}

}  // namespace

int main() {
  for (const std::int64_t hidden : {1, 7, 33}) {
    check_gradients(spec_of(TreeCell::child_sum, 3, hidden, 1), 23, 9, 1);
    check_gradients(spec_of(TreeCell::child_sum, 5, hidden, 1), 4, 1, 2);
    for (const std::int64_t arity : {1, 2, 5}) check_gradients(spec_of(TreeCell::nary, 4, hidden, arity), 23, 9, 3);
  }
  check_threads<float>(spec_of(TreeCell::child_sum, 40, 129, 1), 400, 20, 4);
  check_threads<double>(spec_of(TreeCell::nary, 40, 101, 3), 300, 20, 5);
  check_threads<float>(spec_of(TreeCell::nary, 70, 161, 1), 60, 60, 6);  // a chain
  check_errors();
  return done("trees");
}
