#include "engine/sequence/quantize.h"

#include <utility>

#include "engine/sequence/layer_impl.h"
#include "spec/check_precision.h"

namespace gru_native {

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
  refuse_float64();
}

}  // namespace gru_native
