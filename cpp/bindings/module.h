#pragma once
#include <pybind11/pybind11.h>

namespace gru_native::bindings {
void register_reading(pybind11::module_& m);
void register_runtime(pybind11::module_& m);
void register_decoders(pybind11::module_& m);
void register_decoder_files(pybind11::module_& m);
void register_rtrl(pybind11::module_& m);
void register_output_rnn(pybind11::module_& m);
void register_graphs(pybind11::module_& m);
void register_grconvs(pybind11::module_& m);
void register_readouts(pybind11::module_& m);
void register_losses(pybind11::module_& m);
void register_large_softmaxes(pybind11::module_& m);
void register_edits(pybind11::module_& m);
void register_optimizers(pybind11::module_& m);
void register_layers(pybind11::module_& m);
void register_decoding(pybind11::module_& m);
void register_dense(pybind11::module_& m);
void register_operations(pybind11::module_& m);
void register_sessions(pybind11::module_& m);
void register_streams(pybind11::module_& m);
void register_generation(pybind11::module_& m);
void register_transducers(pybind11::module_& m);
void register_trees(pybind11::module_& m);
void register_blocks(pybind11::module_& m);
void register_files(pybind11::module_& m);
void register_executed(pybind11::module_& m);  // the instrumented build only
}  // namespace gru_native::bindings
