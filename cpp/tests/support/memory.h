// Requests for memory of the whole process, which can be counted and made to fail. To be included by one source file of
// a program: it takes the place of malloc and its kin, but for the sanitizers, which have their own.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace gru_native::testing {

inline std::atomic<long> requests{0}, returns{0}, held{0};  // held: blocks that are not given back
inline std::atomic<long> first_to_fail{-1}, last_to_fail{-1};

inline bool refused() {
  const long n = ++requests;
  return n >= first_to_fail.load() && n <= last_to_fail.load();
}
inline void* counted(void* p) {
  if (p) ++held;
  return p;
}
inline void returned(const void* p) {
  ++returns;
  if (p) --held;
}

}  // namespace gru_native::testing

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRU_NATIVE_TEST_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define GRU_NATIVE_TEST_SANITIZED
#endif

#if !defined(GRU_NATIVE_TEST_SANITIZED)
namespace gru_native::testing { constexpr bool counts_malloc = true; }
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t n) {
  using namespace gru_native::testing;
  return refused() ? nullptr : counted(__libc_malloc(n));
}
void* calloc(std::size_t n, std::size_t size) {
  using namespace gru_native::testing;
  return refused() ? nullptr : counted(__libc_calloc(n, size));
}
void* realloc(void* p, std::size_t n) {
  using namespace gru_native::testing;
  if (refused()) return nullptr;
  return p ? __libc_realloc(p, n) : counted(__libc_realloc(p, n));
}
void* aligned_alloc(std::size_t alignment, std::size_t n) {
  using namespace gru_native::testing;
  return refused() ? nullptr : counted(__libc_memalign(alignment, n));
}
int posix_memalign(void** p, std::size_t alignment, std::size_t n) {
  return (*p = aligned_alloc(alignment, n)) ? 0 : 12;
}
void free(void* p) {
  gru_native::testing::returned(p);
  __libc_free(p);
}
}
void* operator new(std::size_t n) {
  if (void* const p = std::malloc(n ? n : 1)) return p;
  throw std::bad_alloc();
}
#else
namespace gru_native::testing { constexpr bool counts_malloc = false; }
void* operator new(std::size_t n) {
  using namespace gru_native::testing;
  if (void* const p = refused() ? nullptr : counted(std::malloc(n ? n : 1))) return p;
  throw std::bad_alloc();
}
#endif
// The sanitizers' own would not fit this delete.
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  try {
    return operator new(n);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* p) noexcept {
  if (!gru_native::testing::counts_malloc) gru_native::testing::returned(p);
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
