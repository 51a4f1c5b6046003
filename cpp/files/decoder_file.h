// A decoder with attention in a safetensors file: its tensors under their names, and in the metadata, as JSON, its
// options, those of the class in Python:
//
//   {"version": 1, "vocab_size": 100, "embedding_dim": 32, "attention": "additive", ...}
#pragma once
#include <optional>

#include "files/model_file.h"
#include "gru_native/attention_decoder.h"
#include "spec/decoder_tensors.h"

namespace gru_native {

inline constexpr const char* decoder_key = "gru_native.decoder";  // in the file's __metadata__

// What is read first, before anything is made in the sizes that it claims.
struct DecoderFile {
  AttentionDecoderSpec spec;  // which the tensors are exactly those of
  Safetensors file;
};

// dtype: as read_safetensors. None: the file does not say that it is a decoder's. Throws FileError and
// std::invalid_argument, without the path.
std::optional<DecoderFile> read_decoder_file(const Bytes& bytes, const char* dtype);

// Whole or not at all (files/whole_file.h). Throws FileError without the path.
void write_decoder_file(const std::string& path, const AttentionDecoderSpec& spec, std::vector<GivenTensor> tensors);

}  // namespace gru_native
