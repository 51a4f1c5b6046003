// A model in a safetensors file: which blocks it has, and their tensors.
#pragma once
#include "files/safetensors.h"
#include "files/stored.h"
#include "gru_native/model.h"

namespace gru_native {

// What is read first, before anything is made in the sizes that it claims.
struct ModelFile {
  std::vector<BlockSpec> blocks;  // which the tensors are exactly those of
  Safetensors file;
};

// dtype, selection: as read_safetensors. description: or nullptr. Throws FileError and std::invalid_argument, without
// the path.
ModelFile read_model_file(const Bytes& bytes, const char* dtype, const std::vector<BlockSpec>* description,
                          LoadAs as = LoadAs::stored, const Selection& selection = {});

// A weight's numbers, of few bits those that they stand for. Throws FileError if one of them is NaN or infinite.
template <class T>
void read_tensor(const Bytes& bytes, const Safetensors& file, const std::string& name, T* to);

// The layer of few bits that a block is. Throws FileError and std::invalid_argument.
template <class Spec>
auto read_few_bits(const Bytes& bytes, const Safetensors& file, const Spec& spec, const std::string& prefix) {
  return block_of_few_bits(spec, prefix, [&](const std::string& name, const std::vector<std::int64_t>&, auto* to) {
    if constexpr (std::is_same_v<decltype(to), float*>) {
      read_tensor(bytes, file, name, to);
    } else {
      const StoredTensor& tensor = file.tensors.at(name);
      bytes.read(tensor.begin, to, tensor.bytes);
    }
  });
}

template <class T>
std::shared_ptr<const BasicModel<T>> read_model(const Bytes& bytes, const std::vector<BlockSpec>* description,
                                                LoadAs as = LoadAs::stored);

// A block's tensors, to be written.
template <class Block>
void give_tensors(const Block& block, const std::string& prefix, std::vector<GivenTensor>& tensors) {
  each_tensor(block, [&](const std::string& name, const std::vector<std::int64_t>& shape, const auto* data) {
    using Number = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    std::size_t bytes = sizeof(Number);
    for (const std::int64_t n : shape) bytes *= static_cast<std::size_t>(n);
    tensors.push_back({prefix + name, dtype_name<Number>, shape, data, bytes});
  });
}

// f(), whose errors then name the file.
template <class F>
auto in_file(const std::string& path, const F& f) {
  try {
    return f();
  } catch (const FileError& error) {
    throw FileError(path.substr(0, path.find('\0')) + ": " + error.what());  // up to a zero byte, if it has one
  } catch (const std::invalid_argument& error) {
    throw FileError(path + ": " + error.what());
  }
}

// Whole or not at all (files/whole_file.h). Throw FileError without the path.
void write_tensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                   std::vector<GivenTensor> tensors);
void write_model_file(const std::string& path, const std::vector<BlockSpec>& blocks, std::vector<GivenTensor> tensors);

}  // namespace gru_native
