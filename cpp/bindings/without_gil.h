// Calls into the core without the GIL.
#pragma once
#include <pybind11/pybind11.h>

#include <exception>

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

 private:
  PyThreadState* const state_;
};

// From now on calls of Python's main thread end when a signal handler raises an error: they throw Interrupted, and the
// error is there. Once for the process.
void end_calls_by_signals();

// f() without the GIL. What it throws comes out when the GIL is back; Interrupted as the error of the signal handler.
template <class F>
void without_gil(const F& f) {
  GilRelease release;
  std::exception_ptr error;
  bool interrupted = false;
  try {
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
