#include "spec/check_precision.h"

#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {
namespace {

std::string name_of(Precision precision) { return precision_names[static_cast<int>(precision)]; }

}  // namespace

void check_new(Precision precision) {
  if (precision != Precision::full)
    refuse("precision", name_of(precision), "full: set the weights of such a layer, and call quantize");
}

void check_full(Precision own, const char* what) {
  if (own != Precision::full)
    throw std::invalid_argument("the layer has " + name_of(own) + " weights, which are for inference only; " + what +
                                " the layer of full precision, and quantize it again");
}

void check_quantizable(Precision own, Precision wanted) {
  if (wanted != Precision::int8 && wanted != Precision::bf16) refuse("precision", "full", "int8 or bf16");
  if (own != Precision::full)
    throw std::invalid_argument("the layer has " + name_of(own) +
                                " weights already; quantize the layer of full precision");
}

void refuse_float64() {
  throw std::invalid_argument("the layer has float64 weights; expected float32: only these are quantized");
}

}  // namespace gru_native
