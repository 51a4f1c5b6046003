// Connectionist temporal classification: the loss of a sequence is -log of the probability of all paths that become its
// labels (cells/ctc.h). A logit a_k at step t has the gradient
//   softmax(a)_k - (probability, given the labels, to be at t in one of the states of symbol k).
#include <algorithm>
#include <limits>

#include "engine/threads.h"
#include "losses/rows.h"
#include "losses/scratch.h"
#include "losses/sequences.h"
#include "runtime/memory.h"
#include "spec/check_losses.h"

namespace gru_native {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

// One sequence of a call.
template <class T>
struct Sequence {
  Index steps, labels;
  const std::int64_t* label;  // y(u) is label[u - 1]
  const T* logits;  // of step 0
  T* dlogits;  // likewise; null: not wanted
};

template <class T>
std::vector<Sequence<T>> sequences_of(const CtcCall<T>& call) {
  std::vector<Sequence<T>> list;
  const std::int64_t* label = call.targets;
  for (Index b = 0; b < call.batch; ++b) {
    const Index labels = call.target_lengths[b];
    list.push_back({call.input_lengths ? call.input_lengths[b] : call.seq_len, labels, label,
                    call.logits.data + b * call.logits.batch_stride,
                    call.dlogits.data ? call.dlogits.data + b * call.dlogits.batch_stride : nullptr});
    label += call.target_stride ? call.target_stride : labels;
  }
  return list;
}

// The states b(u) and l(u) of some steps, u = -1 .. width.
class StateRows {
 public:
  StateRows(Scratch& scratch, Index rows, Index width, Index vector)
      : rows_(rows),
        width_(width),
        vector_(vector),
        stride_(width + 2 * vector),
        base_(scratch.take<double>(2 * rows * stride_)) {}
  double* b(Index row) const { return base_ + 2 * row * stride_ + vector_; }
  double* l(Index row) const { return b(row) + stride_; }
  // Nothing lies before u = 0 and behind the last state.
  void close() const {
    for (Index row = 0; row < rows_; ++row)
      for (double* const states : {b(row), l(row)}) states[-1] = states[width_] = minus_infinity;
  }
  void clear(Index row) const {
    for (double* const states : {b(row), l(row)}) std::fill_n(states, width_, minus_infinity);
  }

 private:
  Index rows_, width_, vector_, stride_;
  double* base_;
};

// What is computed of one sequence, in this order: prepare and look_up; forward and backward; gradient.
template <class T>
class Lattice {
 public:
  Lattice(const CtcCall<T>& call, const Sequence<T>& s, Scratch scratch)
      : call_(call),
        s_(s),
        vector_(lattice_.lanes),
        width_(round_up(s.labels + 1, vector_)),
        z_(scratch.take<Normalizer<T>>(s.steps)),
        label_(scratch.take<double>(s.steps * label_stride())),
        skip_(scratch.take<double>(label_stride())),
        forward_(scratch, s.steps + 1, width_, vector_),
        backward_(scratch, s.dlogits ? s.steps : 0, width_, vector_),
        log_p_(scratch.take<double>(1)),
        needed_(scratch.used()) {}

  Index needed() const { return needed_; }  // bytes of scratch

  void prepare() const {
    forward_.close();
    backward_.close();
    std::fill_n(skip_, label_stride(), minus_infinity);
    for (Index u = 2; u <= s_.labels; ++u)
      if (s_.label[u - 1] != s_.label[u - 2]) skip_[u] = 0;
  }
  // Log probabilities of the labels, and what those of blanks follow from, at some steps.
  void look_up(Share steps) const {
    for (Index t = steps.begin; t < steps.end; ++t) {
      const Normalizer<T> z = z_[t] = rows_.normalizer(logits(t), call_.classes);
      std::fill_n(label(t), label_stride(), minus_infinity);
      for (Index u = 1; u <= s_.labels; ++u) label(t)[u] = log_probability(logits(t), z, s_.label[u - 1]);
    }
  }
  // The first step without a softmax, or -1.
  Index bad_step() const {
    for (Index t = 0; t < s_.steps; ++t)
      if (!has_softmax(z_[t])) return t;
    return -1;
  }

