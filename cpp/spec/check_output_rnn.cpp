#include "spec/check_output_rnn.h"

#include "spec/checks.h"

namespace gru_native {

void OutputRnnSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("hidden_size", hidden_size, 1);
  check_size("output_size", output_size, 1);
  check_enum("activation", activation, Activation::relu, "an Activation");
  check_enum("output_activation", output_activation, Activation::relu, "an Activation");
  check_enum("precision", precision, Precision::int8, "a Precision");
  const double columns = static_cast<double>(input_size) + 2 * static_cast<double>(output_size);
  check_fits("the weights", double(hidden_size) * columns,
             {{"input_size", input_size}, {"hidden_size", hidden_size}, {"output_size", output_size}});
}

template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnForwardCall<T>& call) {
  const std::int64_t outputs = spec.output_size;
  check_calls_size(call.seq_len, call.batch, spec.input_size + spec.hidden_size + 2 * outputs);
  check_rows("x", call.x, call.seq_len, call.batch, spec.input_size);
  if (call.targets.data) check_rows("targets", call.targets, call.seq_len, call.batch, outputs);
  check_rows("y", call.y, call.seq_len, call.batch, outputs);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
}

template <class T>
void check_call(const OutputRnnSpec& spec, const OutputRnnBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, std::size_t weights, bool forced) {
  if (call.dy.data) check_rows("dy", call.dy, seq_len, batch, spec.output_size);
  if (call.dx.data) check_rows("dx", call.dx, seq_len, batch, spec.input_size);
  if (call.dtargets.data && !forced) throw std::invalid_argument("dtargets.data is not null; there were no targets");
  if (call.dtargets.data) check_rows("dtargets", call.dtargets, seq_len, batch, spec.output_size);
  check_dweights(call.dweights.size(), weights);
}

template void check_call(const OutputRnnSpec&, const OutputRnnForwardCall<float>&);
template void check_call(const OutputRnnSpec&, const OutputRnnForwardCall<double>&);
template void check_call(const OutputRnnSpec&, const OutputRnnBackwardCall<float>&, std::int64_t, std::int64_t,
                         std::size_t, bool);
template void check_call(const OutputRnnSpec&, const OutputRnnBackwardCall<double>&, std::int64_t, std::int64_t,
                         std::size_t, bool);

}  // namespace gru_native
