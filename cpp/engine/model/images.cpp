// Between sequences and images. To the engine a sequence is an image of one channel as it is; behind images, the
// numbers of a row change places.
#include "engine/model/images.h"

#include "engine/model/operation.h"

namespace gru_native {
namespace {

// y[c][r] = x[r][c]
template <class T>
void turn_row(const T* x, Index rows, Index columns, T* y) {
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < columns; ++c) y[c * rows + r] = x[r * columns + c];
}

template <class T>
class PackedColumns final : public PackedOperation<T> {
 public:
  using PackedOperation<T>::PackedOperation;

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>*) const override {
    each_share(team, call.in.rows, this->macs_of_row(call.inputs), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        turn_row(row_at(x, row), call.inputs / call.channels, call.channels, y.base + row * y.stride);
    });
  }
  void backward(const OperationRows& call, const Kept<T>&, Matrix<T> d, Matrix<T> dx, const std::vector<T*>&, Arena&,
                TeamLease& team) const override {
    if (!dx.base) return;
    each_share(team, call.in.rows, this->macs_of_row(call.inputs), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        turn_row(d.base + row * d.stride, call.channels, call.inputs / call.channels, dx.base + row * dx.stride);
    });
  }
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ColumnsSpec&) {
  return std::make_shared<PackedColumns<T>>(spec);
}
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ImageSpec&) {
  return pack<T>(spec, BranchSpec{});  // it hands x on
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const ColumnsSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const ColumnsSpec&);
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const ImageSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const ImageSpec&);

}  // namespace gru_native
