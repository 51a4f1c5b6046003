// The Python module: a table of contents.
#include "bindings/module.h"

#include "gru_native/version.h"
#include "simd/executed.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of gru_native.";
  m.attr("__version__") = GRU_NATIVE_VERSION;
  gru_native::bindings::register_runtime(m);
  gru_native::bindings::register_edits(m);
  gru_native::bindings::register_layers(m);
  gru_native::bindings::register_dense(m);
  gru_native::bindings::register_streams(m);
  gru_native::bindings::register_rtrl(m);
  gru_native::bindings::register_output_rnn(m);
  gru_native::bindings::register_graphs(m);
  gru_native::bindings::register_grconvs(m);
  gru_native::bindings::register_readouts(m);
  gru_native::bindings::register_trees(m);
  gru_native::bindings::register_losses(m);
  gru_native::bindings::register_blocks(m);
  gru_native::bindings::register_files(m);
  GRU_NATIVE_COUNTING(gru_native::bindings::register_executed(m));
}
