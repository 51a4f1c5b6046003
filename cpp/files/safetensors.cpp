#include "files/safetensors.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "files/json.h"
#include "gru_native/model.h"

namespace gru_native {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& tensor, const std::string& text) {
  throw FileError("tensor " + quoted(tensor) + " " + text);
}

std::string advice(const std::string& dtype, const std::string& wanted) {
  if (wanted.empty()) return " or F64: convert it before saving, with tensor.float()";
  if (dtype == "F64" && wanted == "F32") return ": load it as float64 (Model64), or save float32 tensors";
  if (dtype == "F32" && wanted == "F64") return ": load it as float32 (Model), or save float64 tensors";
  return std::string(": convert it before saving, with tensor.") + (wanted == "F32" ? "float()" : "double()");
}

std::size_t item_size(const std::string& dtype) {
  return dtype == "F64" || dtype == "I64" ? 8 : dtype == "F32" ? 4 : dtype == "BF16" ? 2 : dtype == "I8" ? 1 : 0;
}

// `wanted`: "F32", "F64" or nullptr. Without it, the first tensor decides for all. Few bits go with F32.
void check_dtype(const std::string& tensor, const std::string& own, std::string& common, const char* wanted) {
  const std::size_t size = own == "I64" ? 0 : item_size(own);  // no weight has that
  const std::string family = size > 0 && size < 4 ? "F32" : own;
  if (wanted ? family != wanted : size == 0)
    refuse(tensor, "has dtype " + quoted(own) + "; expected " + (wanted ? wanted : "F32") +
                       advice(family, wanted ? wanted : ""));
  if (common.empty()) common = family;
  if (family != common)
    refuse(tensor, "has dtype " + quoted(own) + ", others have " + common + "; expected one for all");
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

// How many batches PyTorch's batch normalisations have seen, which is no weight.
bool is_counter(const std::string& name, const std::string& dtype) {
  const std::string end = "num_batches_tracked";
  return dtype == "I64" && name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

bool begins_with(const std::string& name, const std::string& start) {
  return name.compare(0, start.size(), start) == 0;
}

// A tensor's entry in the header. `dtype` becomes its dtype if it is empty. One that is not wanted may have any.
StoredTensor read_entry(const std::string& name, const json& entry, std::string& dtype, const char* wanted,
                        const Lists& lists, std::size_t data_size, bool is_wanted) {
  if (!entry.is_object()) refuse(name, "is no JSON object in the header");
  for (const auto& [key, unused] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets") refuse(name, "has an unknown entry " + quoted(key));
  const auto type = entry.find("dtype");
  if (type == entry.end() || !type->is_string()) refuse(name, "has no dtype");
  const std::string own = type->get<std::string>();
  const auto list = lists.find(name);
  const bool is_list = list != lists.end() && list->second == own;
  if (is_wanted && !is_list && !is_counter(name, own)) check_dtype(name, own, dtype, wanted);
  const std::size_t item = is_wanted ? item_size(own) : 1;
  StoredTensor tensor{own, sizes(name, entry, "shape"), 0, item};
  for (const std::int64_t n : tensor.shape)
    if (__builtin_mul_overflow(tensor.bytes, static_cast<std::size_t>(n), &tensor.bytes))
      refuse(name, "has a shape larger than memory can be");
  const auto offsets = sizes(name, entry, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] || static_cast<std::size_t>(offsets[1]) > data_size)
    refuse(name,
           "has data_offsets that are no range within the file's " + std::to_string(data_size) + " bytes of data");
  tensor.begin = static_cast<std::size_t>(offsets[0]);
  const std::size_t bytes = static_cast<std::size_t>(offsets[1]) - tensor.begin;
  if (!is_wanted) tensor.bytes = bytes;
  if (bytes != tensor.bytes)
    refuse(name, "has " + std::to_string(bytes) + " bytes of data; its shape needs " + std::to_string(tensor.bytes));
  if (tensor.begin % item != 0)
    refuse(name, "begins at byte " + std::to_string(tensor.begin) + " of the data; expected a multiple of " +
                     std::to_string(item));
  return tensor;
}

void read_metadata(const json& entry, std::map<std::string, std::string>& metadata) {
  if (entry.is_null()) return;  // as the format's own library has it
  if (!entry.is_object()) throw FileError("has a __metadata__ that is no JSON object");
  for (const auto& [key, text] : entry.items()) {
    if (!text.is_string()) throw FileError("has " + quoted(key) + " in its __metadata__ that is no text");
    metadata[key] = text.get<std::string>();
  }
}

// Formats that people take for this one, by how they begin: a pickle, or a zip whose first member says what it is.
void refuse_other_formats(const Bytes& file, const unsigned char* start) {
  bool pickle = start[0] == 0x80 && start[1] >= 2 && start[1] <= 5 && start[2] != 0;
  if (start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4 && file.size() > 30) {
    unsigned char length[2];
    file.read(26, length, 2);
    std::string member(std::min<std::size_t>(length[0] | length[1] << 8, file.size() - 30), '\0');
    file.read(30, member.data(), member.size());
    pickle = member == "data.pkl" || (member.size() > 9 && member.compare(member.size() - 9, 9, "/data.pkl") == 0);
    if (!pickle) throw FileError("is a zip file, no safetensors file; gru_native.keras.load reads those of Keras");
  }
  if (pickle)
    throw FileError(
        "is a PyTorch pickle, which may run any code when it is read, no safetensors file; convert it: "
        "safetensors.torch.save_file(torch.load(path, weights_only=True), \"model.safetensors\")");
}

std::string read_header(const Bytes& file) {
  const std::size_t size = file.size();
  if (size < 8) throw FileError("has " + std::to_string(size) + " bytes: no safetensors file");
  unsigned char prefix[8];
  file.read(0, prefix, 8);
  refuse_other_formats(file, prefix);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | prefix[i];
  if (length > size - 8)
    throw FileError("has a header of " + std::to_string(length) + " bytes by its own account, but only " +
                    std::to_string(size - 8) + " follow: truncated, or no safetensors file");
  if (length > longest_header)
    throw FileError("has a header of " + std::to_string(length) + " bytes; expected at most " +
                    std::to_string(longest_header));
  std::string header(static_cast<std::size_t>(length), '\0');
  file.read(8, header.data(), header.size());
  return header;
}

}  // namespace

Safetensors read_safetensors(const Bytes& bytes, const char* dtype, const Lists& lists, const Selection& selection) {
  const std::string text = read_header(bytes);
  const ParsedJson parsed = parse_json(text);
  const json& header = *parsed;
  if (!header.is_object()) throw FileError("has a header that is no JSON object");
  const std::size_t data = 8 + text.size(), data_size = bytes.size() - data;
  Safetensors file;
  std::vector<Range> ranges;
  std::set<std::string> others, not_met(selection.ignore.begin(), selection.ignore.end());
  const auto is_wanted = [&](const std::string& name) {
    bool wanted = begins_with(name, selection.prefix) && name.size() > selection.prefix.size();
    for (const std::string& part : selection.ignore)
      if (name == part || (!part.empty() && part.back() == '.' && begins_with(name, part))) {
        not_met.erase(part);
        wanted = false;
      }
    return wanted;
  };
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      read_metadata(entry, file.metadata);
      continue;
    }
    const bool wanted = is_wanted(name);
    const StoredTensor tensor = read_entry(name, entry, file.dtype, dtype, lists, data_size, wanted);
    ranges.push_back({tensor.begin, tensor.begin + tensor.bytes, nullptr});
    if (!wanted) {
      ranges.back().name = &*others.insert(name).first;
      continue;
    }
    const StoredTensor placed{tensor.dtype, tensor.shape, data + tensor.begin, tensor.bytes};
    ranges.back().name = &file.tensors.emplace(name.substr(selection.prefix.size()), placed).first->first;
  }
  check_ranges(std::move(ranges), data_size);
  if (!not_met.empty()) throw FileError("has no tensor " + quoted(*not_met.begin()) + ", which shall be ignored");
  if (!selection.prefix.empty() && file.tensors.empty())
    throw FileError("has no tensor whose name begins with " + quoted(selection.prefix));
  for (auto t = file.tensors.begin(); t != file.tensors.end();)
    t = is_counter(t->first, t->second.dtype) ? file.tensors.erase(t) : std::next(t);
  return file;
}

void put_in_order(std::vector<GivenTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const GivenTensor& a, const GivenTensor& b) {
    const std::size_t one = item_size(a.dtype), other = item_size(b.dtype);
    return one != other ? one > other : a.name < b.name;
  });
}

std::string safetensors_header(const std::vector<GivenTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> entries, strings;
  for (const auto& [key, value] : metadata) strings[key] = json_text(value);
  entries["__metadata__"] = object_text(strings);
  std::size_t at = 0;
  for (const GivenTensor& t : tensors) {
    std::vector<std::string> sizes;
    for (const std::int64_t size : t.shape) sizes.push_back(json_text(size));
    const auto offset = [](std::size_t bytes) { return json_text(static_cast<std::int64_t>(bytes)); };
    entries[t.name] = object_text({{"dtype", json_text(t.dtype)},
                                   {"shape", list_text(sizes)},
                                   {"data_offsets", list_text({offset(at), offset(at + t.bytes)})}});
    at += t.bytes;
  }
  std::string text = object_text(entries);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string prefix;
  for (std::uint64_t length = text.size(), i = 0; i < 8; ++i) prefix += static_cast<char>(length >> 8 * i & 0xff);
  return prefix + text;
}

}  // namespace gru_native
