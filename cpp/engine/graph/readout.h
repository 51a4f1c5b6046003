// What GraphReadout and its tape keep behind their public faces.
#pragma once
#include <memory>
#include <vector>

#include "engine/matrix/few_bits.h"
#include "engine/matrix/lazily.h"
#include "engine/matrix/matrices.h"
#include "gru_native/readout.h"
#include "runtime/dispatch.h"

namespace gru_native {

template <class T>
struct PackedReadout {
  PackedMatrix<T> both;  // columns: f, padded to whole vectors, then g
  Buffer<T> start;       // biases
  Index units = 0;       // of f

  const PackedMatrix<T>& transposed() const {  // inference never needs it
    const Index lanes = kernels_for<T>().lanes;
    return transposed_.get([&] { return transpose(both, lanes, 2 * units / lanes); });
  }

 private:
  Lazily<PackedMatrix<T>> transposed_;
};

template <class T>
struct ReadoutValues {
  Matrix<T> z{}, a{}, y{};  // [node]: [h; x], pre-activations; [graph]: sums
};

template <class T>
struct GraphReadout<T>::Impl {
  explicit Impl(const ReadoutSpec& s);

  std::shared_ptr<PackedReadout<T>> reserve() const;
  void fill(PackedReadout<T>& packed) const;
  const ReadoutKernels<T>& kernels() const { return kernels_for<T>().readout[static_cast<int>(spec.kind)]; }
  Index columns() const { return spec.hidden_size + spec.annotation_size; }
  double macs_of_outputs() const { return 2 * macs_of_function * static_cast<double>(spec.output_size); }  // of a node
  bool sums() const { return spec.kind == ReadoutKind::graph_sum; }
  ReadoutValues<T> values(const ReadoutForwardCall<T>& call, const PackedReadout<T>& packed, Arena& arena) const {
    return {take_matrix<T>(arena, call.nodes, columns()), take_matrix<T>(arena, call.nodes, 2 * packed.units),
            take_zeroed_matrix<T>(arena, call.graphs, packed.units)};
  }
  void forward(const ReadoutForwardCall<T>& call, const PackedReadout<T>& packed, const ReadoutValues<T>& values,
               Arena& scratch) const;

  ReadoutSpec spec;
  WeightStore<T, PackedReadout<T>> store;
  int f, g, bias_f, bias_g;  // where the tensors lie in the store
};

template <class T>
struct ReadoutTape<T>::Impl : TapeOf<PackedReadout<T>> {
  explicit Impl(TapeOf<PackedReadout<T>> base) : TapeOf<PackedReadout<T>>(std::move(base)) {}

  Index nodes = 0, graphs = 0;
  std::vector<std::int64_t> graph;  // [nodes]; empty: all 0
  ReadoutValues<T> values;

  Index graph_of(Index v) const { return graph.empty() ? 0 : graph[static_cast<std::size_t>(v)]; }
};

// Of few bits: these weights, one for each that a readout of this spec has.
GraphReadout<float> quantized_layer(const ReadoutSpec& spec, std::vector<QuantizedWeight> weights);

}  // namespace gru_native