  // Row t + 1 of forward_ is what led to the states at t; row 0 is before all. Returns the loss.
  double forward() const {
    forward_.clear(0);
    forward_.b(0)[0] = 0;
    for (Index t = 0; t < s_.steps; ++t) lattice_.ctc_forward(step(t, forward_, t, t + 1));
    const double b = forward_.b(s_.steps)[s_.labels], l = forward_.l(s_.steps)[s_.labels], top = std::max(b, l);
    *log_p_ = std::isfinite(top) ? top + std::log(std::exp(b - top) + std::exp(l - top)) : top;
    return -*log_p_;
  }
  // Row t of backward_ is what follows the states at t.
  void backward() const {
    if (s_.steps == 0) return;
    const Index last = s_.steps - 1;
    backward_.clear(last);
    backward_.b(last)[s_.labels] = backward_.l(last)[s_.labels] = 0;
    for (Index t = last; t > 0; --t) lattice_.ctc_backward(step(t, backward_, t, t - 1));
  }

  // At some steps, of the whole call. Past the end, and of what cannot be, it is 0.
  void gradient(Share steps) const {
    for (Index t = steps.begin; t < steps.end; ++t) {
      T* const d = s_.dlogits + t * call_.dlogits.step_stride;
      if (t >= s_.steps || !std::isfinite(*log_p_)) {
        std::fill_n(d, call_.classes, T(0));
        continue;
      }
      rows_.scaled_softmax({logits(t), z_[t], T(1), T(0), d, call_.classes});
      double* const occupancy = label(t);  // which has served
      const double blanks = lattice_.ctc_occupancy(
          {s_.labels, forward_.b(t + 1), forward_.l(t + 1), backward_.b(t), backward_.l(t), *log_p_, occupancy});
      d[call_.blank] -= static_cast<T>(blanks);
      for (Index u = 1; u <= s_.labels; ++u) d[s_.label[u - 1]] -= static_cast<T>(occupancy[u]);
    }
  }

 private:
  Index label_stride() const { return width_ + vector_; }
  double* label(Index t) const { return label_ + t * label_stride(); }
  const T* logits(Index t) const { return s_.logits + t * call_.logits.step_stride; }
  CtcStep step(Index t, const StateRows& states, Index from, Index to) const {
    return {s_.labels, states.b(from), states.l(from), log_probability(logits(t), z_[t], call_.blank),
            label(t),  skip_,          states.b(to),   states.l(to)};
  }

  const CtcCall<T>& call_;
  const LossKernels<T>& rows_ = kernels_for<T>().loss;
  const LatticeKernels& lattice_ = active_kernels().lattice;
  const Sequence<T> s_;
  const Index vector_, width_;
  Normalizer<T>* const z_;
  double *const label_, *const skip_;
  const StateRows forward_, backward_;
  double* const log_p_;
  const Index needed_;
};

}  // namespace

template <class T>
void ctc(const CtcCall<T>& call) {
  check_call(call);
  const std::vector<Sequence<T>> sequences = sequences_of(call);
  const auto macs = [&](const Sequence<T>& s) {
    return double(s.steps) * (2 * softmax_macs * double(call.classes) + 8 * softmax_macs * double(s.labels + 1));
  };
  double all = 0;
  Index most = 0;
  for (const Sequence<T>& s : sequences) {
    all += macs(s);
    most = std::max(most, Lattice<T>(call, s, Scratch()).needed());
  }
  SharedSequences shared(call.batch, useful_threads(all),
                         [&](Index b) { return macs(sequences[static_cast<std::size_t>(b)]); });
  std::vector<Block> blocks;
  for (int crew = 0; crew < shared.crews(); ++crew) blocks.emplace_back(static_cast<std::size_t>(most));
  std::vector<Index> bad_steps(sequences.size(), -1);

  shared.each([&](Index b, int crew, const Member& member) {
    const auto share = [&](Index n) { return share_of(n, 1, member.rank, member.crew.size()); };
    const Sequence<T>& s = sequences[static_cast<std::size_t>(b)];
    const Lattice<T> lattice(call, s, Scratch(blocks[static_cast<std::size_t>(crew)].data()));
    if (member.first()) lattice.prepare();
    lattice.look_up(share(s.steps));
    member.barrier();
    if (lattice.bad_step() >= 0) {
      bad_steps[static_cast<std::size_t>(b)] = lattice.bad_step();
      return;
    }
    if (member.first()) call.losses[b] = static_cast<T>(lattice.forward());
    if (!s.dlogits) return;
    if (member.last()) lattice.backward();
    member.barrier();
    lattice.gradient(share(call.seq_len));
  });
  for (std::size_t b = 0; b < bad_steps.size(); ++b)
    if (bad_steps[b] >= 0) refuse_logits("step " + std::to_string(bad_steps[b]) + " of sequence " + std::to_string(b));
}

template void ctc(const CtcCall<float>&);
template void ctc(const CtcCall<double>&);

}  // namespace gru_native
