// Batch normalisations as part of the products before them: of y = W x + b and n = gain y + shift follows
//   n = (gain W) x + (gain b + shift), gain = weight / sqrt(running_var + eps), shift = bias - gain running_mean.
#include "engine/model/fold.h"

#include <cmath>
#include <memory>

#include "engine/model/stores.h"
#include "gru_native/model.h"
#include "spec/check_operation.h"

namespace gru_native {
namespace {

// Of each output of a product.
struct Affine {
  std::vector<double> gain, shift;
};

template <class T>
const T* weight_of(const std::vector<Weight<const T>>& weights, const char* name) {
  for (const Weight<const T>& w : weights)
    if (w.name == name) return w.data;
  return nullptr;
}

template <class T>
Affine affine_of(const Operation<T>& operation, const BatchNorm1dSpec& norm) {
  const T *const weight = weight_of(operation.weights(), "weight"), *const bias =
                                                                        weight_of(operation.weights(), "bias");
  const T* const mean = weight_of(operation.weights(), "running_mean");
  const T* const var = weight_of(operation.weights(), "running_var");
  Affine made;
  for (std::int64_t k = 0; k < norm.num_features; ++k) {
    const double gain =
        (weight ? static_cast<double>(weight[k]) : 1.0) / std::sqrt(static_cast<double>(var[k]) + norm.eps);
    made.gain.push_back(gain);
    made.shift.push_back((bias ? static_cast<double>(bias[k]) : 0.0) - gain * static_cast<double>(mean[k]));
  }
  return made;
}

// A product of this spec, which has a bias, in place of the one before.
template <class Layer, class Spec>
std::shared_ptr<Layer> folded_product(const Layer& before, const Spec& spec, const Affine& affine) {
  auto made = std::make_shared<Layer>(spec);
  {
    auto edit = made->edit();  // whose end is the block's
    const auto& weight = before.weights()[0];
    const auto* const bias = weight_of(before.weights(), "bias");
    const auto to = edit["weight"].data, to_bias = edit["bias"].data;
    using T = std::remove_reference_t<decltype(*to)>;
    const std::size_t rows = affine.gain.size();
    std::int64_t numbers = 1;
    for (const std::int64_t n : weight.shape) numbers *= n;
    const std::size_t columns = static_cast<std::size_t>(numbers) / rows;
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t k = row * columns; k < (row + 1) * columns; ++k)
        to[k] = static_cast<T>(affine.gain[row] * static_cast<double>(weight.data[k]));
      to_bias[row] =
          static_cast<T>(affine.gain[row] * (bias ? static_cast<double>(bias[row]) : 0.0) + affine.shift[row]);
    }
  }
  return made;
}

}  // namespace

template <class T>
std::shared_ptr<Dense<T>> folded(const Dense<T>& product, const Operation<T>& norm) {
  DenseSpec spec = product.spec();
  const auto* const own = std::get_if<BatchNorm1dSpec>(&norm.spec().kind);
  const bool folds = own && own->num_features == spec.output_size && spec.precision == Precision::full &&
                     spec.activation == DenseActivation::identity;
  if (!folds) return nullptr;
  spec.bias = true;
  return folded_product(product, spec, affine_of(norm, *own));
}

template <class T>
std::shared_ptr<Operation<T>> folded(const Operation<T>& product, const Operation<T>& norm) {
  OperationSpec spec = product.spec();
  const auto fold = [&](auto* own, const BatchNorm1dSpec* of) -> std::shared_ptr<Operation<T>> {
    if (!own || !of || own->out_channels != of->num_features || own->activation != Activation::identity) return nullptr;
    own->bias = true;
    return folded_product(product, spec, affine_of(norm, *of));
  };
  if (auto* const own = std::get_if<Conv1dSpec>(&spec.kind))
    return fold(own, std::get_if<BatchNorm1dSpec>(&norm.spec().kind));
  return fold(std::get_if<Conv2dSpec>(&spec.kind), std::get_if<BatchNorm2dSpec>(&norm.spec().kind));
}

namespace {

template <class T>
std::shared_ptr<Layer<T>> folded(const Layer<T>&, const Operation<T>&) {
  return nullptr;
}

}  // namespace

template <class T>
std::vector<ModelBlock<T>> folded(const std::vector<ModelBlock<T>>& blocks) {
  for (const ModelBlock<T>& block : blocks)
    if (std::visit([](const auto& b) { return !b; }, block))
      throw std::invalid_argument("blocks holds a null; expected layers");
  const Moment moment(stores_of(blocks));
  std::vector<ModelBlock<T>> made;
  for (const ModelBlock<T>& block : blocks) {
    const auto* const norm = std::get_if<std::shared_ptr<const Operation<T>>>(&block);
    const auto fold = [&](const auto& before) {
      using Own = std::remove_const_t<std::remove_reference_t<decltype(*before)>>;
      const std::shared_ptr<const Own> product = folded(*before, **norm);
      if (product) made.back() = product;
      return product != nullptr;
    };
    if (!norm || made.empty() || !std::visit(fold, ModelBlock<T>(made.back()))) made.push_back(block);
  }
  return made;
}

#define GRU_NATIVE_FOLD(T)                                                                 \
  template std::shared_ptr<Dense<T>> folded(const Dense<T>&, const Operation<T>&);         \
  template std::shared_ptr<Operation<T>> folded(const Operation<T>&, const Operation<T>&); \
  template std::vector<ModelBlock<T>> folded(const std::vector<ModelBlock<T>>&);
GRU_NATIVE_FOLD(float)
GRU_NATIVE_FOLD(double)

}  // namespace gru_native
