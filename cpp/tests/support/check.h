// A check that says what failed and where, and counts.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

inline int checks = 0;

#define CHECK(condition, ...)                                            \
  do {                                                                   \
    ++checks;                                                            \
    if (!(condition)) {                                                  \
      std::printf("%s:%d: %s failed: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                          \
      std::printf("\n");                                                 \
      std::exit(1);                                                      \
    }                                                                    \
  } while (false)

// Whether f throws an E whose text contains `part`.
template <class E, class F>
bool throws(const F& f, const char* part) {
  try {
    f();
  } catch (const E& error) {
    return std::string(error.what()).find(part) != std::string::npos;
  }
  return false;
}

template <class T>
std::vector<T> random_numbers(std::size_t n, unsigned seed, double scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<T> values(n);
  for (T& v : values) v = static_cast<T>(normal(generator));
  return values;
}

inline int done(const char* name) {
  std::printf("%s: %d checks passed\n", name, checks);
  return 0;
}
