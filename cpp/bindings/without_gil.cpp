#include "bindings/without_gil.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>
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

namespace {

bool a_handler_raises(void*) {
  const PyGILState_STATE state = PyGILState_Ensure();
  const bool raised = PyErr_CheckSignals() != 0;
  PyGILState_Release(state);
  return raised;
}

// For as long as this thread lives.
void end_calls_of_this_thread() {
  static thread_local bool done = false;
  if (!std::exchange(done, true)) new Interruptible(a_handler_raises, nullptr);
}

}  // namespace

void end_calls_by_signals() {
  // Pending calls are made by the main thread, soon; the module may be imported by another one.
  const auto here = [](void*) {
    end_calls_of_this_thread();
    return 0;
  };
  if (PyThread_get_thread_ident() ==
      pybind11::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>())
    here(nullptr);
  else Py_AddPendingCall(here, nullptr);
  pthread_atfork(nullptr, nullptr, end_calls_of_this_thread);  // it is the child's main thread
  // NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11 wants it so
  pybind11::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const Interrupted&) {
      // The handler's error is set.
    }
  });
}

}  // namespace gru_native::bindings
