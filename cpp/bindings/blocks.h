// Blocks of models as dictionaries of their options.
#pragma once
#include <pybind11/pybind11.h>

#include <vector>

#include "gru_native/model.h"

namespace gru_native::bindings {

// Raises TypeError and ValueError, naming the block and the option.
std::vector<BlockSpec> blocks_of(const pybind11::list& list);

pybind11::list list_of(const std::vector<BlockSpec>& blocks);

}  // namespace gru_native::bindings
