// What the files of a decoder and of a softmax over a large vocabulary have in common: options in the metadata, as
// JSON, under a key of the kind's own, which are those of the class in Python, and the tensors of one layer.
#pragma once
#include <set>

#include "files/model_file.h"
#include "files/option_values.h"

namespace gru_native {

inline constexpr std::int64_t description_version = 1;

// Sets the options that the text has. Throws FileError.
template <class Spec>
void parse_options(const std::string& text, Spec& spec) {
  const ParsedJson parsed = parse_json(text);
  const nlohmann::json& root = *parsed;
  if (!root.is_object()) throw FileError("is no JSON object");
  std::int64_t version = 0;
  if (const auto found = root.find("version"); found != root.end()) read_option(*found, version, "version");
  if (version != description_version)
    throw FileError("has another version than " + std::to_string(description_version) + ", which this reads");
  std::set<std::string> known{"version"};
  each_option(spec, [&](const char* name, auto& value) {
    known.insert(name);
    if (const auto found = root.find(name); found != root.end()) read_option(*found, value, name);
  });
  for (const auto& [name, unused] : root.items())
    if (known.count(name) == 0) throw FileError("has an unknown option " + quoted(name));
}

template <class Spec>
std::string options_text(const Spec& spec) {
  std::map<std::string, std::string> options{{"version", json_text(description_version)}};
  Spec own = spec;
  each_option(own, [&](const char* name, auto& value) { options[name] = written_option(value); });
  return object_text(options);
}

// f(), whose errors then name what has the options: `owner`.
template <class F>
void in_description(const char* owner, const F& f) {
  try {
    f();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw FileError(std::string("description of the ") + owner + ": " + error.what());
  }
}

inline void check_stored_shape(const std::string& name, const StoredTensor& tensor,
                               const std::vector<std::int64_t>& shape) {
  const auto text = [](const std::vector<std::int64_t>& of) {
    std::vector<std::string> lengths;
    for (const std::int64_t n : of) lengths.push_back(std::to_string(n));
    return list_text(lengths);
  };
  if (tensor.shape != shape)
    throw FileError("tensor " + quoted(name) + " has shape " + text(tensor.shape) + "; expected " + text(shape));
}

// Throws FileError unless the file has the spec's tensors and `others`, which are no weights. Asks for no more memory
// than the file's tensors have, whatever sizes the options claim.
template <class Spec>
void match_tensors(const Spec& spec, const Safetensors& file, std::size_t others = 0) {
  std::size_t count = others;
  each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) throw FileError("there is no tensor " + quoted(name));
    const StoredTensor& tensor = found->second;
    check_stored_shape(name, tensor, shape);
    if (tensor.dtype != "F32" && tensor.dtype != "F64")
      throw FileError("tensor " + quoted(name) + " has dtype " + tensor.dtype + "; expected F32 or F64");
    ++count;
  });
  if (count != file.tensors.size())
    throw FileError("there are " + std::to_string(file.tensors.size()) + " tensors; expected " + std::to_string(count));
}

// The weights of a layer, to be written.
template <class T>
std::vector<GivenTensor> given_tensors(const std::vector<Weight<const T>>& weights) {
  std::vector<GivenTensor> tensors;
  for (const Weight<const T>& w : weights)
    tensors.push_back({w.name, dtype_name<T>, w.shape, w.data, static_cast<std::size_t>(w.size()) * sizeof(T)});
  return tensors;
}

}  // namespace gru_native
