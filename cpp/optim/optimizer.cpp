#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/shares.h"
#include "engine/threads.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/handle.h"
#include "runtime/memory.h"
#include "runtime/serial.h"
#include "runtime/team.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

constexpr Index granule = 4096;  // of shares, in numbers: whole pages

// Names of states, as PyTorch has them.
std::vector<const char*> state_names(const Sgd& s) {
  if (s.momentum == 0) return {};
  return {"momentum_buffer"};
}
std::vector<const char*> state_names(const Adagrad&) { return {"sum"}; }
std::vector<const char*> state_names(const Adam&) { return {"exp_avg", "exp_avg_sq"}; }

template <class T>
T state_at_first(const OptimizerSpec& spec) {
  const Adagrad* const adagrad = std::get_if<Adagrad>(&spec);
  return static_cast<T>(adagrad ? adagrad->initial_accumulator_value : 0);
}

// What changes weights at their n-th step, n from 1.
template <class T>
class Update {
 public:
  Update(const Sgd& s, std::int64_t n)
      : sgd_{static_cast<T>(s.lr), static_cast<T>(s.momentum), static_cast<T>(n == 1 ? 1 : 1 - s.dampening),
             static_cast<T>(s.weight_decay)},
        with_sgd_(s.momentum == 0 ? kernels_.plain_sgd
                  : s.nesterov    ? kernels_.nesterov_sgd
                                  : kernels_.momentum_sgd) {}
  Update(const Adagrad& s, std::int64_t n)
      : adagrad_{static_cast<T>(s.lr / (1 + static_cast<double>(n - 1) * s.lr_decay)), static_cast<T>(s.weight_decay),
                 static_cast<T>(s.eps)},
        with_adagrad_(kernels_.adagrad) {}
  Update(const Adam& s, std::int64_t n) : with_adam_(kernels_.adam) {
    const double steps = static_cast<double>(n);
    adam_.weight_decay = static_cast<T>(s.decoupled ? 0 : s.weight_decay);
    adam_.keep = static_cast<T>(s.decoupled ? 1 - s.lr * s.weight_decay : 1);
    adam_.beta1 = static_cast<T>(s.beta1);
    adam_.gain1 = static_cast<T>(1 - s.beta1);
    adam_.beta2 = static_cast<T>(s.beta2);
    adam_.gain2 = static_cast<T>(1 - s.beta2);
    adam_.rate = static_cast<T>(s.lr / (1 - std::pow(s.beta1, steps)));
    adam_.unbias2 = static_cast<T>(1 / std::sqrt(1 - std::pow(s.beta2, steps)));
    adam_.eps = static_cast<T>(s.eps);
  }
  void operator()(const UpdatedWeights<T>& weights) const {
    if (with_sgd_) with_sgd_(sgd_, weights);
    if (with_adagrad_) with_adagrad_(adagrad_, weights);
    if (with_adam_) with_adam_(adam_, weights);
  }

 private:
  const OptimizerKernels<T>& kernels_ = kernels_for<T>().optimizer;
  SgdUpdate<T> sgd_{};
  AdagradUpdate<T> adagrad_{};
  AdamUpdate<T> adam_{};
  void (*with_sgd_)(const SgdUpdate<T>&, const UpdatedWeights<T>&) = nullptr;
  void (*with_adagrad_)(const AdagradUpdate<T>&, const UpdatedWeights<T>&) = nullptr;
  void (*with_adam_)(const AdamUpdate<T>&, const UpdatedWeights<T>&) = nullptr;
};

// One weight's part of a step: rows of `columns` numbers, at rows[i] or side by side.
template <class T>
struct Part {
  Update<T> update;
  UpdatedWeights<T> whole;  // of row 0
  const std::int64_t* rows;
  Index count, columns;

  Index numbers() const { return count * columns; }
  // Numbers [begin, end) of the gradient.
  void run(Index begin, Index end) const {
    while (begin < end) {
      const Index row = begin / columns, next = std::min(end, rows ? (row + 1) * columns : end);
      const Index at = rows ? (rows[row] - row) * columns + begin : begin;
      UpdatedWeights<T> some = whole;
      some.w += at;
      some.g += begin;
      for (T*& state : some.state)
        if (state) state += at;
      some.n = next - begin;
      update(some);
      begin = next;
    }
  }
};

}  // namespace

template <class T>
struct Optimizer<T>::Impl {
  Serial serial;
  OptimizerSpec spec;
  std::vector<Weight<const T>> weights;  // names and shapes
  std::vector<Buffer<T>> storage;
  std::vector<Weight<T>> state;  // those of the first weight, of the second ..
  mutable std::vector<std::int64_t> steps;  // of the optimizer, whose impl_of() is const

  std::size_t states() const { return weights.empty() ? 0 : state.size() / weights.size(); }
  void check(const std::vector<Weight<T>>& given, const std::vector<WeightGradient<T>>& gradients,
             const std::vector<std::string>& names) const;
  Part<T> part(std::size_t i, const Weight<T>& weight, const WeightGradient<T>& gradient) const;
};

