#include "gru_native/runtime.h"

#include <pybind11/stl.h>

#include <limits>

#include "bindings/module.h"
#include "bindings/openmp.h"

namespace gru_native::bindings {

void register_runtime(pybind11::module_& m) {
  namespace py = pybind11;
  watch_forks();
  m.def(
      "set_num_threads",
      [](const py::int_& n) {
        int overflow = 0;
        const long long value = PyLong_AsLongLongAndOverflow(n.ptr(), &overflow);
        constexpr int most = std::numeric_limits<int>::max();
        set_num_threads(overflow < 0 || value < 0 ? -1 : overflow > 0 || value > most ? most : static_cast<int>(value));
      },
      py::arg("n"),
      "Use at most n threads (1 to 256) in each call from now on, the calling thread included.\n\n"
      "Raises ValueError for n outside that range.");
  m.def("get_num_threads", &get_num_threads, "The most threads that one call uses.");
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
