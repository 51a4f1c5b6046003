// What a file says about its blocks, as JSON:
//
//   {"version": 1, "blocks": [{"type": "LSTM", "prefix": "0.", "input_size": 1, "hidden_size": 16, ...}, ...]}
//
// The options are those of the classes in Python (spec/options.h); one that is left out has its
// default, one that is unknown is an error.
#pragma once
#include "gru_native/model.h"

namespace gru_native {

inline constexpr const char* description_key = "gru_native";  // in the file's __metadata__

std::string description_text(const std::vector<BlockSpec>& blocks);

}  // namespace gru_native
