#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/shares.h"
#include "engine/threads.h"
#include "losses/rows.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "runtime/interruption.h"
#include "runtime/team.h"
#include "spec/check_losses.h"

namespace gru_native {
namespace {

// One row a with target k, of n classes; p = softmax(a), e = label_smoothing:
//   loss = -(1 - e) log p_k - e / n (sum of log p)        dloss/da_i = p_i - (1 - e) [i = k] - e / n
template <class T>
class Row {
 public:
  Row(const CrossEntropyCall<T>& call, std::int64_t counted)
      : call_(call), n_(call.classes), smooth_(call.label_smoothing), scale_(1 / static_cast<double>(counted)) {}

  // NaN where there is no softmax.
  double loss(const T* a, Index target, const Normalizer<T>& z) const {
    if (std::isnan(z.log_sum)) return static_cast<double>(z.log_sum);
    const double of_target = -log_probability(a, z, target);
    if (smooth_ == 0) return of_target;
    GRU_NATIVE_EXECUTED(add, smooth_ < 1 ? 3 : 1);
    GRU_NATIVE_EXECUTED(multiply, smooth_ < 1 ? 2 : 1);
    GRU_NATIVE_EXECUTED(divide, 1);
    const double of_all = static_cast<double>(z.log_sum) -
                          static_cast<double>(kernels_.sum_above(a, z.top, n_)) / static_cast<double>(n_);
    return smooth_ * of_all + (smooth_ < 1 ? (1 - smooth_) * of_target : 0);  // 0 times infinity is no loss
  }
  void gradient(const T* a, Index target, const Normalizer<T>& z, T* da) const {
    kernels_.scaled_softmax(
        {a, z, static_cast<T>(scale_), static_cast<T>(scale_ * smooth_ / static_cast<double>(n_)), da, n_});
    da[target] -= static_cast<T>(scale_ * (1 - smooth_));
    GRU_NATIVE_EXECUTED(add, 2);
    GRU_NATIVE_EXECUTED(multiply, 2);
    GRU_NATIVE_EXECUTED(divide, 1);
  }
  double operator()(Index row) const {
    const Index target = call_.targets[row];
    const T* const a = call_.logits + row * n_;
    T* const da = call_.dlogits ? call_.dlogits + row * n_ : nullptr;
    if (target == call_.ignore) {
      if (da) std::fill_n(da, n_, T(0));
      return 0;
    }
    const Normalizer<T> z = kernels_.normalizer(a, n_);
    const double result = loss(a, target, z);
    if (da) gradient(a, target, z, da);
    return result;
  }

 private:
  const CrossEntropyCall<T>& call_;
  const LossKernels<T>& kernels_ = kernels_for<T>().loss;
  const Index n_;
  const double smooth_, scale_;
};

}  // namespace

template <class T>
double cross_entropy(const CrossEntropyCall<T>& call) {
  check_call(call);
  const auto counts = [&](std::int64_t target) { return target != call.ignore; };
  const std::int64_t counted = std::count_if(call.targets, call.targets + call.rows, counts);
  std::vector<double> losses(static_cast<std::size_t>(call.rows));
  const Row<T> loss_of(call, std::max<std::int64_t>(counted, 1));
  static const char kind = 0;
  TeamLease team(useful_threads(softmax_macs * static_cast<double>(call.rows) * static_cast<double>(call.classes)),
                 {&kind, call.rows * call.classes});
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(call.rows, 1, rank, team.size());
    Progress progress;
    for (Index row = mine.begin; row < mine.end; ++row) {
      progress.add(2 * softmax_macs * static_cast<double>(call.classes));
      losses[static_cast<std::size_t>(row)] = loss_of(row);
    }
  });
  const auto bad = std::find_if(losses.begin(), losses.end(), [](double loss) { return std::isnan(loss); });
  if (bad != losses.end()) refuse_logits("row " + std::to_string(bad - losses.begin()));
  GRU_NATIVE_EXECUTED(add, call.rows);
  GRU_NATIVE_EXECUTED(divide, 2);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(std::max<std::int64_t>(counted, 1));
}

template double cross_entropy(const CrossEntropyCall<float>&);
template double cross_entropy(const CrossEntropyCall<double>&);

}  // namespace gru_native
