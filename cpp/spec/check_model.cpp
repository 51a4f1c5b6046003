#include "spec/check_model.h"

#include "spec/checks.h"

namespace gru_native {

void check_extent(std::int64_t seq_len, std::int64_t batch) { check_calls_size(seq_len, batch, 1); }

void check_states(std::int64_t batch, std::int64_t numbers) {
  check_size("batch", batch, 1);
  check_fits("the states", double(batch) * double(numbers), {{"batch", batch}});
}

template <class T>
void check_model(std::int64_t inputs, std::int64_t outputs, std::int64_t output_len, const ModelCall<T>& call) {
  check_calls_size(call.seq_len, call.batch, inputs + outputs);
  if (output_len < 1) refuse("seq_len", std::to_string(call.seq_len), "more: so few steps give no output");
  check_rows("x", call.x, call.seq_len, call.batch, inputs);
  check_rows("y", call.y, output_len, call.batch, outputs);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
}

template <class T>
void check_stream(std::int64_t inputs, std::int64_t outputs, const Sequences<const T>& x, const Sequences<T>& y,
                  std::int64_t seq_len, std::int64_t batch, std::int64_t output_len) {
  check_calls_size(seq_len, batch, inputs + outputs);
  check_rows("x", x, seq_len, batch, inputs);
  if (output_len > 0) check_rows("y", y, output_len, batch, outputs);
}

template void check_model(std::int64_t, std::int64_t, std::int64_t, const ModelCall<float>&);
template void check_model(std::int64_t, std::int64_t, std::int64_t, const ModelCall<double>&);
template void check_stream(std::int64_t, std::int64_t, const Sequences<const float>&, const Sequences<float>&,
                           std::int64_t, std::int64_t, std::int64_t);
template void check_stream(std::int64_t, std::int64_t, const Sequences<const double>&, const Sequences<double>&,
                           std::int64_t, std::int64_t, std::int64_t);

}  // namespace gru_native
