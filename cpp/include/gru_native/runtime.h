// Threads and instruction sets, for the whole process.
#pragma once
#include <string>
#include <vector>

#include "gru_native/export.h"

namespace gru_native {

// The most threads that one call uses, the calling one included. Set at start from GRU_NATIVE_NUM_THREADS, else to the
// cores that this process may use (affinity and cgroup quota). Throws std::invalid_argument outside 1..256.
GRU_NATIVE_API void set_num_threads(int n);
GRU_NATIVE_API int get_num_threads();

// "baseline", "avx2", "avx512": what this CPU can run, slowest first, and what runs. GRU_NATIVE_ISA chooses; if it
// names something that cannot run here, std::invalid_argument says what can.
GRU_NATIVE_API std::vector<std::string> available_isas();
GRU_NATIVE_API std::string active_isa();

}  // namespace gru_native
