#include "files/model_file.h"

#include <cmath>

#include "files/blocks.h"
#include "files/decoder_file.h"
#include "files/description.h"
#include "files/json.h"
#include "files/large_softmax_file.h"
#include "files/mapped_file.h"
#include "files/whole_file.h"
#include "runtime/interruption.h"

namespace gru_native {
namespace {

template <class T, class Block, class Spec>
std::shared_ptr<const Block> read_block(const Spec& spec, const std::string& prefix, const Bytes& bytes,
                                        const Safetensors& file) {
  if constexpr (std::is_same_v<T, float> && !std::is_same_v<Spec, OperationSpec>)
    if (spec.precision != Precision::full)
      return std::make_shared<const Block>(read_few_bits(bytes, file, spec, prefix));
  auto block = std::make_shared<Block>(spec);
  const WeightEdit<T> edit = block->edit();
  for (const Weight<T>& w : edit) read_tensor(bytes, file, prefix + w.name, w.data);
  return block;
}

}  // namespace

namespace {

// The blocks of a file's own description that a prefix selects.
std::vector<BlockSpec> part_of(std::vector<BlockSpec> blocks, const std::string& prefix) {
  std::vector<BlockSpec> part;
  for (BlockSpec& block : blocks)
    if (block.prefix.compare(0, prefix.size(), prefix) == 0) {
      block.prefix.erase(0, prefix.size());
      part.push_back(std::move(block));
    }
  return part;
}

}  // namespace

ModelFile read_model_file(const Bytes& bytes, const char* dtype, const std::vector<BlockSpec>* description, LoadAs as,
                          const Selection& selection) {
  Safetensors file = read_safetensors(bytes, dtype, large_softmax_lists(), selection);
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : file.tensors) named.push_back({name, tensor.shape, tensor.dtype});
  if (!description) {  // the names of one's weights may be those of a dense layer
    if (file.metadata.count(decoder_key) > 0) throw FileError("holds a decoder: AttentionDecoder::load reads it");
    if (file.metadata.count(large_softmax_key) > 0)
      throw FileError("holds a softmax over a large vocabulary: LargeSoftmax::load reads it");
  }
  const auto text = file.metadata.find(description_key);
  std::vector<BlockSpec> blocks = description ? *description
                                  : text != file.metadata.end()
                                      ? part_of(parse_description(text->second), selection.prefix)
                                      : infer_blocks(named);
  match_blocks(blocks, named, as == LoadAs::full);
  if (as == LoadAs::full)
    for (BlockSpec& block : blocks) std::visit([](auto& spec) { spec.precision = Precision::full; }, block.spec);
  return {std::move(blocks), std::move(file)};
}

namespace {

// The floats that few bits stand for.
void read_widened(const Bytes& bytes, const Safetensors& file, const std::string& name, float* to) {
  const StoredTensor& tensor = file.tensors.at(name);
  QuantizedMatrix m;
  m.rows = tensor.shape[0];
  m.columns = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  if (tensor.dtype == "BF16") {
    m.precision = Precision::bf16;
    m.bits.resize(static_cast<std::size_t>(m.size()));
    bytes.read(tensor.begin, m.bits.data(), tensor.bytes);
  } else {
    m.precision = Precision::int8;
    m.q.resize(static_cast<std::size_t>(m.size()));
    m.scale.resize(static_cast<std::size_t>(m.rows));
    bytes.read(tensor.begin, m.q.data(), tensor.bytes);
    const StoredTensor& scales = file.tensors.at(scale_name(name));
    bytes.read(scales.begin, m.scale.data(), scales.bytes);
  }
  check_quantized(name, m);
  dequantize(m, to);
}

}  // namespace

