#include "spec/check_decoding.h"

#include "spec/checks.h"

namespace gru_native {

template <class T>
void check_call(const CtcDecodingCall<T>& call) {
  check_size("classes", call.classes, 1);
  check_calls_size(call.seq_len, call.batch, call.classes);
  check_rows("logits", call.logits, call.seq_len, call.batch, call.classes);
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
  check_class("blank", call.blank, call.classes);
}

template void check_call(const CtcDecodingCall<float>&);
template void check_call(const CtcDecodingCall<double>&);

}  // namespace gru_native
