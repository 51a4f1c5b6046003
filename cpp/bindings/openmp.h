// The threads of an OpenMP runtime that is in this process already, because another library brought it.
#pragma once
#include "runtime/team.h"

namespace gru_native::bindings {

// There are none where no runtime is loaded, inside a parallel region, in the child of a fork, and where the runtime's
// settings do not allow so many.
// watch_forks is to be called once, early: a fork before that would not be seen.
void watch_forks();
extern const OtherThreads openmp_threads;

}  // namespace gru_native::bindings
