// A function of each number. The slope follows from the output, which is what a tape keeps.
#include "engine/model/operation.h"

namespace gru_native {
namespace {

template <class T>
class PackedActivation final : public PackedOperation<T> {
 public:
  PackedActivation(const OperationSpec& spec, const ActivationSpec& own)
      : PackedOperation<T>(spec), f_(chosen<T>(own.function)) {}

  bool writes_only_outputs() const override { return true; }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    if (kept) kept->rows = y;
    const bool together = !x.offset && x.stride == call.inputs && y.stride == call.inputs;  // as one row
    each_share(team, call.in.rows, this->macs_of_row(call.inputs), [&](Index begin, Index end) {
      if (together) return activate_exactly(f_, row_at(x, begin), y.base + begin * y.stride, (end - begin) * y.stride);
      for (Index row = begin; row < end; ++row)
        activate_exactly(f_, row_at(x, row), y.base + row * y.stride, call.inputs);
    });
  }

  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx, const std::vector<T*>&,
                Arena&, TeamLease& team) const override {
    if (!dx.base) return;
    each_share(team, call.in.rows, this->macs_of_row(call.inputs), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        kernels_for<T>().function.backward(f_, kept.rows.base + row * kept.rows.stride, d.base + row * d.stride,
                                           dx.base + row * dx.stride, call.inputs);
    });
  }

 private:
  const ChosenActivation<T> f_;
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ActivationSpec& own) {
  return std::make_shared<PackedActivation<T>>(spec, own);
}
// By itself it hands x on.
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const BranchSpec&) {
  return std::make_shared<PackedActivation<T>>(spec, ActivationSpec{});
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const BranchSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const BranchSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const ActivationSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const ActivationSpec&);

}  // namespace gru_native
