// The embedder's own use of Eigen, against plain loops.
#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <cstring>

bool eigen_is_right() {
#if defined(EXPECT_VECTORS) && !defined(EIGEN_VECTORIZE)
#error "this Eigen was to have vectors"
#elif !defined(EXPECT_VECTORS) && defined(EIGEN_VECTORIZE)
#error "this Eigen was to have no vectors"
#endif
  const int rows = 37, inner = 53, columns = 29;
  Eigen::MatrixXf a(rows, inner), b(inner, columns);
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < inner; ++k) a(r, k) = static_cast<float>((r * 31 + k * 17) % 101 - 50) / 64;
  for (int k = 0; k < inner; ++k)
    for (int c = 0; c < columns; ++c) b(k, c) = static_cast<float>((k * 7 + c * 29) % 97 - 40) / 64;
  const Eigen::MatrixXf product = a * b, activated = (-product).array().exp().matrix();
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      double exact = 0;
      for (int k = 0; k < inner; ++k) exact += static_cast<double>(a(r, k)) * static_cast<double>(b(k, c));
      const double wrong = std::fabs(product(r, c) - exact) / (1 + std::fabs(exact));
      const double wrong_exp = std::fabs(activated(r, c) / std::exp(-exact) - 1);
      if (!(wrong < 1e-5) || !(wrong_exp < 1e-4)) {
        std::printf("the embedder's Eigen is wrong at (%d, %d): %g, not %g\n", r, c, product(r, c), exact);
        return false;
      }
    }
  return true;
}
