/** \file
 * The version of these headers, for C and C++. gru_native_version() in c_api.h is that of the library that runs.
 */
#ifndef GRU_NATIVE_VERSION_H
#define GRU_NATIVE_VERSION_H

/* CMake reads the version from these lines, so nothing else states it. */
#define GRU_NATIVE_VERSION_MAJOR 0
#define GRU_NATIVE_VERSION_MINOR 1
#define GRU_NATIVE_VERSION_PATCH 0
#define GRU_NATIVE_VERSION "0.1.0"

#endif
