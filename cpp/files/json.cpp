#include "files/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "gru_native/model.h"

namespace gru_native {

using nlohmann::json;

json parse_json(std::string_view text) {
  constexpr std::size_t deepest = 8;
  std::vector<std::set<std::string>> keys;  // of the objects (and arrays: none) that are open
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (keys.size() == deepest) throw FileError("JSON nested deeper than " + std::to_string(deepest));
        keys.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end: keys.pop_back(); break;
      case json::parse_event_t::key:
        if (!keys.back().insert(value.get<std::string>()).second)
          throw FileError(quoted(value.get<std::string>()) + " is there twice");
        break;
      case json::parse_event_t::value: break;
    }
    return true;
  };
  // nlohmann_json takes a zero byte for the end, and skips a byte order mark.
  if (const std::size_t zero = text.find('\0'); zero != text.npos)
    throw FileError("no JSON: error at byte " + std::to_string(zero + 1));
  if (text.substr(0, 1) == "\xef") throw FileError("no JSON: error at byte 1");
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::parse_error& error) {  // its own text quotes the file, at any length
    throw FileError("no JSON: error at byte " + std::to_string(error.byte));
  } catch (const json::exception& error) {
    throw FileError("no JSON: error " + std::to_string(error.id));
  }
}

std::string quoted(std::string name) {
  constexpr std::size_t most = 100;
  const bool cut = name.size() > most;
  if (cut) name.resize(most);
  return json(name).dump(-1, ' ', true, json::error_handler_t::replace) + (cut ? "..." : "");
}

}  // namespace gru_native
