#include "spec/check_losses.h"

#include "spec/limits.h"
#include "spec/refuse.h"

namespace gru_native {
namespace {

void check_there(const char* name, const void* data) {
  if (!data) throw std::invalid_argument(std::string(name) + " is null; expected an array");
}

std::string between(std::int64_t first, std::int64_t last) {
  return std::to_string(first) + " to " + std::to_string(last);
}

}  // namespace

void refuse_logits(const std::string& where) {
  throw std::invalid_argument("logits: " + where +
                              " has no softmax; expected numbers, of which -inf may be some but not all, and no NaN");
}

template <class T>
void check_call(const CrossEntropyCall<T>& call) {
  check_size("rows", call.rows, 1);
  check_size("classes", call.classes, 1);
  if (static_cast<double>(call.rows) * static_cast<double>(call.classes) > most_elements)
    throw std::invalid_argument("rows=" + std::to_string(call.rows) + ", classes=" + std::to_string(call.classes) +
                                ": the arrays would be larger than memory can be; expected smaller sizes");
  check_there("logits", call.logits);
  check_there("targets", call.targets);
  if (!(call.label_smoothing >= 0 && call.label_smoothing <= 1))
    refuse("label_smoothing", std::to_string(call.label_smoothing), "a number from 0 to 1");
  for (std::int64_t row = 0; row < call.rows; ++row) {
    const std::int64_t target = call.targets[row];
    if ((target < 0 || target >= call.classes) && target != call.ignore)
      refuse("targets: row " + std::to_string(row), std::to_string(target),
             between(0, call.classes - 1) +
                 (call.ignore ? ", or ignore=" + std::to_string(*call.ignore) : ": there are as many classes"));
  }
}

template void check_call(const CrossEntropyCall<float>&);
template void check_call(const CrossEntropyCall<double>&);

}  // namespace gru_native
