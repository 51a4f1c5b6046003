#include "bindings/openmp.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#include "runtime/locks.h"

namespace gru_native::bindings {
namespace {

// What libgomp and LLVM's libomp both export. Looked up, not linked: this library brings no OpenMP of its own.
struct Runtime {
  void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
  int (*thread_num)() = nullptr;
  int (*num_threads)() = nullptr;
  int (*in_parallel)() = nullptr;
  int (*dynamic)() = nullptr;
  int (*thread_limit)() = nullptr;
  bool found = false;
};

template <class Function>
bool look_up(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

// The threads of a parent's runtime are not in its child, and libgomp would wait for them forever.
std::atomic<bool> forked{false};

FoundOnce<const Runtime> found;

const Runtime& runtime() {
  return found.get([] {
    Runtime r;
    r.found = look_up(r.parallel, "GOMP_parallel") && look_up(r.thread_num, "omp_get_thread_num") &&
              look_up(r.num_threads, "omp_get_num_threads") && look_up(r.in_parallel, "omp_in_parallel") &&
              look_up(r.dynamic, "omp_get_dynamic") && look_up(r.thread_limit, "omp_get_thread_limit");
    return r;
  });
}

struct Region {
  const Runtime& runtime;
  int team, members;
  void (*body)(void*, int);
  void* context;
  std::atomic<bool> short_of_threads{false};
};

void take_part(void* data) {
  Region& region = *static_cast<Region*>(data);
  // Members wait for each other, so all are there or nobody begins.
  if (region.runtime.num_threads() != region.team) {
    region.short_of_threads.store(true);
    return;
  }
  const int rank = region.runtime.thread_num();
  if (rank < region.members) region.body(region.context, rank);
}

bool openmp_has(int team) {
  const Runtime& r = runtime();
  return r.found && !forked.load() && !r.in_parallel() && !r.dynamic() && r.thread_limit() >= team;
}

bool run_on_openmp(int team, int members, void (*body)(void*, int), void* context) {
  Region region{runtime(), team, members, body, context};
  region.runtime.parallel(take_part, &region, static_cast<unsigned>(team), 0);
  return !region.short_of_threads.load();
}

}  // namespace

void watch_forks() {
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
}

const OtherThreads openmp_threads{openmp_has, run_on_openmp};

}  // namespace gru_native::bindings
