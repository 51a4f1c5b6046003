#include "files/decoder_file.h"

#include <set>

#include "files/mapped_file.h"
#include "files/option_values.h"
#include "spec/options.h"

namespace gru_native {
namespace {

constexpr std::int64_t version = 1;

AttentionDecoderSpec parse_options(const std::string& text) {
  const ParsedJson parsed = parse_json(text);
  const nlohmann::json& root = *parsed;
  if (!root.is_object()) throw FileError("is no JSON object");
  std::int64_t number = 0;
  if (const auto found = root.find("version"); found != root.end()) read_option(*found, number, "version");
  if (number != version) throw FileError("has another version than " + std::to_string(version) + ", which this reads");
  AttentionDecoderSpec spec;
  std::set<std::string> known{"version"};
  each_option(spec, [&](const char* name, auto& value) {
    known.insert(name);
    if (const auto found = root.find(name); found != root.end()) read_option(*found, value, name);
  });
  for (const auto& [name, unused] : root.items())
    if (known.count(name) == 0) throw FileError("has an unknown option " + quoted(name));
  spec.validate();
  return spec;
}

// Asks for no more memory than the file's tensors have, whatever sizes the options claim.
void match(const AttentionDecoderSpec& spec, const Safetensors& file) {
  std::size_t count = 0;
  const auto text = [](const std::vector<std::int64_t>& shape) {
    std::vector<std::string> lengths;
    for (const std::int64_t n : shape) lengths.push_back(std::to_string(n));
    return list_text(lengths);
  };
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) throw FileError("there is no tensor " + quoted(name));
    const StoredTensor& tensor = found->second;
    if (tensor.shape != shape)
      throw FileError("tensor " + quoted(name) + " has shape " + text(tensor.shape) + "; expected " + text(shape));
    if (tensor.dtype != "F32" && tensor.dtype != "F64")
      throw FileError("tensor " + quoted(name) + " has dtype " + tensor.dtype + "; expected F32 or F64");
    ++count;
  });
  if (count != file.tensors.size())
    throw FileError("there are " + std::to_string(file.tensors.size()) + " tensors; expected " + std::to_string(count));
}

}  // namespace

std::optional<DecoderFile> read_decoder_file(const Bytes& bytes, const char* dtype) {
  Safetensors file = read_safetensors(bytes, dtype);
  const auto text = file.metadata.find(decoder_key);
  if (text == file.metadata.end()) return std::nullopt;
  AttentionDecoderSpec spec;
  try {
    spec = parse_options(text->second);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw FileError(std::string("description of the decoder: ") + error.what());
  }
  match(spec, file);
  return DecoderFile{spec, std::move(file)};
}

void write_decoder_file(const std::string& path, const AttentionDecoderSpec& spec, std::vector<GivenTensor> tensors) {
  std::map<std::string, std::string> options{{"version", json_text(version)}};
  AttentionDecoderSpec own = spec;
  each_option(own, [&](const char* name, auto& value) { options[name] = written_option(value); });
  write_tensors(path, {{decoder_key, object_text(options)}}, std::move(tensors));
}

template <class T>
AttentionDecoder<T> AttentionDecoder<T>::load(const std::string& path) {
  return in_file(path, [&] {
    const MappedFile bytes(path);
    const std::optional<DecoderFile> read = read_decoder_file(bytes, dtype_name<T>);
    if (!read) throw FileError("does not say that it holds a decoder");
    AttentionDecoder decoder(read->spec);
    const WeightEdit<T> edit = decoder.edit();
    for (const Weight<T>& w : edit) read_tensor(bytes, read->file, w.name, w.data);
    return decoder;
  });
}

template <class T>
void AttentionDecoder<T>::save(const std::string& path) const {
  std::vector<GivenTensor> tensors;
  for (const Weight<const T>& w : weights())
    tensors.push_back({w.name, dtype_name<T>, w.shape, w.data, static_cast<std::size_t>(w.size()) * sizeof(T)});
  in_file(path, [&] { write_decoder_file(path, spec(), std::move(tensors)); });
}

template AttentionDecoder<float> AttentionDecoder<float>::load(const std::string&);
template AttentionDecoder<double> AttentionDecoder<double>::load(const std::string&);
template void AttentionDecoder<float>::save(const std::string&) const;
template void AttentionDecoder<double>::save(const std::string&) const;

}  // namespace gru_native
