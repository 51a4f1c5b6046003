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

/// The instruction sets that this CPU can run, slowest first: "baseline", "avx2", "avx512".
GRU_NATIVE_API std::vector<std::string> available_isas();

/// The instruction set that computes: the fastest available one, or what the environment variable GRU_NATIVE_ISA names.
/// \throws std::invalid_argument if GRU_NATIVE_ISA names something that cannot run here.
GRU_NATIVE_API std::string active_isa();

}  // namespace gru_native
