#include "files/model_file.h"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "files/blocks.h"
#include "files/description.h"
#include "files/json.h"
#include "files/mapped_file.h"
#include "files/safetensors.h"

namespace gru_native {
namespace {

template <class T>
void copy_weights(const WeightEdit<T>& weights, const std::string& prefix, const Safetensors& file) {
  for (const Weight<T>& w : weights) {
    const StoredTensor& from = file.tensors.at(prefix + w.name);
    std::memcpy(w.data, from.data, from.bytes);
    // A sum is NaN if one of its terms is NaN or infinite, once those are multiplied by 0.
    T sum = 0;
    const std::size_t n = from.bytes / sizeof(T);
    for (std::size_t i = 0; i < n; ++i) sum += w.data[i] * T(0);
    if (sum == 0) continue;
    std::size_t i = 0;
    while (std::isfinite(w.data[i])) ++i;
    throw FileError("tensor " + quoted(prefix + w.name) + " holds " + (std::isnan(w.data[i]) ? "NaN" : "infinity") +
                    " at element " + std::to_string(i));
  }
}

template <class T, class Block, class Spec>
std::shared_ptr<const Block> read_block(const Spec& spec, const std::string& prefix, const Safetensors& file) {
  auto block = std::make_shared<Block>(spec);
  copy_weights<T>(block->edit(), prefix, file);
  return block;
}

// Errors name the file.
template <class F>
auto in_file(const std::string& path, const F& f) {
  try {
    return f();
  } catch (const FileError& error) {
    throw FileError(path + ": " + error.what());
  } catch (const std::invalid_argument& error) {
    throw FileError(path + ": " + error.what());
  }
}

std::runtime_error system_error() { return FileError(std::strerror(errno)); }

struct Unfinished {
  std::string path;
  std::FILE* file;
  ~Unfinished() {
    if (file) std::fclose(file);
    if (!path.empty()) std::remove(path.c_str());
  }
};

// Whole or not at all: under another name first, which it then trades.
template <class Write>
void write_file(const std::string& path, const Write& write) {
  Unfinished f{path + "." + std::to_string(getpid()) + ".unfinished", nullptr};
  f.file = std::fopen(f.path.c_str(), "wbe");
  if (!f.file) {
    const int error = errno;
    f.path.clear();
    throw FileError(std::strerror(error));
  }
  write([&](const void* data, std::size_t n) {
    if (std::fwrite(data, 1, n, f.file) != n) throw system_error();
  });
  const bool closed = std::fclose(f.file) == 0;
  f.file = nullptr;
  if (!closed || std::rename(f.path.c_str(), path.c_str()) != 0) throw system_error();
  f.path.clear();
}

}  // namespace

template <class T>
std::shared_ptr<const BasicModel<T>> read_model(std::string_view bytes, const std::vector<BlockSpec>* description) {
  const Safetensors file = read_safetensors(bytes, dtype_name<T>);
  std::vector<NamedShape> shapes;
  for (const auto& [name, tensor] : file.tensors) shapes.push_back({name, tensor.shape});
  const auto text = file.metadata.find(description_key);
  const std::vector<BlockSpec> specs = description                   ? *description
                                       : text != file.metadata.end() ? parse_description(text->second)
                                                                     : infer_blocks(shapes);
  match_blocks(specs, shapes);  // before anything is made in the sizes that the description claims
  std::vector<ModelBlock<T>> blocks;
  for (const BlockSpec& b : specs) {
    if (const auto* spec = std::get_if<LayerSpec>(&b.spec))
      blocks.push_back(read_block<T, Layer<T>>(*spec, b.prefix, file));
    else blocks.push_back(read_block<T, Dense<T>>(std::get<DenseSpec>(b.spec), b.prefix, file));
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path) {
  return in_file(path, [&] {
    const MappedFile file(path);
    return read_model<T>({file.data(), file.size()}, nullptr);
  });
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path,
                                                         const std::vector<BlockSpec>& description) {
  return in_file(path, [&] {
    const MappedFile file(path);
    return read_model<T>({file.data(), file.size()}, &description);
  });
}

template <class T>
void BasicModel<T>::save(const std::string& path) const {
  Safetensors file;
  std::vector<BlockSpec> specs;
  for (std::size_t i = 0; i < blocks().size(); ++i)
    std::visit(
        [&](const auto& block) {
          specs.push_back({blocks().size() == 1 ? "" : std::to_string(i) + ".", block->spec()});
          for (const Weight<const T>& w : block->weights()) {
            StoredTensor tensor{w.shape, reinterpret_cast<const char*>(w.data), sizeof(T)};
            for (const std::int64_t n : w.shape) tensor.bytes *= static_cast<std::size_t>(n);
            file.tensors.emplace(specs.back().prefix + w.name, tensor);
          }
        },
        blocks()[i]);
  file.metadata[description_key] = description_text(specs);
  in_file(path, [&] {
    const std::string header = safetensors_header(file, dtype_name<T>);
    if (header.size() - 8 > longest_header) throw FileError("its header would be too long to be read again");
    write_file(path, [&](const auto& put) {
      put(header.data(), header.size());
      for (const auto& [name, tensor] : file.tensors) put(tensor.data, tensor.bytes);
    });
  });
}

#define GRU_NATIVE_MODEL_FILE(T)                                                                             \
  template std::shared_ptr<const BasicModel<T>> read_model(std::string_view, const std::vector<BlockSpec>*); \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&);                     \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&,                      \
                                                                    const std::vector<BlockSpec>&);          \
  template void BasicModel<T>::save(const std::string&) const;
GRU_NATIVE_MODEL_FILE(float)
GRU_NATIVE_MODEL_FILE(double)

}  // namespace gru_native
