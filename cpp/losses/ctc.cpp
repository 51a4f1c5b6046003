// Connectionist temporal classification: the loss of a sequence is -log of the probability of all paths that become its
// labels (cells/ctc.h). A logit a_k at step t has the gradient
//   softmax(a)_k - (probability, given the labels, to be at t in one of the states of symbol k).
#include "losses/lattices.h"
#include "losses/rows.h"

namespace gru_native {
namespace {

template <class T>
struct Call : CtcCall<T> {
  std::vector<Index> label_at;  // of each sequence in targets

  explicit Call(const CtcCall<T>& call) : CtcCall<T>(call) {
    Index at = 0;
    for (Index b = 0; b < call.batch; ++b) {
      label_at.push_back(at);
      at += call.target_stride ? call.target_stride : call.target_lengths[b];
    }
  }
};

template <class T>
class CtcLattice {
 public:
  static constexpr bool backward_follows_forward = false;

  CtcLattice(const Call<T>& call, Index b, Scratch scratch)
      : call_(call),
        steps_(call.input_lengths ? call.input_lengths[b] : call.seq_len),
        labels_(call.target_lengths[b]),
        y_(call.targets + call.label_at[static_cast<std::size_t>(b)]),
        logits_(call.logits.data + b * call.logits.batch_stride),
        dlogits_(call.dlogits.data ? call.dlogits.data + b * call.dlogits.batch_stride : nullptr),
        z_(scratch.take<Normalizer<T>>(steps_)),
        skip_(scratch, 1, labels_ + 1, lattice_.lanes),
        label_(scratch, steps_, labels_ + 1, lattice_.lanes),
        forward_(scratch, 2 * (steps_ + 1), labels_ + 1, lattice_.lanes),
        backward_(scratch, dlogits_ ? 2 * steps_ : 0, labels_ + 1, lattice_.lanes),
        log_p_(scratch.take<double>(1)),
        needed_(scratch.used()) {}

  Index needed() const { return needed_; }
  double macs() const { return 2 * softmax_macs * double(steps_) * (double(call_.classes) + 8 * double(labels_ + 1)); }
  Index rows() const { return steps_; }
  Index all_rows() const { return call_.seq_len; }
  std::string name(Index t) const { return "step " + std::to_string(t); }
  bool has_gradient() const { return dlogits_; }

  void prepare() const {
    forward_.close();
    backward_.close();
    skip_.clear();
    for (Index u = 2; u <= labels_; ++u)
      if (y(u) != y(u - 1)) skip_[0][u] = 0;
  }
  // Log probabilities of the labels, and what those of blanks follow from.
  void look_up(Share steps) const {
    Progress progress;
    for (Index t = steps.begin; t < steps.end; ++t) {
      progress.add(softmax_macs * static_cast<double>(call_.classes + labels_));
      z_[t] = rows_.normalizer(a(t), call_.classes);
      label_.clear(t);
      for (Index u = 1; u <= labels_; ++u) label_[t][u] = log_probability(a(t), z_[t], y(u));
    }
  }
  Index bad_row() const { return first_without_softmax(z_, steps_); }

  // Rows 2 (t + 1) of forward_, b, and the next, l, are what led to the states at t; at first all is before u = 1.
  double forward() const {
    forward_.clear(0);
    forward_.clear(1);
    forward_[0][0] = 0;
    Progress progress;
    for (Index t = 0; t < steps_; ++t) {
      progress.add(macs_of_step());
      lattice_.ctc_forward(step(t, forward_, t, t + 1));
    }
    const double b = forward_[2 * steps_][labels_], l = forward_[2 * steps_ + 1][labels_], top = std::max(b, l);
    GRU_NATIVE_EXECUTED(select, 1);
    GRU_NATIVE_EXECUTED(add, std::isfinite(top) ? 5 : 1);
    GRU_NATIVE_EXECUTED(exp, std::isfinite(top) ? 2 : 0);
    GRU_NATIVE_EXECUTED(log, std::isfinite(top) ? 1 : 0);
    *log_p_ = std::isfinite(top) ? top + std::log(std::exp(b - top) + std::exp(l - top)) : top;
    return 0 - *log_p_;
  }
  // Rows 2 t and 2 t + 1 of backward_ are what follows the states at t.
  void backward() const {
    if (steps_ == 0) return;
    for (const Index last : {2 * steps_ - 2, 2 * steps_ - 1}) {
      backward_.clear(last);
      backward_[last][labels_] = 0;
    }
    Progress progress;
    for (Index t = steps_ - 1; t > 0; --t) {
      progress.add(macs_of_step());
      lattice_.ctc_backward(step(t, backward_, t, t - 1));
    }
  }

  // Past the end, and of what cannot be, it is 0.
  void gradient(Share steps) const {
    Progress progress;
    for (Index t = steps.begin; t < steps.end; ++t) {
      progress.add(softmax_macs * static_cast<double>(call_.classes + labels_));
      T* const d = dlogits_ + t * call_.dlogits.step_stride;
      if (t >= steps_ || std::isinf(*log_p_)) {
        std::fill_n(d, call_.classes, T(0));
        continue;
      }
      rows_.scaled_softmax({a(t), z_[t], T(1), T(0), d, call_.classes});
      double* const there = label_[t];  // which has served
      d[call_.blank] -= static_cast<T>(lattice_.ctc_occupancy(
          {labels_, forward_[2 * t + 2], forward_[2 * t + 3], backward_[2 * t], backward_[2 * t + 1], *log_p_, there}));
      for (Index u = 1; u <= labels_; ++u) d[y(u)] -= static_cast<T>(there[u]);
      GRU_NATIVE_EXECUTED(add, 1 + labels_);
    }
  }

 private:
  double macs_of_step() const { return 4 * softmax_macs * static_cast<double>(labels_ + 1); }
  std::int64_t y(Index u) const { return y_[u - 1]; }
  const T* a(Index t) const { return logits_ + t * call_.logits.step_stride; }
  // From the states of one step to those of another, by the symbols of step t.
  CtcStep step(Index t, const PaddedRows& states, Index from, Index to) const {
    const double blank = log_probability(a(t), z_[t], call_.blank);
    return {labels_,   states[2 * from], states[2 * from + 1], blank,
            label_[t], skip_[0],         states[2 * to],       states[2 * to + 1]};
  }

  const Call<T>& call_;
  const LossKernels<T>& rows_ = kernels_for<T>().loss;
  const LatticeKernels& lattice_ = active_kernels().lattice;
  const Index steps_, labels_;
  const std::int64_t* const y_;
  const T* const logits_;
  T* const dlogits_;
  Normalizer<T>* const z_;
  const PaddedRows skip_, label_, forward_, backward_;
  double* const log_p_;
  const Index needed_;
};

}  // namespace

template <class T>
void ctc(const CtcCall<T>& call) {
  check_call(call);
  run_lattices<CtcLattice<T>>(Call<T>(call));
}

template void ctc(const CtcCall<float>&);
template void ctc(const CtcCall<double>&);

}  // namespace gru_native
