// Layers as the tensors that files hold, whatever their precision: matrices of int8 as I8 with F32 scales, of bf16 as
// BF16, all else as floats.
#pragma once
#include "engine/graph/graph.h"
#include "engine/graph/readout.h"
#include "engine/model/dense.h"
#include "engine/model/operation.h"
#include "engine/model/quantize.h"
#include "engine/sequence/layer_impl.h"
#include "engine/sequence/output_rnn.h"
#include "engine/tree/tree_layer.h"
#include "spec/tensors.h"

namespace gru_native {

template <class T>
constexpr const char* dtype_name = sizeof(T) == 4 ? "F32" : "F64";
template <>
inline constexpr const char* dtype_name<std::int8_t> = "I8";
template <>
inline constexpr const char* dtype_name<std::uint16_t> = "BF16";

// f(name, shape, data) for each tensor of a layer; the data's type is that of its dtype.
template <class Block, class F>
void each_tensor(const Block& block, const F& f) {
  const auto& store = impl_of(block).store;
  for (std::size_t i = 0; i < store.list().size(); ++i) {
    const auto& w = store.list()[i];
    const QuantizedMatrix* const matrix = store.quantized().empty() ? nullptr : &store.quantized()[i];
    if (!matrix || matrix->rows == 0) {
      f(w.name, w.shape, w.data);
    } else if (matrix->precision == Precision::bf16) {
      f(w.name, w.shape, matrix->bits.data());
    } else {
      f(w.name, w.shape, matrix->q.data());
      f(scale_name(w.name), std::vector<std::int64_t>{matrix->rows}, matrix->scale.data());
    }
  }
}

// The layer of few bits that these tensors are. read(name, shape, to) copies one of them, whose dtype is that of `to`.
// Throws std::invalid_argument as check_quantized does, with `prefix` before the names.
template <class Spec, class Read>
auto block_of_few_bits(const Spec& spec, const std::string& prefix, const Read& read) {
  std::vector<QuantizedWeight> weights;
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    QuantizedWeight& w = weights.emplace_back();
    std::int64_t numbers = 1;
    for (const std::int64_t size : shape) numbers *= size;
    if (!is_matrix(name, shape)) {
      w.vector.resize(static_cast<std::size_t>(numbers));
      return read(prefix + name, shape, w.vector.data());
    }
    QuantizedMatrix& m = w.matrix;
    m.precision = spec.precision;
    m.columns = shape.back();
    m.rows = numbers / m.columns;
    if (m.precision == Precision::bf16) {
      m.bits.resize(static_cast<std::size_t>(m.size()));
      read(prefix + name, shape, m.bits.data());
    } else {
      m.q.resize(static_cast<std::size_t>(m.size()));
      m.scale.resize(static_cast<std::size_t>(m.rows));
      read(prefix + name, shape, m.q.data());
      read(prefix + scale_name(name), std::vector<std::int64_t>{m.rows}, m.scale.data());
    }
    check_quantized(prefix + name, m);
  });
  if constexpr (std::is_same_v<Spec, DenseSpec>) return quantized_dense(spec, std::move(weights));
  else return quantized_layer(spec, std::move(weights));
}

}  // namespace gru_native
