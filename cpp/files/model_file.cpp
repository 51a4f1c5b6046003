#include "files/model_file.h"

#include <cmath>

#include "files/blocks.h"
#include "files/description.h"
#include "files/json.h"
#include "files/mapped_file.h"
#include "files/whole_file.h"
#include "spec/names.h"

namespace gru_native {
namespace {

template <class T, class Block, class Spec>
std::shared_ptr<const Block> read_block(const Spec& spec, const std::string& prefix, const Bytes& bytes,
                                        const Safetensors& file) {
  auto block = std::make_shared<Block>(spec);
  const WeightEdit<T> edit = block->edit();
  for (const Weight<T>& w : edit) {
    const std::string name = prefix + w.name;
    read_tensor(bytes, name, file.tensors.at(name), w.data);
  }
  return block;
}

// Errors name the file.
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

}  // namespace

ModelFile read_model_file(const Bytes& bytes, const char* dtype, const std::vector<BlockSpec>* description) {
  Safetensors file = read_safetensors(bytes, dtype);
  std::vector<NamedShape> shapes;
  for (const auto& [name, tensor] : file.tensors) shapes.push_back({name, tensor.shape});
  const auto text = file.metadata.find(description_key);
  std::vector<BlockSpec> blocks = description                   ? *description
                                  : text != file.metadata.end() ? parse_description(text->second)
                                                                : infer_blocks(shapes);
  match_blocks(blocks, shapes);
  return {std::move(blocks), std::move(file)};
}

template <class T>
void read_tensor(const Bytes& bytes, const std::string& name, const StoredTensor& tensor, T* to) {
  bytes.read(tensor.begin, to, tensor.bytes);
  // A sum is NaN if one of its terms is NaN or infinite, once those are multiplied by 0.
  T sum = 0;
  const std::size_t n = tensor.bytes / sizeof(T);
  for (std::size_t i = 0; i < n; ++i) sum += to[i] * T(0);
  if (sum == 0) return;
  std::size_t i = 0;
  while (std::isfinite(to[i])) ++i;
  throw FileError("tensor " + quoted(name) + " holds " + (std::isnan(to[i]) ? "NaN" : "infinity") + " at element " +
                  std::to_string(i));
}

template <class T>
std::shared_ptr<const BasicModel<T>> read_model(const Bytes& bytes, const std::vector<BlockSpec>* description) {
  const ModelFile read = read_model_file(bytes, dtype_name<T>, description);
  std::vector<ModelBlock<T>> blocks;
  for (const BlockSpec& b : read.blocks) {
    if (const auto* spec = std::get_if<LayerSpec>(&b.spec))
      blocks.push_back(read_block<T, Layer<T>>(*spec, b.prefix, bytes, read.file));
    else blocks.push_back(read_block<T, Dense<T>>(std::get<DenseSpec>(b.spec), b.prefix, bytes, read.file));
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

void write_model_file(const std::string& path, const std::vector<BlockSpec>& blocks,
                      const std::map<std::string, GivenTensor>& tensors, const char* dtype) {
  const std::string header = safetensors_header(tensors, {{description_key, description_text(blocks)}}, dtype);
  if (header.size() - 8 > longest_header) throw FileError("its header would be too long to be read again");
  WholeFile file(path);
  file.write(header.data(), header.size());
  for (const auto& [name, tensor] : tensors) file.write(tensor.data, tensor.bytes);
  file.finish();
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path) {
  return in_file(path, [&] { return read_model<T>(MappedFile(path), nullptr); });
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path,
                                                         const std::vector<BlockSpec>& description) {
  return in_file(path, [&] { return read_model<T>(MappedFile(path), &description); });
}

template <class T>
void BasicModel<T>::save(const std::string& path) const {
  std::map<std::string, GivenTensor> tensors;
  std::vector<BlockSpec> specs;
  for (std::size_t i = 0; i < blocks().size(); ++i)
    std::visit(
        [&](const auto& block) {
          if (block->spec().precision != Precision::full)
            throw FileError(path + ": block " + std::to_string(i) + " has " +
                            precision_names[static_cast<int>(block->spec().precision)] +
                            " weights, which files cannot hold; save the model of full precision");
          specs.push_back({blocks().size() == 1 ? "" : std::to_string(i) + ".", block->spec()});
          for (const auto& w : block->weights())
            tensors.emplace(specs.back().prefix + w.name,
                            GivenTensor{w.shape, w.data, static_cast<std::size_t>(w.size()) * sizeof(T)});
        },
        blocks()[i]);
  in_file(path, [&] { write_model_file(path, specs, tensors, dtype_name<T>); });
}

#define GRU_NATIVE_MODEL_FILE(T)                                                                         \
  template void read_tensor(const Bytes&, const std::string&, const StoredTensor&, T*);                  \
  template std::shared_ptr<const BasicModel<T>> read_model(const Bytes&, const std::vector<BlockSpec>*); \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&);                 \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&,                  \
                                                                    const std::vector<BlockSpec>&);      \
  template void BasicModel<T>::save(const std::string&) const;
GRU_NATIVE_MODEL_FILE(float)
GRU_NATIVE_MODEL_FILE(double)

}  // namespace gru_native
