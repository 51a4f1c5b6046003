// The transducer: the loss of a sequence is -log of the probability of all ways through its lattice
// (cells/transducer.h) that give its labels. A logit a_k of node (t, u) has the gradient
//   (probability, given the labels, to come to the node) softmax(a)_k - (that to leave it by symbol k).
#include "losses/lattices.h"
#include "losses/rows.h"

namespace gru_native {
namespace {

template <class T>
class TransducerLattice {
 public:
  static constexpr bool backward_follows_forward = true;

  // Nodes of a diagonal are numbered by the shorter of both ways, so that their rows are not longer than need be.
  TransducerLattice(const TransducerCall<T>& call, Index b, Scratch scratch)
      : call_(call),
        steps_(call.input_lengths ? call.input_lengths[b] : call.seq_len),
        labels_(call.target_lengths ? call.target_lengths[b] : call.labels),
        by_label_(labels_ < steps_),
        last_(by_label_ ? labels_ : steps_),
        diagonals_(steps_ + labels_),
        y_(call.targets + b * call.labels),
        logits_(call.logits + b * all_rows() * call.classes),
        dlogits_(call.dlogits ? call.dlogits + b * all_rows() * call.classes : nullptr),
        z_(scratch.take<Normalizer<T>>(rows())),
        stay_(scratch, diagonals_, last_ + 1, lattice_.lanes),
        advance_(scratch, diagonals_, last_ + 1, lattice_.lanes),
        forward_(scratch, diagonals_ + 1, last_ + 1, lattice_.lanes),
        backward_(scratch, 2, last_ + 1, lattice_.lanes),
        log_p_(scratch.take<double>(1)),
        needed_(scratch.used()) {}

  Index needed() const { return needed_; }
  double macs() const { return 2 * softmax_macs * double(rows()) * (double(call_.classes) + 16); }
  Index rows() const { return steps_ * (labels_ + 1); }
  Index all_rows() const { return call_.seq_len * (call_.labels + 1); }
  std::string name(Index row) const {
    return "step " + std::to_string(row / (labels_ + 1)) + ", label " + std::to_string(row % (labels_ + 1));
  }
  bool has_gradient() const { return dlogits_; }

  void prepare() const {
    stay_.clear();
    advance_.clear();
    forward_.close();
  }
  void look_up(Share nodes) const {
    Progress progress;
    for (Index node = nodes.begin; node < nodes.end; ++node) {
      progress.add(softmax_macs * static_cast<double>(call_.classes));
      const Index t = node / (labels_ + 1), u = node % (labels_ + 1);
      const T* const a = logits_ + row(t, u);
      z_[node] = rows_.normalizer(a, call_.classes);
      blank(t, u) = log_probability(a, z_[node], call_.blank);
      if (u < labels_) label(t, u) = log_probability(a, z_[node], y_[u]);
    }
  }
  Index bad_row() const { return first_without_softmax(z_, rows()); }

  // Row d of forward_ is what led to diagonal d. The last blank leads to (steps, labels).
  double forward() const {
    forward_.clear(0);
    forward_[0][0] = 0;
    Progress progress;
    for (Index d = 0; d < diagonals_; ++d) {
      progress.add(macs_of_diagonal());
      lattice_.transducer_forward({last_ + 1, forward_[d], stay_[d], advance_[d], forward_[d + 1]});
    }
    *log_p_ = forward_[diagonals_][last_];
    GRU_NATIVE_EXECUTED(add, 1);
    return 0 - *log_p_;
  }
  // Then stay_ and advance_ have the probabilities that these steps are taken.
  void backward() const {
    if (std::isinf(*log_p_)) return;
    backward_.clear();
    backward_[diagonals_ % 2][last_] = 0;
    Progress progress;
    for (Index d = diagonals_ - 1; d >= 0; --d) {
      progress.add(macs_of_diagonal());
      lattice_.transducer_backward(
          {last_ + 1, forward_[d], backward_[(d + 1) % 2], *log_p_, stay_[d], advance_[d], backward_[d % 2]});
    }
  }

  // Of nodes that are not of this sequence, and of what cannot be, it is 0.
  void gradient(Share nodes) const {
    Progress progress;
    for (Index node = nodes.begin; node < nodes.end; ++node) {
      progress.add(softmax_macs * static_cast<double>(call_.classes));
      const Index t = node / (call_.labels + 1), u = node % (call_.labels + 1);
      T* const d = dlogits_ + node * call_.classes;
      if (t >= steps_ || u > labels_ || std::isinf(*log_p_)) {
        std::fill_n(d, call_.classes, T(0));
        continue;
      }
      const double by_blank = blank(t, u), by_label = u < labels_ ? label(t, u) : 0;
      rows_.scaled_softmax({logits_ + row(t, u), z_[t * (labels_ + 1) + u], static_cast<T>(by_blank + by_label), T(0),
                            d, call_.classes});
      d[call_.blank] -= static_cast<T>(by_blank);
      if (u < labels_) d[y_[u]] -= static_cast<T>(by_label);
      GRU_NATIVE_EXECUTED(add, u < labels_ ? 3 : 2);
    }
  }

 private:
  double macs_of_diagonal() const { return 2 * softmax_macs * static_cast<double>(last_ + 1); }
  Index row(Index t, Index u) const { return (t * (call_.labels + 1) + u) * call_.classes; }
  double& blank(Index t, Index u) const { return by_label_ ? stay_[t + u][u] : advance_[t + u][t]; }
  double& label(Index t, Index u) const { return by_label_ ? advance_[t + u][u] : stay_[t + u][t]; }

  const TransducerCall<T>& call_;
  const LossKernels<T>& rows_ = kernels_for<T>().loss;
  const LatticeKernels& lattice_ = active_kernels().lattice;
  const Index steps_, labels_;
  const bool by_label_;
  const Index last_, diagonals_;
  const std::int64_t* const y_;
  const T* const logits_;
  T* const dlogits_;
  Normalizer<T>* const z_;
  const PaddedRows stay_, advance_, forward_, backward_;
  double* const log_p_;
  const Index needed_;
};

}  // namespace

template <class T>
void transducer(const TransducerCall<T>& call) {
  check_call(call);
  run_lattices<TransducerLattice<T>>(call);
}

template void transducer(const TransducerCall<float>&);
template void transducer(const TransducerCall<double>&);

}  // namespace gru_native
