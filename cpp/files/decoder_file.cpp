#include "files/decoder_file.h"

#include "files/described.h"
#include "files/mapped_file.h"
#include "spec/options.h"

namespace gru_native {

std::optional<DecoderFile> read_decoder_file(const Bytes& bytes, const char* dtype) {
  Safetensors file = read_safetensors(bytes, dtype);
  const auto text = file.metadata.find(decoder_key);
  if (text == file.metadata.end()) return std::nullopt;
  AttentionDecoderSpec spec;
  in_description("decoder", [&] {
    parse_options(text->second, spec);
    spec.validate();
  });
  match_tensors(spec, file);
  return DecoderFile{spec, std::move(file)};
}

void write_decoder_file(const std::string& path, const AttentionDecoderSpec& spec, std::vector<GivenTensor> tensors) {
  write_tensors(path, {{decoder_key, options_text(spec)}}, std::move(tensors));
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
  in_file(path, [&] { write_decoder_file(path, spec(), given_tensors(weights())); });
}

template AttentionDecoder<float> AttentionDecoder<float>::load(const std::string&);
template AttentionDecoder<double> AttentionDecoder<double>::load(const std::string&);
template void AttentionDecoder<float>::save(const std::string&) const;
template void AttentionDecoder<double>::save(const std::string&) const;

}  // namespace gru_native
