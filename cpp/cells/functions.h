// Functions of one number: y = f(a), and da = dy f'(a) with the slope written from y.
#pragma once
#include "cells/unit.h"

namespace gru_native::GRU_NATIVE_ISA {

// The numbers in V's lanes, and one of them in all lanes.
template <class V>
struct LanesOf;
template <template <class...> class L, class T, class... Packet>
struct LanesOf<L<T, Packet...>> {
  using Number = T;
};
template <class V>
using NumberOf = typename LanesOf<V>::Number;
template <class V>
EIGEN_ALWAYS_INLINE V number(double x) {
  return V(static_cast<NumberOf<V>>(x));
}

struct Identity {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return a;
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V, V dy) {
    return dy;
  }
};

struct Tanh {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return tanh(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return dy * tanh_slope(y);
  }
};

struct Sigmoid {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return sigmoid(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return dy * sigmoid_slope(y);
  }
};

// Its slope is 1 where its output is positive (0 at 0, as in torch).
struct Relu {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return relu(a);
  }
  template <class V>
  static EIGEN_ALWAYS_INLINE V backward(V y, V dy) {
    return where_less(V(0), y, dy, V(0));
  }
};

// a s(a), s the logistic function. Its slope does not follow from it: for inference only, beside the others.
struct Swish {
  template <class V>
  static EIGEN_ALWAYS_INLINE V forward(V a) {
    return a * sigmoid(a);
  }
};

// e^a - 1 = 2 t / (1 - t), t = tanh(a / 2): where a <= 0 nothing cancels.
template <class V>
EIGEN_ALWAYS_INLINE V exp_minus_one(V a) {
  const V t = tanh(a * number<V>(0.5));
  return (t + t) / (V(1) - t);
}

struct Softsign {
  template <class V>
  static V forward(V a) {
    const V y = a / (V(1) + abs(a));
    return where_less(number<V>(1e30), abs(a), where_less(a, V(0), V(0) - V(1), V(1)), y);  // inf / inf is none
  }
  template <class V>
  static V backward(V y, V dy) {
    const V rest = V(1) - abs(y);
    return dy * (rest * rest);
  }
};

// max(a, 0) + log(1 + e), e = e^-|a|. With s = sigmoid(-|a|) = e / (1 + e) and q = s / (2 - s) the logarithm is
// 2 artanh(q) = 2 (q + q^3 / 3 + q^5 / 5 + ..), q <= 1/3. The slope 1 - e^-y is 2 t / (1 + t), t = tanh(y / 2).
struct Softplus {
  template <class V>
  static V forward(V a) {
    const V s = sigmoid(V(0) - abs(a)), q = s / (number<V>(2) - s), q2 = q * q;
    constexpr int terms = sizeof(NumberOf<V>) == 4 ? 9 : 18;
    V sum = number<V>(1. / (2 * terms + 1));
    for (int k = terms - 1; k >= 0; --k) sum = multiply_add(sum, q2, number<V>(1. / (2 * k + 1)));
    return relu(a) + (q + q) * sum;
  }
  template <class V>
  static V backward(V y, V dy) {
    return dy * (V(0) - exp_minus_one(V(0) - y));
  }
};

template <class V>
struct LeakyRelu {
  V alpha;
  V forward(V a) const { return where_less(a, V(0), alpha * a, a); }
  V backward(V y, V dy) const { return where_less(V(0), y, dy, alpha * dy); }
};

// Below alpha, and only there, it is 0.
template <class V>
struct ThresholdedRelu {
  V alpha;
  V forward(V a) const { return where_less(a, alpha, V(0), a); }
  V backward(V y, V dy) const { return where_less(y, V(0), dy, where_less(V(0), y, dy, y * dy)); }
};

// Below 0 the slope alpha e^a is y + alpha.
template <class V>
struct Elu {
  V alpha;
  V forward(V a) const { return where_less(a, V(0), alpha * exp_minus_one(a), a); }
  V backward(V y, V dy) const { return where_less(V(0), y, dy, (y + alpha) * dy); }
};

template <class V>
struct Affine {
  V alpha, beta;
  V forward(V a) const { return multiply_add(alpha, a, beta); }
  V backward(V, V dy) const { return alpha * dy; }
};

// With t = tanh(beta a) = y / alpha the slope is alpha beta (1 - t^2); for alpha = 0 it is 0.
template <class V>
struct ScaledTanh {
  V alpha, beta;
  V forward(V a) const { return alpha * tanh(beta * a); }
  V backward(V y, V dy) const {
    const V t = where_less(V(0), abs(alpha), y / alpha, V(0));
    return dy * (alpha * beta * tanh_slope(t));
  }
};

template <class V>
struct HardSigmoid {
  V alpha, beta;
  V forward(V a) const {
    const V y = multiply_add(alpha, a, beta);
    return where_less(y, V(0), V(0), where_less(V(1), y, V(1), y));
  }
  V backward(V y, V dy) const { return where_less(V(0), y, where_less(y, V(1), alpha * dy, V(0)), V(0)); }
};

