// What a call's time is made of: its products and its cells, each by itself, beside the whole call. It shows which of
// the machine's limits a shape meets, and what hand-overs between cores and the way through the engine cost.
//
//   parts [threads]
//
// One layer, inputs as wide as hidden units, float32. The parts run on so many threads, each with the engine's share of
// the units, and never wait for each other; only the whole call does. "in a row": of the kernels alone, each step
// reading the h of the one before, on one thread: the latency that no engine can undercut.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/matrix/matrices.h"
#include "engine/sequence/layer_impl.h"
#include "gru_native/gru_native.h"
#include "runtime/denormals.h"

namespace {

using namespace gru_native;

struct Shape {
  Cell cell;
  Index steps, batch, inputs, hidden;
};

double now() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Microseconds of body(rank) on all threads at once, from the first start to the last end: the median of 21.
template <class Body>
double timed(int threads, const Body& body) {
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    std::atomic<int> ready{0};
    std::vector<double> begin(static_cast<std::size_t>(threads)), end(begin);
    const auto work = [&](int rank) {
      body(rank);  // what it reads is then as near as it can be
      for (++ready; ready.load() < threads;) {
      }
      begin[static_cast<std::size_t>(rank)] = now();
      body(rank);
      end[static_cast<std::size_t>(rank)] = now();
    };
    std::vector<std::thread> others;
    for (int rank = 1; rank < threads; ++rank) others.emplace_back(work, rank);
    work(0);
    for (std::thread& t : others) t.join();
    times.push_back(*std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end()));
  }
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

class Parts {
 public:
  explicit Parts(const Shape& s) : shape_(s), layer_(spec_of(s)), cell_(kernels_.cell[cell_index(layer_.spec())]) {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> number(-0.05F, 0.05F);
    for (const auto& w : layer_.edit()) std::generate(w.begin(), w.end(), [&] { return number(random); });
    packed_ = impl_of(layer_).current();
    const Index at_once = std::min(s.steps, std::max<Index>(1, (1 << 18) / (s.batch * gates())));
    x_.resize(static_cast<std::size_t>(s.steps * s.batch * s.inputs), 0.1F);
    y_.resize(static_cast<std::size_t>(s.steps * s.batch * s.hidden));
    chunk_ = at_once * s.batch;
    gates_ = take_matrix<float>(arena_, chunk_, gates());
    for (auto& h : h_) h = take_zeroed_matrix<float>(arena_, s.batch, units());
    c_ = take_zeroed_matrix<float>(arena_, s.batch, units());
  }

  // The input product of all steps, in chunks as the engine has them.
  void input(int rank, int threads) const {
    Product<float> p = shared(direction().input, cell_.input.first, rank, threads);
    p.start = {direction().bias.data(), 0, nullptr};
    for (Index row = 0; row < shape_.steps * shape_.batch; row += chunk_) {
      p.row_end = std::min(chunk_, shape_.steps * shape_.batch - row);
      p.a = {x_.data() + row * shape_.inputs, shape_.inputs, nullptr};
      kernels_.product(p);
    }
  }
  void recurrent(int rank, int threads) const {
    Product<float> p = shared(direction().recurrent, cell_.recurrent.first, rank, threads);
    p.start = {gates_.base, gates_.stride, nullptr};
    p.row_end = shape_.batch;
    p.a = {h_[0].base, h_[0].stride, nullptr};
    for (Index t = 0; t < shape_.steps; ++t) p.last_panel_first = t % 2, kernels_.product(p);
  }
  void cells(int rank, int threads) const { run_steps(rank, threads, 0); }
  void in_a_row() const { run_steps(0, 1, shape_.hidden); }
  void whole() const {
    ForwardCall<float> call;
    call.seq_len = shape_.steps, call.batch = shape_.batch;
    call.x = {x_.data(), shape_.batch * shape_.inputs, shape_.inputs};
    call.y = {const_cast<float*>(y_.data()), shape_.batch * shape_.hidden, shape_.hidden};
    layer_.forward(call);
  }

