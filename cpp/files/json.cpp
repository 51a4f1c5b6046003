#include "files/json.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "gru_native/model.h"

namespace gru_native {

using nlohmann::json;

namespace {

// From the inside, so that each value that goes holds no other.
void dismantle(json& value) {
  if (!value.is_structured()) return;
  for (json& inner : value) dismantle(inner);
  value.clear();
}

// What nlohmann_json's parser tells. (Its own makers of values leave them to destructors when memory runs out.)
class Builder final : public json::json_sax_t {
 public:
  ParsedJson root{new json};

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(std::int64_t value) override { return put(value); }
  bool number_unsigned(std::uint64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::value_t::object); }
  bool start_array(std::size_t) override { return open(json::value_t::array); }
  bool key(std::string& name) override {
    if (open_.back()->contains(name)) throw FileError(quoted(name) + " is there twice");
    next_ = &(*open_.back())[name];
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  // Its own text quotes the file, at any length.
  bool parse_error(std::size_t byte, const std::string&, const json::exception& error) override {
    if (dynamic_cast<const json::parse_error*>(&error))
      throw FileError("no JSON: error at byte " + std::to_string(byte));
    throw FileError("no JSON: error " + std::to_string(error.id));
  }

 private:
  json& place() {
    if (open_.empty()) return *root;
    if (open_.back()->is_object()) return *next_;
    open_.back()->push_back(nullptr);
    return open_.back()->back();
  }
  bool put(json value) {
    place() = std::move(value);
    return true;
  }
  bool open(json::value_t kind) {
    constexpr std::size_t deepest = 8;
    if (open_.size() == deepest) throw FileError("JSON nested deeper than " + std::to_string(deepest));
    json& value = place();
    value = kind;
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<json*> open_;  // objects and arrays that have not ended: each the last of the one before it
  json* next_ = nullptr;     // where the value of the last key goes
};

}  // namespace

void DeleteJson::operator()(json* value) const {
  dismantle(*value);
  delete value;
}

ParsedJson parse_json(std::string_view text) {
  // nlohmann_json takes a zero byte for the end, and skips a byte order mark.
  if (const std::size_t zero = text.find('\0'); zero != text.npos)
    throw FileError("no JSON: error at byte " + std::to_string(zero + 1));
  if (text.substr(0, 1) == "\xef") throw FileError("no JSON: error at byte 1");
  Builder builder;
  json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder.root);
}

std::string quoted(std::string name) {
  constexpr std::size_t most = 100;
  const bool cut = name.size() > most;
  if (cut) name.resize(most);
  return json(name).dump(-1, ' ', true, json::error_handler_t::replace) + (cut ? "..." : "");
}

std::string json_text(const std::string& value) { return json(value).dump(); }
std::string json_text(const char* value) { return json(value).dump(); }
std::string json_text(bool value) { return json(value).dump(); }
std::string json_text(std::int64_t value) { return json(value).dump(); }
std::string json_text(double value) { return json(value).dump(); }

std::string list_text(const std::vector<std::string>& texts) {
  std::string all = "[";
  for (const std::string& text : texts) all += (all.size() > 1 ? "," : "") + text;
  return all + "]";
}

std::string object_text(const std::map<std::string, std::string>& texts) {
  std::string all = "{";
  for (const auto& [key, text] : texts) all += (all.size() > 1 ? "," : "") + json_text(key) + ":" + text;
  return all + "}";
}

}  // namespace gru_native
