#include "engine/decoder/weights.h"

#include <algorithm>

namespace gru_native {
namespace {

// f(panels, place of the weight) for each of an attention's matrices that there are.
template <class Panels, class F>
void each_matrix(Panels& panels, const AttentionIndex& at, const F& f) {
  if (at.query >= 0) f(panels.query, at.query);
  if (at.memory >= 0) f(panels.memory, at.memory);
  if (at.location >= 0) f(panels.location, at.location);
  if (at.filter >= 0) f(panels.filter, at.filter);
}

// matrix(panels, place of the weight) and vector(numbers, place or -1) for all that lies as the weights do: all but the
// layers and the readout.
template <class Packed, class Matrix, class Vector>
void each_as_it_is(Packed& p, const DecoderIndex& index, const Matrix& matrix, const Vector& vector) {
  vector(p.embedding, index.embedding);
  for (std::size_t m = 0; m < p.attentions.size(); ++m) {
    each_matrix(p.attentions[m], index.attentions[m], matrix);
    vector(p.attentions[m].bias, index.attentions[m].bias);
    vector(p.attentions[m].v, index.attentions[m].score);
  }
  matrix(p.output, index.output);
  vector(p.bias_output, index.bias_output);
}

}  // namespace

template <class T>
std::shared_ptr<PackedDecoder<T>> reserve_packed(const AttentionDecoderSpec& spec, const LayerSpec& layers,
                                                 const std::vector<Weight<const T>>& weights,
                                                 const DecoderIndex& index) {
  const Index lanes = kernels_for<T>().lanes;
  const auto weight = [&](int place) -> const Weight<const T>& { return weights[static_cast<std::size_t>(place)]; };
  const auto vector = [](Index columns) { return Buffer<T>(round_up(columns, panel_columns<T>())); };
  auto p = std::make_shared<PackedDecoder<T>>();
  p->embedding = Buffer<T>(weight(index.embedding).size());
  p->layers = reserve_packed<T>(layers, weights, index.layers);
  for (const AttentionIndex& at : index.attentions) {
    PackedAttention<T>& a = p->attentions.emplace_back();
    each_matrix(a, at, [&](PackedMatrix<T>& m, int place) {
      m = empty_panels<T>(weight(place).shape[0], 1, weight(place).shape[1], lanes);
    });
    const Index keys = at.memory >= 0 ? weight(at.memory).shape[0] : spec.memory_size;
    a.bias = vector(keys);
    a.v = vector(keys);
  }
  const Index columns = spec.readout_columns();
  p->readout_second = spec.readout == ReadoutFunction::maxout ? round_up(columns, lanes) : 0;
  p->readout_width = p->readout_second + columns;
  p->readout = empty_panels<T>(p->readout_width, 1, weight(index.readout).shape[1], lanes);
  p->output = empty_panels<T>(spec.vocab_size, 1, columns, lanes);
  p->bias_readout = vector(p->readout_width);
  p->bias_output = vector(spec.vocab_size);
  return p;
}

template <class T>
void pack(PackedDecoder<T>& p, const AttentionDecoderSpec& spec, const LayerSpec& layers,
          const std::vector<Weight<const T>>& weights, const DecoderIndex& index) {
  const Index lanes = kernels_for<T>().lanes;
  const auto weight = [&](int place) -> const Weight<const T>& { return weights[static_cast<std::size_t>(place)]; };
  const auto vector = [&](Buffer<T>& to, int place) {
    if (place >= 0) copy_shared(weight(place).data, weight(place).size(), to.data());
  };
  const auto matrix = [&](PackedMatrix<T>& m, int place) {
    fill_panels(m, weight(place).shape[0], lanes, [&](int, Index row) { return weight(place).data + row * m.depth; });
  };
  each_as_it_is(p, index, matrix, vector);
  pack(*p.layers, layers, weights, index.layers);
  const Index columns = spec.readout_columns();
  fill_panels(p.readout, p.readout_width, lanes, [&](int, Index column) -> const T* {
    const Index row = p.readout_row(column, columns);
    return row < 0 ? nullptr : weight(index.readout).data + row * p.readout.depth;
  });
  for (Index column = 0; column < p.readout_width; ++column)
    if (const Index row = p.readout_row(column, columns); row >= 0)
      p.bias_readout.data()[column] = weight(index.bias_readout).data[row];
}

template <class T>
void unpack(const PackedDecoder<T>& p, const AttentionDecoderSpec& spec, const LayerSpec& layers,
            const std::vector<Weight<T>>& weights, const DecoderIndex& index) {
  const Index lanes = kernels_for<T>().lanes;
  const auto weight = [&](int place) -> const Weight<T>& { return weights[static_cast<std::size_t>(place)]; };
  const auto vector = [&](const Buffer<T>& from, int place) {
    if (place >= 0) std::copy_n(from.data(), weight(place).size(), weight(place).data);
  };
  const auto matrix = [&](const PackedMatrix<T>& m, int place) {
    unpack_panels(m, weight(place).shape[0], lanes, [&](int, Index row) { return weight(place).data + row * m.depth; });
  };
  each_as_it_is(p, index, matrix, vector);
  unpack(*p.layers, layers, weights, index.layers);
  const Index columns = spec.readout_columns();
  std::vector<T> padding(static_cast<std::size_t>(p.readout.depth));
  unpack_panels(p.readout, p.readout_width, lanes, [&](int, Index column) {
    const Index row = p.readout_row(column, columns);
    return row < 0 ? padding.data() : weight(index.readout).data + row * p.readout.depth;
  });
  for (Index column = 0; column < p.readout_width; ++column)
    if (const Index row = p.readout_row(column, columns); row >= 0)
      weight(index.bias_readout).data[row] = p.bias_readout.data()[column];
}

template <class T>
const DecoderTransposed<T>& PackedDecoder<T>::transposed() const {
  return transposed_.get([&] {
    const Index lanes = kernels_for<T>().lanes;
    const auto of = [&](const PackedMatrix<T>& m) { return transpose(m, lanes, divide_up(m.columns(), lanes)); };
    DecoderTransposed<T> t;
    for (const PackedAttention<T>& a : attentions)
      t.attentions.push_back({of(a.query), of(a.memory), of(a.location), of(a.filter)});
    t.readout = of(readout);
    t.output = of(output);
    return t;
  });
}

#define GRU_NATIVE_DECODER_WEIGHTS(T)                                                                                  \
  template std::shared_ptr<PackedDecoder<T>> reserve_packed(const AttentionDecoderSpec&, const LayerSpec&,             \
                                                            const std::vector<Weight<const T>>&, const DecoderIndex&); \
  template void pack(PackedDecoder<T>&, const AttentionDecoderSpec&, const LayerSpec&,                                 \
                     const std::vector<Weight<const T>>&, const DecoderIndex&);                                        \
  template void unpack(const PackedDecoder<T>&, const AttentionDecoderSpec&, const LayerSpec&,                         \
                       const std::vector<Weight<T>>&, const DecoderIndex&);                                            \
  template struct PackedDecoder<T>;
GRU_NATIVE_DECODER_WEIGHTS(float)
GRU_NATIVE_DECODER_WEIGHTS(double)

}  // namespace gru_native
