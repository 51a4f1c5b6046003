// The instrumented build (CMake: GRU_NATIVE_COUNT) counts what calls execute, where it is executed, and leaves out what
// is padding: units past the last one in a vector, rows and columns that nobody needs. In any other build nothing of it
// is there.
#pragma once
// GRU_NATIVE_COUNTING(code): code of the instrumented build; GRU_NATIVE_EXECUTED(kind, n): n of that Work were
// executed.
#if !defined(GRU_NATIVE_COUNT)
#define GRU_NATIVE_COUNTING(...)
#define GRU_NATIVE_EXECUTED(kind, n) static_cast<void>(0)
#else
#define GRU_NATIVE_COUNTING(...) __VA_ARGS__
#define GRU_NATIVE_EXECUTED(kind, n) ::gru_native::count_work(::gru_native::Work::kind, n)
#include <cstddef>
#include <cstdint>
#include <optional>

namespace gru_native {

// mac: multiply-adds of matrix products. The others: operations on single numbers.
enum class Work {
  mac_forward,
  mac_inputs,   // backward, with respect to inputs and states
  mac_weights,  // backward, with respect to weights
  add,          // subtraction, too
  multiply,
  divide,
  sigmoid,
  tanh,
  relu,
  exp,
  log,
  sqrt,
  abs,
  select,
  clip,     // to an interval
  dropout,  // an element kept and scaled, or made 0
  zoneout,  // in training: a unit's new state or its old one
  softsign,
  softplus,
  leaky_relu,
  thresholded_relu,
  elu,
  affine,
  scaled_tanh,
  hard_sigmoid,
  slope,  // of one of these eight
  quantize,    // a number that an int8 product reads, once for each row, whoever else converts it
  dequantize,  // a sum of an int8 product, times both scales and added
};
inline constexpr const char* work_names[] = {
    "mac_forward", "mac_inputs", "mac_weights", "add",          "multiply", "divide",     "sigmoid",
    "tanh",        "relu",       "exp",         "log",          "sqrt",     "abs",        "select",
    "clip",        "dropout",    "zoneout",     "softsign",     "softplus", "leaky_relu", "thresholded_relu",
    "elu",         "affine",     "scaled_tanh", "hard_sigmoid", "slope",    "quantize",   "dequantize"};
inline constexpr int work_kinds = sizeof(work_names) / sizeof(*work_names);

// Of all threads since the last reset.
void count_work(Work work, std::int64_t n);
std::int64_t executed(Work work);
void reset_executed();

// In the vectors of units that the kernels are at work on: how many belong to units that exist.
extern __thread std::ptrdiff_t units_at_hand;

// What is done while one lives counts as a single operation.
class CountedOnce {
 public:
  explicit CountedOnce(Work work) : before_(units_at_hand) {
    count_work(work, before_);
    units_at_hand = 0;
  }
  ~CountedOnce() { units_at_hand = before_; }

 private:
  const std::ptrdiff_t before_;
};

// What of a product is no padding: a's elements, row by row, and the panels' columns. Null: all.
struct Needed {
  Work work;
  const unsigned char* rows;  // [row]
  const unsigned char* a;     // [row * a_row_stride + k * a_k_stride]
  std::ptrdiff_t a_row_stride, a_k_stride;
  const unsigned char* columns;  // [column of all panels]; null: those below columns_end
  std::ptrdiff_t columns_end;
};

}  // namespace gru_native
#endif
