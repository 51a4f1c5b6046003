// Sweeps logistic and tanh: every float there is, and a dense sample of doubles, for every ISA that this CPU has.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "gru_native/runtime.h"
#include "runtime/denormals.h"
#include "runtime/dispatch.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

double exact_sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// Error of y in units of the float nearest to the exact value; results below the smallest normal number may be 0.
double ulps(float y, double exact) {
  if (std::fabs(exact) < std::numeric_limits<float>::min())
    return std::fabs(y) <= std::numeric_limits<float>::min() ? 0 : 1e9;
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(static_cast<double>(y) - exact) / std::ldexp(1.0, exponent - 24);
}

struct Worst {
  double error = 0;
  float at = 0;
};

template <class Kernel, class Exact>
Worst sweep_floats(const Kernel& kernel, const Exact& exact, std::uint32_t stride) {
  constexpr Index chunk = 4096;
  alignas(64) static float x[chunk], y[chunk];
  Worst worst;
  for (std::uint64_t bits = 0; bits < (std::uint64_t(1) << 32); bits += std::uint64_t(chunk) * stride) {
    for (Index i = 0; i < chunk; ++i) {
      const auto word = static_cast<std::uint32_t>(bits + std::uint64_t(i) * stride);
      std::memcpy(&x[i], &word, 4);
    }
    {
      const FlushDenormals flush;
      kernel(x, y, chunk);
    }
    for (Index i = 0; i < chunk; ++i) {
      if (std::isnan(x[i])) {
        CHECK(std::isnan(y[i]), "NaN came out as %g", y[i]);
      } else if (std::isinf(x[i])) {
        CHECK(y[i] == static_cast<float>(exact(x[i])), "f(%g) = %g", x[i], y[i]);
      } else if (std::fabs(y[i]) > 1) {
        CHECK(false, "f(%g) = %.9g is above 1", x[i], y[i]);
      } else if (const double e = ulps(y[i], exact(x[i])); e > worst.error) {
        worst = {e, x[i]};
      }
    }
    checks -= checks > 1000000 ? 1000000 : 0;
  }
  return worst;
}

template <class Kernel, class Exact>
double sweep_doubles(const Kernel& kernel, const Exact& exact) {
  alignas(64) double x[64], y[64];
  double worst = 0;
  for (double from = -40; from < 40; from += 64e-4) {
    for (int i = 0; i < 64; ++i) x[i] = from + i * 1e-4;
    kernel(x, y, 64);
    for (int i = 0; i < 64; ++i) {
      const double e = exact(x[i]);
      if (e != 0) worst = std::max(worst, std::fabs(y[i] - e) / std::fabs(e));
    }
  }
  return worst;
}

// tanh is odd, at zero too.
template <class T, class Kernel>
void check_zeros(const Kernel& tanh, const char* isa) {
  alignas(64) T x[16], y[16];
  for (int i = 0; i < 16; ++i) x[i] = i % 2 == 1 ? T(-0.0) : T(0);
  tanh(x, y, 16);
  for (int i = 0; i < 16; ++i)
    CHECK(y[i] == 0 && std::signbit(y[i]) == std::signbit(x[i]), "%s: tanh(%g) = %g", isa, double(x[i]), double(y[i]));
}

void check_isa(const IsaKernels& isa) {
  const auto exact_tanh = [](double x) { return std::tanh(x); };
  // Every 61st float (a prime: all mantissas and exponents get their turn); 1 takes all 2^32, in minutes.
  const char* text = std::getenv("GRU_NATIVE_SWEEP_STRIDE");
  const auto stride = static_cast<std::uint32_t>(text ? std::strtoul(text, nullptr, 10) : 61);
  constexpr int sigmoid = static_cast<int>(Activation::sigmoid), tanh = static_cast<int>(Activation::tanh);
  const auto& f32 = isa.f32.activation;
  const auto& f64 = isa.f64.activation;
  const Worst s = sweep_floats(f32[sigmoid].forward, exact_sigmoid, stride);
  const Worst t = sweep_floats(f32[tanh].forward, exact_tanh, stride);
  const double s64 = sweep_doubles(f64[sigmoid].forward, exact_sigmoid);
  const double t64 = sweep_doubles(f64[tanh].forward, exact_tanh);
  std::printf("%s: logistic %.2f ulp at %.9g, tanh %.2f ulp at %.9g; double: relative %.1e, %.1e\n", isa.name, s.error,
              s.at, t.error, t.at, s64, t64);
  CHECK(s.error <= 4, "%g", s.error);
  CHECK(t.error <= 4, "%g", t.error);
  CHECK(s64 < 1e-15, "%g", s64);
  CHECK(t64 < 1e-15, "%g", t64);
  check_zeros<float>(f32[tanh].forward, isa.name);
  check_zeros<double>(f64[tanh].forward, isa.name);
}

}  // namespace

int main() {
  for (const IsaKernels* isa : runnable_kernels()) check_isa(*isa);
  return done("activations");
}
