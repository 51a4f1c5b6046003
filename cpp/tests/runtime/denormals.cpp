// FlushDenormals: flushes results and operands inside its scope, whatever the caller's mode; that mode comes back.
#include "runtime/denormals.h"

#include <cfenv>
#include <limits>

#include "tests/support/check.h"

using gru_native::FlushDenormals;

namespace {

// Out of the compiler's sight, so that the processor computes it, here and now.
template <class T>
__attribute__((noinline)) T product(volatile T a, volatile T b) {
  return a * b;
}

template <class T>
void check_flush() {
  const T least = std::numeric_limits<T>::min(), half = T(0.5);
  CHECK(product(least, half) > 0, "the caller's denormals were flushed");
  {
    const FlushDenormals flush;
    CHECK(product(least, half) == 0, "a denormal result");
    CHECK(product(std::numeric_limits<T>::denorm_min(), T(1) / least) == 0, "a denormal operand");
    CHECK(product(least, T(1)) == least, "the smallest normal number");
  }
  CHECK(product(least, half) > 0, "the caller's mode did not come back");
}

template <class T>
T third() {
  return product(T(1), T(1) / T(3)) + product(std::numeric_limits<T>::epsilon() / 16, T(1));
}

}  // namespace

int main() {
  check_flush<float>();
  check_flush<double>();

  // Rounding to nearest inside, as the caller wants it outside.
  const double near = third<double>();
  std::fesetround(FE_UPWARD);
  const double up = third<double>();
  CHECK(up > near, "the test's own rounding");
  {
    const FlushDenormals flush;
    CHECK(third<double>() == near, "not rounded to nearest");
  }
  CHECK(third<double>() == up && std::fegetround() == FE_UPWARD, "the caller's rounding did not come back");
  return done("denormals");
}
