// Graphs, their readouts and grConvs through the C++ API: gradients by central differences, the same bits on any
// number of threads, errors.
#include <functional>
#include <stdexcept>
#include <string>

#include "gru_native/gru_native.h"
#include "tests/support/weights.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

std::size_t size_of(const std::vector<std::int64_t>& shape) {
  std::size_t n = 1;
  for (const std::int64_t size : shape) n *= static_cast<std::size_t>(size);
  return n;
}

// A layer with inputs, its outputs y, and what backward makes of dy = weights of the loss.
template <class T>
struct Problem {
  std::vector<T> x, y, dy, dx;
  std::vector<std::vector<T>> dweights;
  std::function<void()> forward, both;  // y; y, dx and dweights

  template <class L>
  std::vector<T*> gradients(const L& layer) {
    std::vector<T*> pointers;
    dweights.clear();
    for (const auto& w : layer.weights()) dweights.emplace_back(size_of(w.shape));
    for (auto& d : dweights) pointers.push_back(d.data());
    return pointers;
  }
  std::vector<T> results() const {
    std::vector<T> all = y;
    all.insert(all.end(), dx.begin(), dx.end());
    for (const auto& d : dweights) all.insert(all.end(), d.begin(), d.end());
    return all;
  }
};

template <class L>
void check_gradients(L& layer, Problem<double>& p, const char* what) {
  p.both();
  const auto loss = [&] {
    p.forward();
    double sum = 0;
    for (std::size_t i = 0; i < p.y.size(); ++i) sum += p.y[i] * p.dy[i];
    return sum;
  };
  const auto compare = [&](const std::string& name, const auto& set, const std::vector<double>& gradient) {
    for (std::size_t i = 0; i < gradient.size(); i += 1 + gradient.size() / 9) {
      const double kept = set(i, 0.), step = 1e-5;
      const auto at = [&](double value) {
        set(i, value);
        return loss();
      };
      const double numeric = (at(kept + step) - at(kept - step)) / (2 * step);
      at(kept);
      CHECK(std::fabs(numeric - gradient[i]) <= 1e-6 * (1 + std::fabs(numeric)),
            "%s, %s[%zu]: %.12g by differences, %.12g backward", what, name.c_str(), i, numeric, gradient[i]);
    }
  };
  const auto dx = p.dx;
  const auto dweights = p.dweights;
  compare("x", [&](std::size_t i, double value) { return std::exchange(p.x[i], value); }, dx);
  for (std::size_t w = 0; w < dweights.size(); ++w)
    compare(
        layer.weights()[w].name, [&](std::size_t i, double value) { return set_weight(layer, w, i, value); },
        dweights[w]);
}

template <class T>
void check_threads(Problem<T>& p, const char* what) {
  std::vector<T> one;
  for (const int threads : {1, 2, 3, 5}) {
    set_num_threads(threads);
    p.both();
    if (threads == 1) one = p.results();
    CHECK(p.results() == one, "%s: other bits on %d threads", what, threads);
  }
}

template <class T>
struct GraphProblem : Problem<T> {
  GatedGraph<T> layer;
  std::vector<std::int64_t> source, target, type;
  std::vector<T> adjacency;

  GraphProblem(const GraphSpec& spec, std::int64_t nodes, std::int64_t edges, std::int64_t graphs, unsigned seed)
      : layer(spec) {
    randomize(layer, seed);
    std::mt19937 random(seed);
    for (std::int64_t e = 0; e < edges; ++e) {
      source.push_back(random() % nodes);
      target.push_back(random() % nodes);
      type.push_back(random() % spec.num_edge_types);
    }
    GraphForwardCall<T> c;
    c.nodes = nodes;
    c.annotation_size = (spec.hidden_size + 1) / 2;
    this->x = random_numbers<T>(static_cast<std::size_t>(nodes * c.annotation_size), seed + 1);
    this->y.resize(static_cast<std::size_t>(nodes * spec.hidden_size));
    this->dy = random_numbers<T>(this->y.size(), seed + 2);
    this->dx.resize(this->x.size());
    c.annotations = this->x.data();
    c.h = this->y.data();
    if (graphs > 0) {
      adjacency = random_numbers<T>(static_cast<std::size_t>(nodes * spec.kinds() * (nodes / graphs)), seed + 3, 0.3);
      c.graphs = graphs;
      c.adjacency = adjacency.data();
    } else {
      c.edges = edges;
      c.source = source.data();
      c.target = target.data();
      c.type = type.data();
    }
    this->forward = [this, c] { layer.forward(c); };
    this->both = [this, c] {
      const auto tape = layer.forward_with_tape(c);
      layer.backward(*tape, {this->dy.data(), this->dx.data(), this->gradients(layer)});
    };
  }
};

