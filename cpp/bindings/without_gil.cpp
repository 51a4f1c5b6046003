#include "bindings/without_gil.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace gru_native::bindings {
namespace {

// 0: nobody knows yet.
std::atomic<unsigned long> main_thread{0};

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

bool GilRelease::check_signals() {
  take_back();
  const bool raised = PyErr_CheckSignals() != 0;
  state_ = PyEval_SaveThread();
  return raised;
}

bool handles_signals() { return PyThread_get_thread_ident() == main_thread.load(std::memory_order_relaxed); }

// The thread that forks is the main one of the child.
void find_main_thread() {
  namespace py = pybind11;
  main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
  pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
}

}  // namespace gru_native::bindings
