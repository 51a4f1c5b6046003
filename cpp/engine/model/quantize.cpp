#include "engine/model/quantize.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/model/dense.h"
#include "spec/check_precision.h"

namespace gru_native {

Dense<float> quantized_dense(const DenseSpec& spec, std::vector<QuantizedWeight> weights) {
  auto impl = std::make_unique<ImplOf<Dense<float>>>(spec);
  take_quantized(impl->store, std::move(weights));
  impl->store.replace(std::make_shared<PackedDense<float>>(spec, impl->store.quantized().front(),
                                                           spec.bias ? impl->store.data(1) : nullptr));
  return open_handle<Dense<float>>(std::move(impl));
}

template <>
Dense<float> Dense<float>::quantize(Precision precision) const {
  DenseSpec spec = impl_->spec;
  spec.precision = precision;
  return quantized_dense(spec, quantized_weights(impl_->store.list(), impl_->spec.precision, precision));
}
template <>
Dense<double> Dense<double>::quantize(Precision) const {
  refuse_float64();
}

}  // namespace gru_native
