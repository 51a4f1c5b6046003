// The safetensors format (huggingface/safetensors): 8 bytes with the header's length, little-endian; the header, JSON
// {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {"key": "text"}}; then the tensors' bytes, without
// gaps.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "files/bytes.h"

namespace gru_native {

// The format itself allows 100 MB. This is room for some 8000 tensors, and bounds what a hostile header can cost.
inline constexpr std::size_t longest_header = std::size_t(1) << 20;

struct StoredTensor {
  std::vector<std::int64_t> shape;
  std::size_t begin, bytes;  // in the file
};

struct Safetensors {
  std::string dtype;  // of all tensors, "F32" or "F64"; empty: there are none
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// What the file has, by its header. dtype: what every tensor must have, "F32" or "F64", or nullptr: either, but all the
// same. Throws FileError naming the tensor.
Safetensors read_safetensors(const Bytes& file, const char* dtype);

template <class T>
constexpr const char* dtype_name = sizeof(T) == 4 ? "F32" : "F64";

// A tensor to be written.
struct GivenTensor {
  std::vector<std::int64_t> shape;
  const void* data;
  std::size_t bytes;
};

// What comes before the tensors' bytes, which must follow in the order of the names.
std::string safetensors_header(const std::map<std::string, GivenTensor>& tensors,
                               const std::map<std::string, std::string>& metadata, const char* dtype);

}  // namespace gru_native
