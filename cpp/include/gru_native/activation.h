/// \file
/// Activation functions: functions of one number, which follow a product.
#pragma once
#include <limits>

namespace gru_native {

/// Which function. Dense layers and graphs have the first four, recurrent layers all.
enum class Activation {
  identity,          ///< a
  tanh,              ///< tanh(a)
  sigmoid,           ///< 1 / (1 + e^-a)
  relu,              ///< max(a, 0)
  softsign,          ///< a / (1 + |a|)
  softplus,          ///< log(1 + e^a)
  leaky_relu,        ///< a, but alpha a below 0
  thresholded_relu,  ///< a, but 0 below alpha
  elu,               ///< a, but alpha (e^a - 1) below 0
  affine,            ///< alpha a + beta
  scaled_tanh,       ///< alpha tanh(beta a)
  hard_sigmoid       ///< alpha a + beta, held within [0, 1]
};

/// A function with its numbers. Made from an Activation alone it has the default numbers of the ONNX operator of that
/// name; scaled_tanh has none and must be told.
struct ActivationFunction {
  Activation kind;
  double alpha = 0, beta = 0;  ///< 0 where the function has none.

  ActivationFunction(Activation f) : kind(f) {
    constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
    if (f == Activation::leaky_relu) alpha = 0.01;
    if (f == Activation::thresholded_relu || f == Activation::elu || f == Activation::affine) alpha = 1;
    if (f == Activation::hard_sigmoid) alpha = 0.2, beta = 0.5;
    if (f == Activation::scaled_tanh) alpha = beta = nothing;
  }
  ActivationFunction(Activation f, double a, double b = 0) : kind(f), alpha(a), beta(b) {}

  friend bool operator==(const ActivationFunction& f, const ActivationFunction& g) {
    return f.kind == g.kind && f.alpha == g.alpha && f.beta == g.beta;
  }
  friend bool operator!=(const ActivationFunction& f, const ActivationFunction& g) { return !(f == g); }
};

}  // namespace gru_native
