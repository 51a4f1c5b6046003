// Numbers below 1e-38 cost a hundred cycles each and mean nothing here: flush them to zero while a call runs.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gru_native {

// On this thread, until the end of the scope; then the caller's mode is as before.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  // All exceptions masked, round to nearest, flush-to-zero (results), denormals-are-zero (operands). Where that is so
  // already, as in most programs for audio, nothing is written, so no instruction waits for it. (The last six bits say
  // which exceptions there were.)
  FlushDenormals() : saved_(_mm_getcsr()) {
    if ((saved_ & ~0x3fU) != mode) _mm_setcsr(mode);
  }
  ~FlushDenormals() {
    if ((saved_ & ~0x3fU) != mode) _mm_setcsr(saved_);
  }

 private:
  static constexpr unsigned mode = 0x1f80 | 0x8000 | 0x0040;
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_)::"memory");
    asm volatile("msr fpcr, %0" ::"r"(std::uint64_t(1) << 24) : "memory");  // FZ alone: operands and results
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_) : "memory"); }

 private:
  std::uint64_t saved_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}

 private:
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

// Within such a scope: what others run there, who know nothing of the flushing.
class KeepDenormals {
 public:
#if defined(__x86_64__)
  KeepDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~(0x8000u | 0x0040u)); }
  ~KeepDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  KeepDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_)::"memory");
    asm volatile("msr fpcr, %0" ::"r"(saved_ & ~(std::uint64_t(1) << 24)) : "memory");
  }
  ~KeepDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_) : "memory"); }

 private:
  std::uint64_t saved_;
#else
  KeepDenormals() {}
  ~KeepDenormals() {}

 private:
#endif
  KeepDenormals(const KeepDenormals&) = delete;
  KeepDenormals& operator=(const KeepDenormals&) = delete;
};

}  // namespace gru_native
