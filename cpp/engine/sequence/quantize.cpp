#include "engine/sequence/quantize.h"

#include <utility>

#include "engine/sequence/layer_impl.h"
#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {

std::vector<QuantizedWeight> quantized_weights(const std::vector<Weight<const float>>& weights, Precision own,
                                               Precision precision) {
  if (precision != Precision::int8 && precision != Precision::bf16) refuse("precision", "full", "int8 or bf16");
  if (own != Precision::full)
    throw std::invalid_argument(std::string("the layer has ") + precision_names[static_cast<int>(own)] +
                                " weights already; quantize the layer of full precision");
  std::vector<QuantizedWeight> made;
  for (const Weight<const float>& w : weights) {
    made.emplace_back();
    if (w.shape.size() < 2) made.back().vector.assign(w.begin(), w.end());
    else made.back().matrix = quantized(precision, w.name.c_str(), w.data, w.shape[0], w.shape[1]);
  }
  return made;
}

Layer<float> quantized_layer(const LayerSpec& spec, std::vector<QuantizedWeight> weights) {
  auto impl = std::make_unique<ImplOf<Layer<float>>>(spec);
  take_quantized(impl->store, std::move(weights));
  impl->store.replace(std::shared_ptr<const PackedWeights<float>>(
      pack_quantized(spec, impl->store.list(), impl->store.quantized(), impl->index)));
  return open_handle<Layer<float>>(std::move(impl));
}

template <>
Layer<float> Layer<float>::quantize(Precision precision) const {
  LayerSpec spec = impl_->spec;
  spec.precision = precision;
  return quantized_layer(spec, quantized_weights(impl_->store.list(), impl_->spec.precision, precision));
}
template <>
Layer<double> Layer<double>::quantize(Precision) const {
  throw std::invalid_argument("the layer has float64 weights; expected float32: only these are quantized");
}

}  // namespace gru_native
