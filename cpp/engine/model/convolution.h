// Convolution over time, as products of the packed weights with rows that overlap: output t of a sequence reads from
// its step t * stride on, so nothing is copied for each tap.
#pragma once
#include <memory>
#include <vector>

#include "engine/matrix/lazily.h"
#include "engine/model/operation.h"

namespace gru_native {

template <class T>
class PackedConv1d final : public PackedOperation<T> {
 public:
  PackedConv1d(const OperationSpec& spec, const Conv1dSpec& own);

  void fill(const std::vector<Weight<const T>>& weights) override;
  void unpack(const std::vector<Weight<T>>& weights) const override;
  double macs_of_row(Index inputs) const override;
  Index columns_written(Index outputs) const override;
  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override;
  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const override;
  std::unique_ptr<OperationStream<T>> stream(Index inputs, Index batch, Index window, Arena& arena) const override;

  // Some rows of y. Row i reads from first.base + (first.offset ? first.offset[i] : i * first.stride) on, where steps
  // lie in_channels apart.
  void convolve(Rows<const T> first, Matrix<T> y, Share rows) const;

 private:
  bool at_once() const { return own_.groups == 1 && own_.dilation == 1; }  // all taps of a row lie side by side
  void sum_gradients(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Index group, T* dw, T* db, T* scratch,
                     int member, int members) const;
  const std::vector<PackedMatrix<T>>& transposed() const;

  const Conv1dSpec own_;
  const Index in_, out_, depth_;  // channels of a group; in_ * taps
  const Index lanes_;
  std::vector<PackedMatrix<T>> weight_;  // [group]: k runs over taps, in each over channels
  Buffer<T> rows_;                       // [out][tap][channel of the group]
  Buffer<T> bias_;                       // zeros where there is none
  Lazily<std::vector<PackedMatrix<T>>> transposed_;  // [group][tap]
};

}  // namespace gru_native