 private:
  static LayerSpec spec_of(const Shape& s) {
    LayerSpec spec;
    spec.cell = s.cell, spec.input_size = s.inputs, spec.hidden_size = s.hidden;
    return spec;
  }
  const PackedDirection<float>& direction() const { return packed_->forward[0]; }
  Index units() const { return round_up(packed_->blocks, 4) * packed_->lanes; }
  Index gates() const { return units() * cell_.slots; }
  Share share(Index blocks_in_panel, int rank, int threads) const {
    return share_of(packed_->blocks, blocks_in_panel, rank, threads);
  }
  Product<float> shared(const PackedMatrix<float>& m, int first, int rank, int threads) const {
    Product<float> p = product_of(m, packed_->lanes, cell_.slots, first);
    const Share mine = share(m.blocks_in_panel(), rank, threads);
    p.panel_begin = m.panel_begin(mine.begin), p.panel_end = m.panel_end(mine.end);
    p.acc = {gates_.base, gates_.stride, nullptr};
    return p;
  }
  void run_steps(int rank, int threads, Index depth) const {
    const FlushDenormals flush;
    Step<float> s{};
    s.product = shared(direction().recurrent, cell_.recurrent.first, rank, threads);
    s.product.depth = depth;
    s.product.start = {gates_.base, gates_.stride, nullptr};
    s.blocks_in_panel = direction().recurrent.blocks_in_panel();
    s.block_end = share(s.blocks_in_panel, rank, threads).end;
    s.hidden = shape_.hidden, s.rows = shape_.batch, s.gates = gates_;
    s.c = {c_.base, c_.stride, nullptr};
    s.options = cell_options(layer_.spec(), direction());
    for (Index t = 0; t < shape_.steps; ++t) {
      const Matrix<float> from = h_[t % 2], to = h_[(t + 1) % 2];
      s.product.last_panel_first = t % 2;
      s.h_prev = {from.base, from.stride, nullptr};
      s.product.a = {from.base, from.stride, nullptr};
      s.h = {to.base, to.stride, nullptr};
      cell_.forward(s);
    }
  }

  Shape shape_;
  Layer<float> layer_;
  const Kernels<float>& kernels_ = kernels_for<float>();
  const CellKernels<float>& cell_;
  std::shared_ptr<const PackedWeights<float>> packed_;
  Arena arena_;
  std::vector<float> x_, y_;
  Index chunk_ = 0;
  Matrix<float> gates_{}, h_[2]{}, c_{};
};

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) return std::fprintf(stderr, "parts: threads is %s; expected at least 1\n", argv[1]), 1;
  set_num_threads(threads);
  std::printf("%s, %d thread(s); microseconds a call\n", active_isa().c_str(), threads);
  std::printf("%-22s %9s %9s %9s %9s | %-22s | %s\n", "", "input", "recurrent", "cells", "whole", "recurrent product",
              "a step in a row, ns");
  const Shape shapes[] = {
      {Cell::lstm, 100, 1, 1, 8},       {Cell::lstm, 100, 1, 1, 64},     {Cell::lstm, 100, 1, 64, 64},
      {Cell::lstm, 100, 1, 128, 128},   {Cell::lstm, 100, 1, 256, 256},  {Cell::lstm, 100, 1, 512, 512},
      {Cell::lstm, 100, 1, 1024, 1024}, {Cell::lstm, 100, 8, 256, 256},  {Cell::lstm, 100, 32, 128, 128},
      {Cell::lstm, 100, 32, 256, 256},  {Cell::lstm, 100, 32, 512, 512}, {Cell::lstm, 50, 64, 1024, 1024},
      {Cell::gru, 100, 1, 1, 8},        {Cell::gru, 100, 1, 64, 64},     {Cell::gru, 100, 1, 128, 128},
      {Cell::gru, 100, 1, 256, 256},    {Cell::gru, 100, 1, 1024, 1024}, {Cell::gru, 100, 32, 256, 256},
      {Cell::gru, 100, 32, 512, 512},   {Cell::gru, 50, 64, 1024, 1024}};
  for (const Shape& s : shapes) {
    const Parts parts(s);
    const double input = timed(threads, [&](int rank) { parts.input(rank, threads); });
    const double recurrent = timed(threads, [&](int rank) { parts.recurrent(rank, threads); });
    const double cells = timed(threads, [&](int rank) { parts.cells(rank, threads); });
    const double whole = timed(1, [&](int) { parts.whole(); });
    const double macs = double((s.cell == Cell::lstm ? 4 : 3) * s.hidden * s.hidden * s.steps);
    std::printf("%-4s T=%-3ld B=%-2ld %4ld->%-4ld %9.1f %9.1f %9.1f %9.1f | %6.1f GFLOP/s %4.0f GB/s |",
                s.cell == Cell::lstm ? "LSTM" : "GRU", long(s.steps), long(s.batch), long(s.inputs), long(s.hidden),
                input, recurrent, cells, whole, 2e-3 * macs * double(s.batch) / recurrent, 4e-3 * macs / recurrent);
    if (s.batch == 1) std::printf(" %.0f", 1e3 * timed(1, [&](int) { parts.in_a_row(); }) / double(s.steps));
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}
