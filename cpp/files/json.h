// JSON from strangers: nothing twice, nothing deep. And JSON of our own.
#pragma once
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gru_native {

// A json's own destructor asks for memory if it holds others, and ends the program when there is none.
struct DeleteJson {
  void operator()(nlohmann::json* value) const;
};
using ParsedJson = std::unique_ptr<nlohmann::json, DeleteJson>;

// Throws FileError for what is no JSON, is nested deeper than 8 or has a key twice in one object.
ParsedJson parse_json(std::string_view text);

// Text of a string, and of what is made of such texts.
std::string json_text(const std::string& value);
std::string json_text(const char* value);
std::string json_text(bool value);
std::string json_text(std::int64_t value);
std::string json_text(double value);
std::string list_text(const std::vector<std::string>& texts);
std::string object_text(const std::map<std::string, std::string>& texts);

// A name from a file, fit for an error's text: in quotes, escaped, not too long.
std::string quoted(std::string name);

}  // namespace gru_native
