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
  std::string dtype;  // "F32", "F64", "BF16" or "I8"; of a list also "I64"
  std::vector<std::int64_t> shape;
  std::size_t begin, bytes;  // in the file
};

struct Safetensors {
  std::string dtype;  // of all tensors together: "F64", or "F32", beside which there may be others of fewer bits
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Tensors that are no weights: lists of numbers that say what a layer is. Each has a dtype of its own, by its name.
using Lists = std::map<std::string, std::string>;

// Which tensors are wanted. An entry of `ignore` is a name, or with a dot at its end what names begin with.
struct Selection {
  std::string prefix;  // what names begin with; it is cut off
  std::vector<std::string> ignore;
};

// What the file has, by its header. dtype: what its tensors must have together, "F32" or "F64", or nullptr: either.
// `lists` are among the tensors if the file has them in these dtypes. Throws FileError naming the tensor, or what of
// the selection there is not.
Safetensors read_safetensors(const Bytes& file, const char* dtype, const Lists& lists = {},
                             const Selection& selection = {});

// A tensor to be written.
struct GivenTensor {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  const void* data;
  std::size_t bytes;
};

// Puts tensors in the order of a file, in which each begins at a multiple of its numbers' size.
void put_in_order(std::vector<GivenTensor>& tensors);

// What comes before the tensors' bytes, which must follow in this order.
std::string safetensors_header(const std::vector<GivenTensor>& tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace gru_native
