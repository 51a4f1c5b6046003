// JSON from strangers: nothing twice, nothing deep.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace gru_native {

// Throws FileError for what is no JSON, is nested deeper than 8 or has a key twice in one object.
nlohmann::json parse_json(std::string_view text);

// A name from a file, fit for an error's text: in quotes, escaped, not too long.
std::string quoted(std::string name);

}  // namespace gru_native
