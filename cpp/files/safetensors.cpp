#include "files/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "files/json.h"
#include "gru_native/model.h"

namespace gru_native {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& tensor, const std::string& text) {
  throw FileError("tensor " + quoted(tensor) + " " + text);
}

std::string advice(const std::string& dtype, const std::string& wanted) {
  if (dtype == "F64" && wanted == "F32") return ": load it as float64 (Model64), or save float32 tensors";
  if (dtype == "F32" && wanted == "F64") return ": load it as float32 (Model), or save float64 tensors";
  return std::string(": convert it before saving, with tensor.") + (wanted == "F32" ? "float()" : "double()");
}

// A list of whole numbers from 0 to 2^63 - 1.
std::vector<std::int64_t> sizes(const std::string& tensor, const json& entry, const char* key) {
  const auto list = entry.find(key);
  if (list == entry.end() || !list->is_array()) refuse(tensor, std::string("has no list ") + key);
  std::vector<std::int64_t> numbers;
  for (const json& n : *list) {
    if (!n.is_number_unsigned() || n.get<std::uint64_t>() > std::uint64_t(INT64_MAX))
      refuse(tensor, std::string("has ") + quoted(n.dump(-1, ' ', true, json::error_handler_t::replace)) + " in its " +
                         key + "; expected whole numbers from 0");
    numbers.push_back(static_cast<std::int64_t>(n.get<std::uint64_t>()));
  }
  return numbers;
}

struct Range {
  std::size_t begin, end;
  const std::string* name;
};

// The tensors must fill the data exactly: what overlaps is an attack, what is left over may hide something.
void check_ranges(std::vector<Range> ranges, std::size_t size) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  std::size_t at = 0;
  for (const Range& r : ranges) {
    if (r.begin != at)
      refuse(*r.name, "begins at byte " + std::to_string(r.begin) + " of the data; expected " + std::to_string(at) +
                          ", where the one before it ends");
    at = r.end;
  }
  if (at != size)
    throw FileError("its tensors end at byte " + std::to_string(at) + " of the data, which has " +
                    std::to_string(size));
}

}  // namespace

Safetensors read_safetensors(std::string_view bytes, const char* dtype) {
  if (bytes.size() < 8) throw FileError("has " + std::to_string(bytes.size()) + " bytes: no safetensors file");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  if (length > bytes.size() - 8)
    throw FileError("has a header of " + std::to_string(length) + " bytes by its own account, but only " +
                    std::to_string(bytes.size() - 8) + " follow: truncated, or no safetensors file");
  if (length > longest_header)
    throw FileError("has a header of " + std::to_string(length) + " bytes; expected at most " +
                    std::to_string(longest_header));
  const std::string_view data = bytes.substr(8 + length);
  const json header = parse_json(bytes.substr(8, length));
  if (!header.is_object()) throw FileError("has a header that is no JSON object");

  Safetensors file;
  std::vector<Range> ranges;
  const std::size_t item = std::string(dtype) == "F32" ? 4 : 8;
  for (const auto& [name, entry] : header.items()) {
    if (!entry.is_object()) refuse(name, "is no JSON object in the header");
    if (name == "__metadata__") {
      for (const auto& [key, text] : entry.items()) {
        if (!text.is_string()) throw FileError("has " + quoted(key) + " in its __metadata__ that is no text");
        file.metadata[key] = text.get<std::string>();
      }
      continue;
    }
    for (const auto& [key, unused] : entry.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        refuse(name, "has an unknown entry " + quoted(key));
    const auto type = entry.find("dtype");
    if (type == entry.end() || !type->is_string()) refuse(name, "has no dtype");
    if (*type != dtype)
      refuse(name, "has dtype " + quoted(type->get<std::string>()) + "; expected " + dtype +
                       advice(type->get<std::string>(), dtype));
    StoredTensor tensor{sizes(name, entry, "shape"), nullptr, item};
    for (const std::int64_t n : tensor.shape)
      if (__builtin_mul_overflow(tensor.bytes, static_cast<std::size_t>(n), &tensor.bytes))
        refuse(name, "has a shape larger than memory can be");
    const auto offsets = sizes(name, entry, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || static_cast<std::size_t>(offsets[1]) > data.size())
      refuse(name,
             "has data_offsets that are no range within the file's " + std::to_string(data.size()) + " bytes of data");
    const auto begin = static_cast<std::size_t>(offsets[0]), end = static_cast<std::size_t>(offsets[1]);
    if (end - begin != tensor.bytes)
      refuse(name,
             "has " + std::to_string(end - begin) + " bytes of data; its shape needs " + std::to_string(tensor.bytes));
    if (begin % item != 0)
      refuse(name, "begins at byte " + std::to_string(begin) + " of the data; expected a multiple of " +
                       std::to_string(item));
    tensor.data = data.data() + begin;
    ranges.push_back({begin, end, &file.tensors.emplace(name, tensor).first->first});
  }
  check_ranges(std::move(ranges), data.size());
  return file;
}

std::string safetensors_header(const Safetensors& file, const char* dtype) {
  json header;
  header["__metadata__"] = file.metadata;
  std::size_t at = 0;
  for (const auto& [name, tensor] : file.tensors) {
    header[name] = {{"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes}}};
    at += tensor.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string prefix;
  for (std::uint64_t length = text.size(), i = 0; i < 8; ++i) prefix += static_cast<char>(length >> 8 * i & 0xff);
  return prefix + text;
}

}  // namespace gru_native
