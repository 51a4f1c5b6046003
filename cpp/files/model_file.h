// A model from the bytes of a safetensors file.
#pragma once
#include <string_view>

#include "gru_native/model.h"

namespace gru_native {

// description: or nullptr. Throws FileError without the file's name.
template <class T>
std::shared_ptr<const BasicModel<T>> read_model(std::string_view bytes, const std::vector<BlockSpec>* description);

}  // namespace gru_native
