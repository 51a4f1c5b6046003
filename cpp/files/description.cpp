#include "files/description.h"

#include "files/blocks.h"
#include "files/option_values.h"

namespace gru_native {
namespace {

using nlohmann::json;

constexpr int version = 1;

BlockSpec read_block(const json& from) {
  if (!from.is_object()) throw FileError("is no JSON object");
  std::string type;
  const auto named = from.find("type");
  if (named == from.end()) throw FileError("has no type");
  read_option(*named, type, "type");
  BlockSpec block = block_of_type(type);
  std::size_t known = 1;
  const auto option = [&](const char* name, auto& value) {
    const auto found = from.find(name);
    if (found == from.end()) return;
    read_option(*found, value, name);
    ++known;
  };
  option("prefix", block.prefix);
  each_option(block, option);
  if (known == from.size()) return block;
  for (const auto& entry : from.items()) {
    const std::string& key = entry.key();
    bool is_option = key == "type" || key == "prefix";
    each_option(block, [&](const char* name, auto&) { is_option |= key == name; });
    if (!is_option) throw FileError("has an option " + quoted(key) + " that " + type + " does not have here");
  }
  return block;
}

ParsedJson parse(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const FileError& error) {
    throw FileError(std::string("description: ") + error.what());
  }
}

}  // namespace

std::vector<BlockSpec> parse_description(const std::string& text) {
  const ParsedJson parsed = parse(text);
  const json& root = *parsed;
  if (!root.is_object()) throw FileError("description: is no JSON object");
  const auto number = root.find("version");
  if (number == root.end() || !number->is_number_integer() || *number != version)
    throw FileError(
        "description: version is " +
        (number == root.end() ? "missing" : quoted(number->dump(-1, ' ', true, json::error_handler_t::replace))) +
        "; this library reads version " + std::to_string(version));
  const auto list = root.find("blocks");
  if (list == root.end() || !list->is_array()) throw FileError("description: has no list of blocks");
  for (const auto& [key, unused] : root.items())
    if (key != "version" && key != "blocks") throw FileError("description: has an unknown entry " + quoted(key));
  std::vector<BlockSpec> blocks;
  std::vector<bool> says_layout;
  for (const json& block : *list) {
    try {
      blocks.push_back(read_block(block));
      says_layout.push_back(block.contains("batch_first"));
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      throw FileError("description: block " + std::to_string(blocks.size()) + ": " + error.what());
    }
  }
  complete_layouts(blocks, says_layout);
  return blocks;
}

std::string description_text(const std::vector<BlockSpec>& blocks) {
  std::vector<std::string> list;
  for (BlockSpec block : blocks) {
    std::map<std::string, std::string> entry{{"type", json_text(type_of(block))}, {"prefix", json_text(block.prefix)}};
    each_option(block, [&](const char* name, auto& value) { entry[name] = written_option(value); });
    // So that libraries from before it read the file.
    if (entry["precision"] == json_text("full")) entry.erase("precision");
    list.push_back(object_text(entry));
  }
  return object_text({{"version", json_text(std::int64_t(version))}, {"blocks", list_text(list)}});
}

}  // namespace gru_native
