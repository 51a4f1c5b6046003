// The safetensors format (huggingface/safetensors): 8 bytes with the header's length, little-endian; the header, JSON
// {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {"key": "text"}}; then the tensors' bytes, without
// gaps.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gru_native/layer.h"

namespace gru_native {

// The format itself allows 100 MB. This is room for some 8000 tensors, and bounds what a hostile header can cost.
inline constexpr std::size_t longest_header = std::size_t(1) << 20;

struct StoredTensor {
  std::vector<std::int64_t> shape;
  const char* data;           // not aligned
  std::size_t bytes;
};

struct Safetensors {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Views into `bytes`. dtype: what every tensor must have, "F32" or "F64". Throws FileError naming the tensor.
Safetensors read_safetensors(std::string_view bytes, const char* dtype);

template <class T>
constexpr const char* dtype_name = sizeof(T) == 4 ? "F32" : "F64";

// What comes before the tensors' bytes, which must follow in the order of the names.
std::string safetensors_header(const Safetensors& file, const char* dtype);

}  // namespace gru_native