template <class T>
void read_tensor(const Bytes& bytes, const Safetensors& file, const std::string& name, T* to) {
  const StoredTensor& tensor = file.tensors.at(name);
  if constexpr (std::is_same_v<T, float>)
    if (tensor.dtype != dtype_name<T>) return read_widened(bytes, file, name, to);
  bytes.read(tensor.begin, to, tensor.bytes);
  // A sum is NaN if one of its terms is NaN or infinite, once those are multiplied by 0.
  T sum = 0;
  in_parts(0, static_cast<Index>(tensor.bytes / sizeof(T)), macs_of_copy, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) sum += to[i] * T(0);
  });
  if (sum == 0) return;
  std::size_t i = 0;
  while (std::isfinite(to[i])) ++i;
  throw FileError("tensor " + quoted(name) + " holds " + (std::isnan(to[i]) ? "NaN" : "infinity") + " at element " +
                  std::to_string(i));
}

template <class T>
std::shared_ptr<const BasicModel<T>> read_model(const Bytes& bytes, const std::vector<BlockSpec>* description,
                                                LoadAs as) {
  const ModelFile read = read_model_file(bytes, dtype_name<T>, description, as);
  std::vector<ModelBlock<T>> blocks;
  for (const BlockSpec& b : read.blocks) {
    if (const auto* spec = std::get_if<LayerSpec>(&b.spec))
      blocks.push_back(read_block<T, Layer<T>>(*spec, b.prefix, bytes, read.file));
    else if (const auto* dense = std::get_if<DenseSpec>(&b.spec))
      blocks.push_back(read_block<T, Dense<T>>(*dense, b.prefix, bytes, read.file));
    else blocks.push_back(read_block<T, Operation<T>>(std::get<OperationSpec>(b.spec), b.prefix, bytes, read.file));
  }
  return std::make_shared<const BasicModel<T>>(std::move(blocks));
}

void write_model_file(const std::string& path, const std::vector<BlockSpec>& blocks, std::vector<GivenTensor> tensors) {
  write_tensors(path, {{description_key, description_text(blocks)}}, std::move(tensors));
}

void write_tensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                   std::vector<GivenTensor> tensors) {
  put_in_order(tensors);
  const std::string header = safetensors_header(tensors, metadata);
  if (header.size() - 8 > longest_header) throw FileError("its header would be too long to be read again");
  WholeFile file(path);
  file.write(header.data(), header.size());
  for (const GivenTensor& tensor : tensors) file.write(tensor.data, tensor.bytes);
  file.finish();
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path, LoadAs as) {
  return in_file(path, [&] { return read_model<T>(MappedFile(path), nullptr, as); });
}

template <class T>
std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string& path,
                                                         const std::vector<BlockSpec>& description, LoadAs as) {
  return in_file(path, [&] { return read_model<T>(MappedFile(path), &description, as); });
}

template <class T>
void BasicModel<T>::save(const std::string& path) const {
  std::vector<GivenTensor> tensors;
  std::vector<BlockSpec> specs;
  for (std::size_t i = 0; i < blocks().size(); ++i)
    std::visit(
        [&](const auto& block) {
          specs.push_back({blocks().size() == 1 ? "" : std::to_string(i) + ".", block->spec()});
          give_tensors(*block, specs.back().prefix, tensors);
        },
        blocks()[i]);
  in_file(path, [&] { write_model_file(path, specs, std::move(tensors)); });
}

#define GRU_NATIVE_MODEL_FILE(T)                                                                                       \
  template void read_tensor(const Bytes&, const Safetensors&, const std::string&, T*);                                 \
  template std::shared_ptr<const BasicModel<T>> read_model(const Bytes&, const std::vector<BlockSpec>*, LoadAs);       \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&, LoadAs);                       \
  template std::shared_ptr<const BasicModel<T>> BasicModel<T>::load(const std::string&, const std::vector<BlockSpec>&, \
                                                                    LoadAs);                                           \
  template void BasicModel<T>::save(const std::string&) const;
GRU_NATIVE_MODEL_FILE(float)
GRU_NATIVE_MODEL_FILE(double)

}  // namespace gru_native
