// Only in the instrumented build: what calls have executed (simd/executed.h).
#include "simd/executed.h"

#include "bindings/module.h"

namespace gru_native::bindings {

void register_executed(pybind11::module_& m) {
  m.def(
      "executed",
      [] {
        pybind11::dict counts;
        for (int i = 0; i < work_kinds; ++i) counts[work_names[i]] = executed(static_cast<Work>(i));
        reset_executed();
        return counts;
      },
      "What all calls of this process have executed since this was last asked, by kind.");
}

}  // namespace gru_native::bindings
