/// \file
/// Threads and instruction sets, for the whole process.
#pragma once
#include <string>
#include <vector>

#include "gru_native/export.h"

namespace gru_native {

/// Sets the most threads that one call uses, the calling one included: 1 to 256. At the start it is the environment
/// variable GRU_NATIVE_NUM_THREADS, else the number of cores that this process may use (affinity and cgroup quota).
/// Results have the same bits for any number.
/// \throws std::invalid_argument for n outside 1 to 256.
GRU_NATIVE_API void set_num_threads(int n);

/// The most threads that one call uses.
/// \throws std::invalid_argument if GRU_NATIVE_NUM_THREADS is no number from 1 to 256.
GRU_NATIVE_API int get_num_threads();

/// Whether a call may use fewer threads than would be worth it if each had a core of its own: where calls of its kind
/// have been slower with so many of late, because the processors are far apart or have other work. Then more are tried
/// again from time to time. Results do not depend on it. At the start it is what the environment variable
/// GRU_NATIVE_ADAPTIVE_THREADS says, 0 or 1, else true.
GRU_NATIVE_API void set_adaptive_threads(bool adaptive);

/// Whether the number of threads adapts.
/// \throws std::invalid_argument if GRU_NATIVE_ADAPTIVE_THREADS is neither 0 nor 1.
GRU_NATIVE_API bool get_adaptive_threads();

/// The instruction sets that this CPU can run, slowest first: "baseline", "avx2", "avx512".
GRU_NATIVE_API std::vector<std::string> available_isas();

/// The instruction set that computes: the fastest available one, or what the environment variable GRU_NATIVE_ISA names.
/// \throws std::invalid_argument if GRU_NATIVE_ISA names something that cannot run here.
GRU_NATIVE_API std::string active_isa();

}  // namespace gru_native
