/// \file
/// What a shared library exports, and how the engine reaches what is behind a public class.
#pragma once
#if defined(_WIN32)
#define GRU_NATIVE_API
#define GRU_NATIVE_HIDDEN
#else
#define GRU_NATIVE_API __attribute__((visibility("default")))
#define GRU_NATIVE_HIDDEN __attribute__((visibility("hidden")))
#endif

namespace gru_native::detail {
struct Access;  // the library's own
}
