// A model in a safetensors file: which blocks it has, and their tensors.
#pragma once
#include "files/safetensors.h"
#include "gru_native/model.h"

namespace gru_native {

// What is read first, before anything is made in the sizes that it claims.
struct ModelFile {
  std::vector<BlockSpec> blocks;  // which the tensors are exactly those of
  Safetensors file;
};

// dtype: as read_safetensors. description: or nullptr. Throws FileError and std::invalid_argument, without the path.
ModelFile read_model_file(const Bytes& bytes, const char* dtype, const std::vector<BlockSpec>* description);

// A tensor's numbers. Throws FileError if one of them is NaN or infinite.
template <class T>
void read_tensor(const Bytes& bytes, const std::string& name, const StoredTensor& tensor, T* to);

template <class T>
std::shared_ptr<const BasicModel<T>> read_model(const Bytes& bytes, const std::vector<BlockSpec>* description);

// Whole or not at all (files/whole_file.h). Throws FileError without the path.
void write_model_file(const std::string& path, const std::vector<BlockSpec>& blocks,
                      const std::map<std::string, GivenTensor>& tensors, const char* dtype);

}  // namespace gru_native
