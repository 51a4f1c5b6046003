// A softmax over a large vocabulary in a safetensors file: its weights under their names; as lists "classes" (I64) or
// "counts" (F64), a number for each word, if it has any; and in the metadata, as JSON, its options, those of the class
// in Python:
//
//   {"version": 1, "type": "SampledSoftmax", "input_size": 256, "vocab_size": 100000, "proposal": "log_uniform", ...}
#pragma once
#include <optional>

#include "files/model_file.h"
#include "gru_native/large_softmax.h"

namespace gru_native {

inline constexpr const char* large_softmax_key = "gru_native.large_softmax";  // in the file's __metadata__

// The lists that such a file may have.
inline Lists large_softmax_lists() { return {{"classes", "I64"}, {"counts", "F64"}}; }

// What is read first, before anything is made in the sizes that it claims.
struct LargeSoftmaxFile {
  LargeSoftmaxSpec spec;  // which the tensors are exactly those of
  Safetensors file;
};

// dtype: as read_safetensors. None: the file does not say that it is such a layer's. Throws FileError and
// std::invalid_argument, without the path.
std::optional<LargeSoftmaxFile> read_large_softmax_file(const Bytes& bytes, const char* dtype);
// The layer, of the file's dtype.
template <class T>
LargeSoftmax<T> read_large_softmax(const Bytes& bytes, const LargeSoftmaxFile& read);

// Whole or not at all (files/whole_file.h). tensors: its weights. Throws FileError without the path.
void write_large_softmax_file(const std::string& path, const LargeSoftmaxSpec& spec, std::vector<GivenTensor> tensors);

}  // namespace gru_native