template <class T>
struct GrConvProblem : Problem<T> {
  GatedRecursiveConv<T> layer;
  std::vector<std::int64_t> lengths;
  std::vector<std::vector<T>> gates;

  GrConvProblem(const GrConvSpec& spec, std::int64_t seq_len, std::int64_t batch, unsigned seed) : layer(spec) {
    randomize(layer, seed);
    for (std::int64_t b = 0; b < batch; ++b) lengths.push_back((b * 7 + seed) % (seq_len + 1));
    GrConvForwardCall<T> c;
    c.seq_len = seq_len;
    c.batch = batch;
    c.lengths = lengths.data();
    this->x = random_numbers<T>(static_cast<std::size_t>(seq_len * batch * spec.input_size), seed + 1);
    this->y.resize(static_cast<std::size_t>(batch * spec.hidden_size));
    this->dy = random_numbers<T>(this->y.size(), seed + 2);
    this->dx.resize(this->x.size());
    c.x = {this->x.data(), batch * spec.input_size, spec.input_size};
    c.y = this->y.data();
    for (std::int64_t level = 1; level < seq_len; ++level)
      gates.emplace_back(static_cast<std::size_t>((seq_len - level) * batch * 3));
    for (auto& level : gates) c.gates.push_back(level.data());
    this->forward = [this, c] { layer.forward(c); };
    this->both = [this, c, batch, inputs = spec.input_size] {
      const auto tape = layer.forward_with_tape(c);
      layer.backward(*tape, {this->dy.data(), {this->dx.data(), batch * inputs, inputs}, this->gradients(layer)});
    };
  }
};

template <class T>
struct ReadoutProblem : Problem<T> {
  GraphReadout<T> layer;
  std::vector<T> annotations, dannotations;
  std::vector<std::int64_t> graph;

  ReadoutProblem(const ReadoutSpec& spec, std::int64_t nodes, unsigned seed) : layer(spec) {
    randomize(layer, seed);
    const std::int64_t graphs = 3;
    for (std::int64_t v = 0; v < nodes; ++v) graph.push_back((v * 5 + seed) % graphs);
    ReadoutForwardCall<T> c;
    c.nodes = nodes;
    this->x = random_numbers<T>(static_cast<std::size_t>(nodes * spec.hidden_size), seed + 1);
    annotations = random_numbers<T>(static_cast<std::size_t>(nodes * spec.annotation_size), seed + 2);
    dannotations.resize(annotations.size());
    const bool sums = spec.kind == ReadoutKind::graph_sum;
    this->y.resize(static_cast<std::size_t>((sums ? graphs : nodes) * spec.output_size));
    this->dy = random_numbers<T>(this->y.size(), seed + 3);
    this->dx.resize(this->x.size());
    c.h = this->x.data();
    c.annotations = annotations.data();
    c.y = this->y.data();
    if (sums) c.graphs = graphs, c.graph = graph.data();
    this->forward = [this, c] { layer.forward(c); };
    this->both = [this, c] {
      const auto tape = layer.forward_with_tape(c);
      layer.backward(*tape, {this->dy.data(), this->dx.data(), dannotations.data(), this->gradients(layer)});
    };
  }
};

