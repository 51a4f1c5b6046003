#include "runtime/names.h"

#include <stdexcept>

namespace gru_native {

std::string shown(std::string text) {
  constexpr std::size_t most = 100;
  if (text.size() > most) {
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within a UTF-8 character
    text = text.substr(0, end) + "...";
  }
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

int place_of(const char* option, const std::string& text, const std::vector<const char*>& names) {
  std::string expected;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (text == names[i]) return static_cast<int>(i);
    expected += (i == 0 ? "\"" : i + 1 < names.size() ? ", \"" : " or \"") + std::string(names[i]) + "\"";
  }
  throw std::invalid_argument(std::string(option) + " is \"" + shown(text) + "\"; expected " + expected);
}

}  // namespace gru_native
