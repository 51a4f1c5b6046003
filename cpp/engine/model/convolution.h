// Convolutions over time and of images, as products of the packed weights with rows that overlap (taps.h). A sequence
// is an image of height 1: a step is a column of dots, [height][channels].
#pragma once
#include <memory>
#include <vector>

#include "engine/matrix/lazily.h"
#include "engine/model/operation.h"
#include "engine/model/taps.h"
#include "spec/convolution.h"

namespace gru_native {

struct ConvolutionOptions {
  Index in_channels, out_channels, groups;
  Windows across, down;  // over steps, and over the height
  bool bias;
  ActivationFunction activation;
};

// Where a weight of torch's (out, channel, height, width) lies, from that of its row; ours are
// [width][height][channel].
inline Index torch_place(const ConvolutionOptions& own, Index tap, Index channel) {
  return channel * own.across.taps * own.down.taps + tap % own.down.taps * own.across.taps + tap / own.down.taps;
}

template <class T>
class PackedConvolution final : public PackedOperation<T> {
 public:
  PackedConvolution(const OperationSpec& spec, const ConvolutionOptions& own);

  void fill(const std::vector<Weight<const T>>& weights) override;
  void unpack(const std::vector<Weight<T>>& weights) const override;
  double macs_of_row(Index inputs) const override;
  Index columns_written(Index outputs) const override;
  bool writes_only_outputs() const override { return true; }
  bool keeps_to_rows() const override { return true; }
  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override;
  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const override;
  std::unique_ptr<OperationStream<T>> stream(Index inputs, Index batch, Index window, Arena& arena) const override;

 private:
  // Taps of one phase of the strides, whose gradients go to every stride-th place of x, in the order in which they lie
  // in the gradient of y. Of each: the outputs from the place's own one back to it, across and down.
  struct Phase {
    Index across, down;
    std::vector<Index> back_across, back_down;
    GroupedTaps<T> weight;  // rows are channels of x, k are taps and their channels of y
  };
  struct Source;  // where the windows of a call lie
  struct Begun;   // at what their sums begin
  struct Sink;    // where these go
  struct Spread;  // gradients of y with zeros around them, and which of x's rows are sums over them

  std::vector<Run> runs_at(Index step) const;
  Taps<T> taps(const std::vector<Run>& runs) const { return {weight_, runs, {bias_.data(), 0, nullptr}}; }
  void finish(T* y, Index numbers, bool swish) const;
  std::vector<Phase> make_phases() const;
  void sum_gradients(const Kept<T>& kept, Rows<const T> d, Index rows, const std::vector<Run>& runs, T* dw, T* dweight,
                     int member, int members) const;
  void sum_depthwise_gradients(const Kept<T>& kept, Rows<const T> d, Index rows, const std::vector<Run>& runs, T* dw,
                               T* dweight, int member, int members) const;
  void gradient_of_sums(const T* y, const T* dy, T* da, Index n) const;
  static Index whole_vectors(Index columns);
  static Index columns_of(const std::vector<Run>& runs);  // of gradients of weights, those of each run in whole vectors

  const ConvolutionOptions own_;
  const Index in_, out_, taps_, depth_;  // channels of a group, taps, in_ * taps
  const std::vector<Run> line_;  // of images of height 1
  GroupedTaps<T> weight_;  // k runs over taps, down and then across, in each over channels
  Buffer<T> rows_;  // [out][tap][channel of the group]
  Buffer<T> bias_;  // zeros where there is none
  Lazily<std::vector<Phase>> phases_;
};

}  // namespace gru_native
