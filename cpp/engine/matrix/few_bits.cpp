#include "engine/matrix/few_bits.h"

namespace gru_native {

std::vector<QuantizedWeight> quantized_weights(const std::vector<Weight<const float>>& weights, Precision own,
                                               Precision precision) {
  check_quantizable(own, precision);
  std::vector<QuantizedWeight> made;
  for (const Weight<const float>& w : weights) {
    made.emplace_back();
    if (!is_matrix(w.name, w.shape)) made.back().vector.assign(w.begin(), w.end());
    else made.back().matrix = quantized(precision, w.name.c_str(), w.data, w.size() / w.shape.back(), w.shape.back());
  }
  return made;
}

}  // namespace gru_native
