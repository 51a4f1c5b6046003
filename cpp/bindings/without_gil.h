// Calls into the core without the GIL.
#pragma once
#include <pybind11/pybind11.h>

#include <exception>
#include <optional>

#include "gru_native/interruption.h"

namespace gru_native::bindings {

// Lets go of the GIL, and takes it back when told to, for only then can that end the thread: when the interpreter shuts
// down, Python's own threads never get it again. A destructor must not do that (pybind11's gil_scoped_release ends the
// program), and unwinding this thread would drop references without the GIL: so it sleeps until the process ends.
class GilRelease {
 public:
  GilRelease() : state_(PyEval_SaveThread()) {}
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;
  void take_back();
  // Takes the GIL for a moment, in which Python's signal handlers run. True, and a Python error, if one has raised it.
  bool check_signals();

 private:
  PyThreadState* state_;
};

// Whether signal handlers run on this thread: Python's main one.
bool handles_signals();
void find_main_thread();  // once, with the GIL

// Calls of the scope end when a signal handler raises an error.
class EndBySignals {
 public:
  explicit EndBySignals(GilRelease& release) {
    if (handles_signals())
      here_.emplace([](void* gil) { return static_cast<GilRelease*>(gil)->check_signals(); }, &release);
  }

 private:
  std::optional<Interruptible> here_;
};

// f() without the GIL. What it throws comes out when the GIL is back; Interrupted as the error of the signal handler.
template <class F>
void without_gil(const F& f) {
  GilRelease release;
  std::exception_ptr error;
  bool interrupted = false;
  try {
    const EndBySignals here(release);
    f();
  } catch (const Interrupted&) {
    interrupted = true;
  } catch (...) {
    error = std::current_exception();
  }
  release.take_back();
  if (interrupted) throw pybind11::error_already_set();
  if (error) std::rethrow_exception(error);
}

}  // namespace gru_native::bindings
