#include "spec/check_grconv.h"

#include <stdexcept>
#include <string>

#include "spec/checks.h"

namespace gru_native {

void GrConvSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("hidden_size", hidden_size, 1);
  check_enum("activation", activation, Activation::relu, "an Activation");
  const double hidden = static_cast<double>(hidden_size);
  check_fits("the weights", hidden * (2 * hidden + double(input_size)),
             {{"input_size", input_size}, {"hidden_size", hidden_size}});
}

template <class T>
void check_call(const GrConvSpec& spec, const GrConvForwardCall<T>& call) {
  if (call.seq_len < 1 || call.batch < 1)
    throw std::invalid_argument("x has " + std::to_string(call.seq_len) + " steps of " + std::to_string(call.batch) +
                                " sequences; expected at least one step and one sequence");
  const double rows = double(call.seq_len) * double(call.seq_len) * double(call.batch);  // of all levels
  check_fits("the levels", rows * double(3 * spec.hidden_size + 1024),
             {{"seq_len", call.seq_len}, {"batch", call.batch}});
  check_rows("x", call.x, call.seq_len, call.batch, spec.input_size);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
  check_there("y", call.y);
  if (call.gates.empty()) return;
  if (call.gates.size() + 1 != static_cast<std::size_t>(call.seq_len))
    refuse("gates.size()", std::to_string(call.gates.size()), "0 or " + std::to_string(call.seq_len - 1));
  for (std::size_t i = 0; i < call.gates.size(); ++i) check_there("gates[" + std::to_string(i) + "]", call.gates[i]);
}

template void check_call(const GrConvSpec&, const GrConvForwardCall<float>&);
template void check_call(const GrConvSpec&, const GrConvForwardCall<double>&);

}  // namespace gru_native
