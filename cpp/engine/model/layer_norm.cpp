// Layer normalisation of rows (cells/layer_norm.h). A tape keeps the rows as they are before weight and bias, and what
// each was multiplied by.
#include "engine/model/operation.h"

namespace gru_native {
namespace {

template <class T>
class PackedLayerNorm final : public PackedOperation<T> {
 public:
  PackedLayerNorm(const OperationSpec& spec, const LayerNormSpec& own)
      : PackedOperation<T>(spec),
        columns_(own.normalized_shape),
        blocks_(divide_up(columns_, kernels_for<T>().lanes)),
        eps_(static_cast<T>(own.eps)),
        affine_(own.elementwise_affine),
        has_bias_(affine_ && own.bias),
        gain_(blocks_ * kernels_for<T>().lanes),
        bias_(blocks_ * kernels_for<T>().lanes) {
    std::fill_n(gain_.data(), columns_, T(1));
  }

  void fill(const std::vector<Weight<const T>>& weights) override {
    if (affine_) std::copy_n(weights[0].data, columns_, gain_.data());
    if (has_bias_) std::copy_n(weights[1].data, columns_, bias_.data());
  }
  void unpack(const std::vector<Weight<T>>& weights) const override {
    if (affine_) std::copy_n(gain_.data(), columns_, weights[0].data);
    if (has_bias_) std::copy_n(bias_.data(), columns_, weights[1].data);
  }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    if (kept) {
      kept->rows = take_matrix<T>(kept->arena, call.in.rows, columns_);
      kept->numbers = kept->arena.template take<T>(call.in.rows);
    }
    each_share(team, call.in.rows, this->macs_of_row(columns_), [&](Index begin, Index end) {
      const Matrix<T> rows = kept ? kept->rows : y;
      copy_rows(x, columns_, rows, begin, end);
      kernels_for<T>().norm_rows({begin, end, blocks_, columns_, 1, rows, kept ? kept->numbers : nullptr, eps_});
      if (kept) copy_rows(read_only(rows_of(rows)), columns_, y, begin, end);
      if (affine_) kernels_for<T>().affine_rows({begin, end, columns_, y, gain_.data(), bias_.data()});
    });
  }

  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const override {
    const Matrix<T> da = dx.base ? dx : take_matrix<T>(arena, call.in.rows, columns_);
    const Index lanes = kernels_for<T>().lanes;
    T* const dgain = arena.template take_zeroed<T>(blocks_ * lanes);
    T* const dbias = arena.template take_zeroed<T>(blocks_ * lanes);
    team.run([&](int rank) {  // shares are of columns: each sum over rows is one member's
      const FlushDenormals flush;
      const Share mine = share_of(blocks_, 1, rank, team.size());
      if (mine.begin == mine.end) return;
      in_parts(0, call.in.rows, this->macs_of_row(columns_), 1, [&](Index begin, Index end) {
        kernels_for<T>().norm_backward({end - begin, mine.begin, mine.end, blocks_, columns_, 1,
                                        read_only(from_row(d, begin)), read_only(from_row(kept.rows, begin)),
                                        kept.numbers + begin, gain_.data(), from_row(da, begin),
                                        affine_ ? dgain : nullptr, has_bias_ ? dbias : nullptr});
      });
    });
    if (T* const to = gradient_of(dweights, affine_ ? 0 : -1)) std::copy_n(dgain, columns_, to);
    if (T* const to = gradient_of(dweights, has_bias_ ? 1 : -1)) std::copy_n(dbias, columns_, to);
  }

 private:
  const Index columns_, blocks_;
  const T eps_;
  const bool affine_, has_bias_;
  const Buffer<T> gain_, bias_;
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const LayerNormSpec& own) {
  return std::make_shared<PackedLayerNorm<T>>(spec, own);
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const LayerNormSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const LayerNormSpec&);

}  // namespace gru_native
