#include "bindings/without_gil.h"

#include <unistd.h>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace gru_native::bindings {
namespace {

[[noreturn]] void sleep_until_the_process_ends() {
  for (;;) pause();
}

}  // namespace

// Until Python 3.13 PyEval_RestoreThread calls pthread_exit, which unwinds the stack; from 3.14 on it sleeps itself.
void GilRelease::take_back() {
#if defined(__GLIBCXX__) && PY_VERSION_HEX < 0x030e0000
  try {
    PyEval_RestoreThread(state_);
  } catch (const abi::__forced_unwind&) {
    sleep_until_the_process_ends();
  }
#else
  PyEval_RestoreThread(state_);
#endif
}

}  // namespace gru_native::bindings