template <class T>
Optimizer<T>::Optimizer(const OptimizerSpec& spec, const std::vector<Weight<const T>>& weights)
    : impl_(std::make_unique<Impl>()) {
  validate(spec);
  active_kernels();  // an impossible GRU_NATIVE_ISA is reported here
  impl_->spec = spec;
  impl_->weights = weights;
  impl_->steps.assign(weights.size(), 0);
  for (const Weight<const T>& w : weights) {
    for (const std::int64_t length : w.shape) check_size("the shape of " + w.name, length, 0);
    for (const char* name : std::visit([](const auto& kind) { return state_names(kind); }, spec)) {
      impl_->storage.emplace_back(w.size());
      impl_->state.push_back({w.name + "." + name, w.shape, impl_->storage.back().data()});
      std::fill_n(impl_->state.back().data, w.size(), state_at_first<T>(spec));
    }
  }
}
template <class T>
Optimizer<T>::~Optimizer() = default;
template <class T>
Optimizer<T>::Optimizer(Optimizer&&) noexcept = default;
template <class T>
Optimizer<T>& Optimizer<T>::operator=(Optimizer&&) noexcept = default;
template <class T>
const OptimizerSpec& Optimizer<T>::spec() const {
  return impl_->spec;
}
template <class T>
void Optimizer<T>::set_lr(double lr) {
  OptimizerSpec changed = impl_->spec;
  std::visit([&](auto& kind) { kind.lr = lr; }, changed);
  validate(changed);
  impl_->spec = changed;
}
template <class T>
const std::vector<Weight<T>>& Optimizer<T>::state() const {
  return impl_->state;
}
template <class T>
const std::vector<std::int64_t>& Optimizer<T>::steps() const {
  return impl_->steps;
}
template <class T>
void Optimizer<T>::set_steps(const std::vector<std::int64_t>& steps) {
  if (steps.size() != impl_->steps.size())
    refuse("steps.size()", std::to_string(steps.size()), std::to_string(impl_->steps.size()));
  for (std::size_t i = 0; i < steps.size(); ++i) check_size("steps[" + std::to_string(i) + "]", steps[i], 0);
  impl_->steps = steps;
}

template <class T>
void Optimizer<T>::Impl::check(const std::vector<Weight<T>>& given, const std::vector<WeightGradient<T>>& gradients,
                               const std::vector<std::string>& names) const {
  const std::string expected = std::to_string(weights.size());
  if (given.size() != weights.size()) refuse("weights.size()", std::to_string(given.size()), expected);
  if (gradients.size() != weights.size()) refuse("gradients.size()", std::to_string(gradients.size()), expected);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (given[i].shape != weights[i].shape)
      throw std::invalid_argument("weights[" + std::to_string(i) + "], " + given[i].name + ", has not the shape of " +
                                  weights[i].name + "; expected the weights that this optimizer was made for");
    const WeightGradient<T>& g = gradients[i];
    if (!g.rows) continue;
    const std::string rows = names.empty() ? "gradients: rows of " + weights[i].name : names[i] + ".rows";
    if (weights[i].shape.empty())
      throw std::invalid_argument(rows + " are given; expected none, it is a single number");
    check_size(rows + ": num_rows", g.num_rows, 0);
    for (std::int64_t r = 0; r < g.num_rows; ++r) {
      const std::string which = rows + "[" + std::to_string(r) + "]";
      if (g.rows[r] < 0 || g.rows[r] >= weights[i].shape[0])
        refuse(which, std::to_string(g.rows[r]), "0 to " + std::to_string(weights[i].shape[0] - 1));
      if (r > 0 && g.rows[r] <= g.rows[r - 1])
        refuse(which, std::to_string(g.rows[r]), "more than the row before it, " + std::to_string(g.rows[r - 1]));
    }
  }
}

template <class T>
Part<T> Optimizer<T>::Impl::part(std::size_t i, const Weight<T>& weight, const WeightGradient<T>& g) const {
  const std::int64_t n = steps[i] + 1;
  const Update<T> update = std::visit([&](const auto& kind) { return Update<T>(kind, n); }, spec);
  UpdatedWeights<T> whole{weight.data, g.data, {nullptr, nullptr}, 0};
  for (std::size_t s = 0; s < states(); ++s) whole.state[s] = state[i * states() + s].data;
  if (!g.rows) return {update, whole, nullptr, 1, weight.size()};
  return {update, whole, g.rows, g.num_rows, weight.shape[0] == 0 ? 0 : weight.size() / weight.shape[0]};
}

template <class T>
std::function<void()> prepared_step(Optimizer<T>& optimizer, const std::vector<Weight<T>>& weights,
                                    const std::vector<WeightGradient<T>>& gradients,
                                    const std::vector<std::string>& names) {
  auto& impl = impl_of(optimizer);
  impl.check(weights, gradients, names);
  std::vector<Part<T>> parts;
  std::vector<std::size_t> changed;
  Index numbers = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!gradients[i].data) continue;
    parts.push_back(impl.part(i, weights[i], gradients[i]));
    changed.push_back(i);
    numbers += parts.back().numbers();
  }
  return [&impl, numbers, parts = std::move(parts), changed = std::move(changed)] {
    TeamLease team(useful_threads_to_copy(numbers), {&impl, numbers});
    team.run([&](int rank) {
      const FlushDenormals flush;
      const Share mine = share_of(numbers, granule, rank, team.size());
      Index at = 0;  // of this part among all numbers
      for (const Part<T>& part : parts) {
        const Index n = part.numbers();
        part.run(std::clamp(mine.begin - at, Index(0), n), std::clamp(mine.end - at, Index(0), n));
        at += n;
      }
    });
    for (const std::size_t i : changed) ++impl.steps[i];
  };
}

template <class T>
void Optimizer<T>::step(const std::vector<Weight<T>>& weights, const std::vector<WeightGradient<T>>& gradients) {
  prepared_step(*this, weights, gradients)();
}

template std::function<void()> prepared_step(Optimizer<float>&, const std::vector<Weight<float>>&,
                                             const std::vector<WeightGradient<float>>&,
                                             const std::vector<std::string>&);
template std::function<void()> prepared_step(Optimizer<double>&, const std::vector<Weight<double>>&,
                                             const std::vector<WeightGradient<double>>&,
                                             const std::vector<std::string>&);
template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace gru_native