// g(F), for the commonest functions, which have no numbers; for others what other() says.
template <class V, class G, class Other>
EIGEN_ALWAYS_INLINE V with_common_function(Activation f, const G& g, const Other& other) {
  switch (f) {
    case Activation::tanh: return g(Tanh{});
    case Activation::sigmoid: return g(Sigmoid{});
    case Activation::relu: return g(Relu{});
    case Activation::identity: return g(Identity{});
    default: return other();
  }
}

// g(F), for the function with its numbers.
template <class V, class G>
EIGEN_ALWAYS_INLINE V with_function(const ChosenActivation<NumberOf<V>>& f, const G& g) {
  return with_common_function<V>(f.kind, g, [&f, &g] {
    const V alpha(f.alpha), beta(f.beta);
    switch (f.kind) {
      case Activation::softsign: return g(Softsign{});
      case Activation::softplus: return g(Softplus{});
      case Activation::leaky_relu: return g(LeakyRelu<V>{alpha});
      case Activation::thresholded_relu: return g(ThresholdedRelu<V>{alpha});
      case Activation::elu: return g(Elu<V>{alpha});
      case Activation::affine: return g(Affine<V>{alpha, beta});
      case Activation::scaled_tanh: return g(ScaledTanh<V>{alpha, beta});
      case Activation::hard_sigmoid: return g(HardSigmoid<V>{alpha, beta});
      case Activation::tanh:  // listed, so that the compiler misses a function that is new
      case Activation::sigmoid:
      case Activation::relu:
      case Activation::identity: break;
    }
    return g(Identity{});
  });
}

#if defined(GRU_NATIVE_COUNT)
// A function that is made of others counts as one operation, whatever it takes.
inline bool is_composed(Activation f) { return f >= Activation::softsign; }
inline Work work_of(Activation f) {
  return static_cast<Work>(static_cast<int>(Work::softsign) + static_cast<int>(f) -
                           static_cast<int>(Activation::softsign));
}
#endif

// All functions, once per kind of lanes. Where a was cut, y is that of a limit, and nothing flows back.
template <class V>
EIGEN_DONT_INLINE V activate(const ChosenActivation<NumberOf<V>>& f, V a) {
  if (f.clipped) a = clamp(a, V(f.limit));
  GRU_NATIVE_COUNTING(std::optional<CountedOnce> once; if (is_composed(f.kind)) once.emplace(work_of(f.kind));)
  return with_function<V>(f, [a](const auto& function) { return function.forward(a); });
}
template <class V>
EIGEN_DONT_INLINE V activate_backward(const ChosenActivation<NumberOf<V>>& f, V y, V dy) {
  GRU_NATIVE_COUNTING(std::optional<CountedOnce> once; if (is_composed(f.kind)) once.emplace(Work::slope);)
  const V da = with_function<V>(f, [y, dy](const auto& function) { return function.backward(y, dy); });
  GRU_NATIVE_COUNTING(once.reset();)
  if (!f.clipped) return da;
  GRU_NATIVE_COUNTING(once.emplace(Work::clip);)
  const V high = activate(f, V(f.limit)), low = activate(f, V(-f.limit));
  const auto unless_at = [y](V end, V d) { return where_less(y, end, d, where_less(end, y, d, (y - end) * d)); };
  return unless_at(low, unless_at(high, da));
}

// Chosen when the program runs: one branch for a whole vector, the same at every step. The commonest have no call.
template <class V>
struct Chosen {
  const ChosenActivation<NumberOf<V>>& f;
  EIGEN_ALWAYS_INLINE V forward(V a) const {
    const auto call = [this, a] { return activate(f, a); };
    if (f.clipped) return call();
    return with_common_function<V>(f.kind, [a](const auto& function) { return function.forward(a); }, call);
  }
  EIGEN_ALWAYS_INLINE V backward(V y, V dy) const {
    const auto call = [this, y, dy] { return activate_backward(f, y, dy); };
    if (f.clipped) return call();
    return with_common_function<V>(f.kind, [y, dy](const auto& function) { return function.backward(y, dy); }, call);
  }
};

// Of gates, which hardly ever have another one than the logistic function.
template <class V>
struct ChosenGate {
  const ChosenActivation<NumberOf<V>>& f;
  EIGEN_ALWAYS_INLINE bool usual() const { return f.kind == Activation::sigmoid && !f.clipped; }
  EIGEN_ALWAYS_INLINE V forward(V a) const { return usual() ? Sigmoid::forward(a) : activate(f, a); }
  EIGEN_ALWAYS_INLINE V backward(V y, V dy) const {
    return usual() ? Sigmoid::backward(y, dy) : activate_backward(f, y, dy);
  }
};

}  // namespace gru_native::GRU_NATIVE_ISA
