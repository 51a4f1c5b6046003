#include "spec/check_dense.h"

#include "spec/checks.h"

namespace gru_native {

void DenseSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("output_size", output_size, 1);
  check_fits("the weights", double(input_size) * double(output_size),
             {{"input_size", input_size}, {"output_size", output_size}});
  check_enum("activation", activation, DenseActivation::log_softmax, "a DenseActivation");
}

template <class T>
void check_call(const DenseSpec& spec, const DenseForwardCall<T>& call) {
  check_calls_size(call.seq_len, call.batch, spec.input_size + spec.output_size);
  check_rows("x", call.x, call.seq_len, call.batch, spec.input_size);
  check_rows("y", call.y, call.seq_len, call.batch, spec.output_size);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
}

template <class T>
void check_call(const DenseSpec& spec, const DenseBackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights) {
  check_rows("dy", call.dy, seq_len, batch, spec.output_size);
  if (call.dx.data) check_rows("dx", call.dx, seq_len, batch, spec.input_size);
  check_dweights(call.dweights.size(), weights);
}

template void check_call(const DenseSpec&, const DenseForwardCall<float>&);
template void check_call(const DenseSpec&, const DenseForwardCall<double>&);
template void check_call(const DenseSpec&, const DenseBackwardCall<float>&, std::int64_t, std::int64_t, std::size_t);
template void check_call(const DenseSpec&, const DenseBackwardCall<double>&, std::int64_t, std::int64_t, std::size_t);

}  // namespace gru_native
