// Calls into the core without the GIL.
#pragma once
#include <pybind11/pybind11.h>

#include <exception>

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

// f() without the GIL. What it throws comes out when the GIL is back.
template <class F>
void without_gil(const F& f) {
  GilRelease release;
  std::exception_ptr error;
  try {
    f();
  } catch (...) {
    error = std::current_exception();
  }
  release.take_back();
  if (error) std::rethrow_exception(error);
}

}  // namespace gru_native::bindings