void check_errors() {
  const auto refused = [](const GraphSpec& spec, const char* text) {
    return throws<std::invalid_argument>([&] { GatedGraph<float> layer(spec); }, text);
  };
  CHECK(refused({0, 1}, "hidden_size is 0"), "no error");
  CHECK(refused({3, 0}, "num_steps is 0"), "no error");
  CHECK(refused({3, 1, 0}, "num_edge_types is 0"), "no error");
  const GrConvSpec none{3, 0};
  CHECK(throws<std::invalid_argument>([&] { GatedRecursiveConv<float> layer(none); }, "hidden_size is 0"), "no error");
  const ReadoutSpec empty{ReadoutKind::graph_sum, 3, 2, 0};
  CHECK(throws<std::invalid_argument>([&] { GraphReadout<float> layer(empty); }, "output_size is 0"), "no error");

  GraphProblem<float> p({4, 2}, 5, 6, 0, 1), other({4, 2}, 5, 6, 0, 1);
  GraphForwardCall<float> c;
  c.nodes = 5;
  c.annotation_size = 2;
  c.annotations = p.x.data();
  c.edges = 1;
  const std::int64_t good = 1, bad = 5;
  c.source = &good;
  c.target = &bad;
  std::vector<float> h(20, 7.f);
  c.h = h.data();
  CHECK(throws<std::invalid_argument>([&] { p.layer.forward(c); }, "edge_index[1, 0] is 5"), "no error");
  CHECK(h == std::vector<float>(20, 7.f), "h was written");
  c.target = &good;
  const auto tape = p.layer.forward_with_tape(c);
  CHECK(throws<std::invalid_argument>([&] { other.layer.backward(*tape, {}); }, "tape"), "no error");
  CHECK(throws<std::invalid_argument>([&] { p.layer.backward(*tape, {}); }, "dh is null"), "no error");
  c.source = nullptr;
  CHECK(throws<std::invalid_argument>([&] { p.layer.forward(c); }, "source is null"), "no error");

  const GatedRecursiveConv<float> conv(GrConvSpec{2, 3});
  const std::vector<float> x(12, 0.5f);
  std::vector<float> y(6);
  const auto bad_call = [&](auto change, const char* text) {
    GrConvForwardCall<float> call;
    call.seq_len = 3;
    call.batch = 2;
    call.x = time_major(x.data(), call.batch, 2);
    call.y = y.data();
    change(call);
    return throws<std::invalid_argument>([&] { conv.forward(call); }, text) &&
           throws<std::invalid_argument>([&] { conv.forward_with_tape(call); }, text);
  };
  const std::int64_t lengths[2] = {3, 4};
  CHECK(bad_call([&](auto& call) { call.lengths = lengths; }, "lengths[1] is 4; expected 0 to seq_len=3"), "no error");
  CHECK(bad_call([](auto& call) { call.x.data = nullptr; }, "x.data is null"), "no error");
  CHECK(bad_call([](auto& call) { call.y = nullptr; }, "y is null"), "no error");
  CHECK(bad_call([](auto& call) { call.gates.resize(1); }, "gates.size() is 1; expected 0 or 2"), "no error");
  CHECK(bad_call([](auto& call) { call.gates.resize(2); }, "gates[0] is null"), "no error");
  const GraphReadout<float> readout(ReadoutSpec{ReadoutKind::node_scores, 2, 1, 1});
  ReadoutForwardCall<float> read;
  read.nodes = 3;
  CHECK(throws<std::invalid_argument>([&] { readout.forward(read); }, "h is null"), "no error");
}

}  // namespace

int main() {
  unsigned seed = 1;
  for (const std::int64_t hidden : {1, 5, 17})
    for (const auto aggregate : {Aggregate::concat, Aggregate::sum})
      for (const auto bias : {MessageBias::none, MessageBias::edge, MessageBias::node})
        for (const bool reset_after : {false, true})
          for (const std::int64_t graphs : {0, 2}) {
            GraphProblem<double> p({hidden, 3, 2, aggregate, bias, reset_after}, 6, 9, graphs, seed++);
            check_gradients(p.layer, p, graphs > 0 ? "dense graph" : "graph");
          }
  for (const std::int64_t hidden : {1, 5, 17})
    for (const auto activation : {Activation::identity, Activation::tanh, Activation::sigmoid, Activation::relu}) {
      GrConvProblem<double> p({3, hidden, activation}, 5, 4, seed++);
      check_gradients(p.layer, p, "grconv");
    }
  for (const auto kind : {ReadoutKind::node_scores, ReadoutKind::graph_sum})
    for (const std::int64_t outputs : {1, 9}) {
      ReadoutProblem<double> p({kind, 5, 3, outputs}, 7, seed++);
      check_gradients(p.layer, p, "readout");
    }

  for (const std::int64_t graphs : {0, 3}) {
    GraphProblem<float> p({100, 3, 2}, 90, 200, graphs, seed++);
    check_threads(p, "graph");
  }
  GrConvProblem<float> grconv({20, 100}, 9, 11, seed++);
  check_threads(grconv, "grconv");
  ReadoutProblem<float> readout({ReadoutKind::graph_sum, 60, 10, 70}, 200, seed++);
  check_threads(readout, "readout");
  check_errors();
  return done("graphs");
}
