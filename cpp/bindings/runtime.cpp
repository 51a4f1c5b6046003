#include "gru_native/runtime.h"

#include <pybind11/stl.h>

#include <string>

#include "bindings/module.h"
#include "bindings/openmp.h"
#include "bindings/reading.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {

namespace py = pybind11;

namespace {

// Numbers that an int cannot hold are refused here, in the words of set_num_threads.
int threads_argument(const char* name, const py::object& value) {
  const std::string expected = "a number of threads from 1 to 256";
  const py::int_ whole = whole_number(name, value, expected);
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
  if (overflow == 0 && number == static_cast<int>(number)) return static_cast<int>(number);
  const auto bits = whole.attr("bit_length")().cast<std::size_t>();
  throw py::value_error(std::string(name) + " is " +
                        (bits > 256 ? "a number of " + std::to_string(bits) + " bits" : std::string(py::str(whole))) +
                        "; expected " + expected);
}

}  // namespace

void register_runtime(pybind11::module_& m) {
  watch_forks();
  end_calls_by_signals();
  m.def(
      "set_num_threads", [](const py::object& n) { set_num_threads(threads_argument("n", n)); }, py::arg("n"),
      "Use at most n threads (1 to 256) in each call from now on, the calling thread included.\n\n"
      "Raises ValueError for n outside that range, TypeError for what is no whole number.");
  m.def("get_num_threads", &get_num_threads, "The most threads that one call uses.");
  m.def("set_adaptive_threads", &set_adaptive_threads, py::arg("adaptive").noconvert(),
        "Whether calls may use fewer threads where more have been slower of late.");
  m.def("get_adaptive_threads", &get_adaptive_threads, "Whether the number of threads adapts.");
  m.def(
      "use_threads_here",
      [](int most, bool openmp) {
        const ThreadsHere before = use_threads_here({most, openmp ? &openmp_threads : nullptr});
        return std::make_pair(before.most, before.other != nullptr);
      },
      py::arg("most"), py::arg("openmp"),
      "Which threads calls of the present thread use: at most so many, and whether those of OpenMP.\n\n"
      "Returns what held before.");
  m.def("active_isa", &active_isa,
        "The instruction set that computes: \"baseline\", \"avx2\" or \"avx512\".\n\n"
        "The environment variable GRU_NATIVE_ISA chooses it; ValueError if this CPU cannot run that.");
  m.def("available_isas", &available_isas, "The instruction sets that this CPU can run, slowest first.");
}

}  // namespace gru_native::bindings
