#include "files/large_softmax_file.h"

#include "files/described.h"
#include "files/mapped_file.h"
#include "spec/options.h"
#include "spec/vocabulary_tensors.h"

namespace gru_native {
namespace {

template <class Number>
constexpr const char* list_dtype = std::is_same_v<Number, double> ? "F64" : "I64";

// Those that the file has; returns how many.
std::size_t read_lists(const Bytes& bytes, const Safetensors& file, LargeSoftmaxSpec& spec) {
  std::size_t count = 0;
  each_list(spec, [&](const char* name, auto& list) {
    using Number = typename std::decay_t<decltype(list)>::value_type;
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) return;
    const StoredTensor& tensor = found->second;
    check_stored_shape(name, tensor, {spec.vocab_size});
    if (tensor.dtype != list_dtype<Number>)
      throw FileError("tensor " + quoted(name) + " has dtype " + tensor.dtype + "; expected " + list_dtype<Number>);
    list.resize(static_cast<std::size_t>(spec.vocab_size));
    bytes.read(tensor.begin, list.data(), tensor.bytes);
    ++count;
  });
  return count;
}

}  // namespace

std::optional<LargeSoftmaxFile> read_large_softmax_file(const Bytes& bytes, const char* dtype) {
  Safetensors file = read_safetensors(bytes, dtype, large_softmax_lists());
  const auto text = file.metadata.find(large_softmax_key);
  if (text == file.metadata.end()) return std::nullopt;
  LargeSoftmaxSpec spec;
  std::size_t lists = 0;
  in_description("softmax", [&] {
    parse_options(text->second, spec);
    lists = read_lists(bytes, file, spec);
    spec.validate();
  });
  match_tensors(spec, file, lists);
  return LargeSoftmaxFile{std::move(spec), std::move(file)};
}

template <class T>
LargeSoftmax<T> read_large_softmax(const Bytes& bytes, const LargeSoftmaxFile& read) {
  LargeSoftmax<T> layer(read.spec);
  const WeightEdit<T> edit = layer.edit();
  for (const Weight<T>& w : edit) read_tensor(bytes, read.file, w.name, w.data);
  return layer;
}

void write_large_softmax_file(const std::string& path, const LargeSoftmaxSpec& spec, std::vector<GivenTensor> tensors) {
  LargeSoftmaxSpec own = spec;
  each_list(own, [&](const char* name, auto& list) {
    using Number = typename std::decay_t<decltype(list)>::value_type;
    if (!list.empty())
      tensors.push_back({name, list_dtype<Number>, {spec.vocab_size}, list.data(), list.size() * sizeof(Number)});
  });
  write_tensors(path, {{large_softmax_key, options_text(spec)}}, std::move(tensors));
}

template <class T>
LargeSoftmax<T> LargeSoftmax<T>::load(const std::string& path) {
  return in_file(path, [&] {
    const MappedFile bytes(path);
    const std::optional<LargeSoftmaxFile> read = read_large_softmax_file(bytes, dtype_name<T>);
    if (!read) throw FileError("does not say that it holds a softmax over a large vocabulary");
    return read_large_softmax<T>(bytes, *read);
  });
}

template <class T>
void LargeSoftmax<T>::save(const std::string& path) const {
  in_file(path, [&] { write_large_softmax_file(path, spec(), given_tensors(weights())); });
}

#define GRU_NATIVE_LARGE_SOFTMAX_FILE(T)                                                 \
  template LargeSoftmax<T> read_large_softmax<T>(const Bytes&, const LargeSoftmaxFile&); \
  template LargeSoftmax<T> LargeSoftmax<T>::load(const std::string&);                    \
  template void LargeSoftmax<T>::save(const std::string&) const;
GRU_NATIVE_LARGE_SOFTMAX_FILE(float)
GRU_NATIVE_LARGE_SOFTMAX_FILE(double)

}  // namespace gru_native
