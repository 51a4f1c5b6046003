// Dense layers over rows, and what Dense keeps behind its public face.
#pragma once
#include <memory>

#include "engine/matrix/derived.h"
#include "engine/matrix/panels.h"
#include "engine/matrix/weights.h"
#include "engine/sequence/timeline.h"
#include "gru_native/dense.h"
#include "runtime/team.h"

namespace gru_native {

// The weights as the kernels want them, never changed once filled.
template <class T>
class PackedDense {
 public:
  explicit PackedDense(const DenseSpec& spec);  // zeros, to be filled
  PackedDense(const DenseSpec& spec, const QuantizedMatrix& weight, const float* bias);
  DenseSpec spec;
  int lanes;
  PackedMatrix<T> weight;
  Buffer<T> bias;             // zeros where there is none
  Buffer<T> column;           // of one output: its weights side by side, 0 up to a whole vector; else empty
  bool one_column = false;

  Index columns() const { return weight.panels * weight.width * lanes; }  // of a row of outputs, padded
  const PackedMatrix<T>& transposed() const;  // inference never needs it
  // To be called before the weights are written again.
  void forget_transposed() { transposed_.forget(); }

 private:
  Derived<PackedMatrix<T>> transposed_;
};

// W x, with as few vectors of outputs as there are. Of one output nothing else is written.
template <class T>
Product<T> dense_product(const PackedDense<T>& w) {
  Product<T> p = product_of(w.weight, w.lanes, 1, 0);
  if (w.one_column) p.panels = w.column.data(), p.width = 1, p.one_column = true;
  else if (!p.quantized && w.spec.output_size <= w.lanes) p.width = 1, p.sums = 4;
  return p;
}

// y = f(W x + b) for some rows; y has w.columns() columns. The rows are shared out among the team.
template <class T>
void dense_forward(const PackedDense<T>& w, Rows<const T> x, Index rows, Matrix<T> y, TeamLease& team);

template <class T>
struct Dense<T>::Impl {
  explicit Impl(const DenseSpec& spec);

  DenseSpec spec;
  WeightStore<T, PackedDense<T>> store;
  std::shared_ptr<PackedDense<T>> reserve() const;
  void fill(PackedDense<T>& packed) const;
  std::shared_ptr<const PackedDense<T>> current() const { return store.packed(); }
};

template <class T>
struct DenseTape<T>::Impl : TapeOf<PackedDense<T>> {
  Impl(TapeOf<PackedDense<T>> base, Timeline time) : TapeOf<PackedDense<T>>(std::move(base)), time(std::move(time)) {}

  Timeline time;
  Matrix<T> x{}, y{};  // [compact row]; y has packed->columns(), and is not kept if it is W x + b
};

}  // namespace gru_native
