#pragma once
#if defined(_WIN32)
#define GRU_NATIVE_API
#else
#define GRU_NATIVE_API __attribute__((visibility("default")))
#endif
