#include "spec/names.h"

#include <cstdio>
#include <cstdlib>
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

std::string shown(double number) {
  char text[32];
  for (const char* format : {"%f", "%.15g", "%.17g"}) {
    const int length = std::snprintf(text, sizeof text, format, number);
    if (length < static_cast<int>(sizeof text) && std::strtod(text, nullptr) == number) break;
  }
  return text;
}

int place_of(const char* option, const std::string& text, const char* const* names, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (text == names[i]) return static_cast<int>(i);
  std::string expected;
  for (std::size_t i = 0; i < count; ++i)
    expected += (i == 0 ? "\"" : i + 1 < count ? ", \"" : " or \"") + std::string(names[i]) + "\"";
  throw std::invalid_argument(std::string(option) + " is \"" + shown(text) + "\"; expected " + expected);
}

int numbers_of(Activation f) {
  switch (f) {
    case Activation::leaky_relu:
    case Activation::thresholded_relu:
    case Activation::elu: return 1;
    case Activation::affine:
    case Activation::scaled_tanh:
    case Activation::hard_sigmoid: return 2;
    default: return 0;
  }
}

ActivationFunction function_named(const char* option, const std::string& name, const std::vector<double>& numbers) {
  ActivationFunction f = named<Activation>(option, name, function_names);
  const int most = numbers_of(f.kind);
  if (numbers.size() > static_cast<std::size_t>(most))
    throw std::invalid_argument(std::string(option) + " is \"" + name + "\" with " + std::to_string(numbers.size()) +
                                " numbers; expected at most " + std::to_string(most));
  if (!numbers.empty()) f.alpha = numbers[0];
  if (numbers.size() > 1) f.beta = numbers[1];
  return f;
}

std::vector<double> unusual_numbers(const ActivationFunction& f) {
  std::vector<double> numbers;
  if (f == ActivationFunction(f.kind)) return numbers;
  const int n = numbers_of(f.kind);
  if (n > 0) numbers.push_back(f.alpha);
  if (n > 1) numbers.push_back(f.beta);
  return numbers;
}

}  // namespace gru_native
