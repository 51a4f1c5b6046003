#include "spec/check_losses.h"

#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {
namespace {

constexpr double most_nodes = most_elements / 1024;  // of lattices: several numbers each, and padding

// Labels y of sequence b.
void check_labels(const std::int64_t* y, std::int64_t labels, std::int64_t b, std::int64_t classes,
                  std::int64_t blank) {
  for (std::int64_t u = 0; u < labels; ++u)
    if (y[u] < 0 || y[u] >= classes || y[u] == blank)
      refuse("targets: label " + std::to_string(u) + " of sequence " + std::to_string(b), std::to_string(y[u]),
             between(0, classes - 1) + " without blank=" + std::to_string(blank));
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
  check_fits("the arrays", double(call.rows) * double(call.classes), {{"rows", call.rows}, {"classes", call.classes}});
  check_there("logits", call.logits);
  check_there("targets", call.targets);
  if (!(call.label_smoothing >= 0 && call.label_smoothing <= 1))
    refuse("label_smoothing", shown(call.label_smoothing), "a number from 0 to 1");
  for (std::int64_t row = 0; row < call.rows; ++row) {
    const std::int64_t target = call.targets[row];
    if ((target < 0 || target >= call.classes) && target != call.ignore)
      refuse("targets: row " + std::to_string(row), std::to_string(target),
             between(0, call.classes - 1) +
                 (call.ignore ? ", or ignore=" + std::to_string(*call.ignore) : ": there are as many classes"));
  }
}

template <class T>
void check_call(const CtcCall<T>& call) {
  check_size("classes", call.classes, 1);
  check_calls_size(call.seq_len, call.batch, call.classes);
  check_rows("logits", call.logits, call.seq_len, call.batch, call.classes);
  if (call.dlogits.data) check_rows("dlogits", call.dlogits, call.seq_len, call.batch, call.classes);
  check_there("losses", call.losses);
  check_there("targets", call.targets);
  check_there("target_lengths", call.target_lengths);
  check_lengths("input_lengths", call.input_lengths, call.batch, "seq_len", call.seq_len);
  check_size("target_stride", call.target_stride, 0);
  check_class("blank", call.blank, call.classes);
  const std::int64_t* y = call.targets;
  for (std::int64_t b = 0; b < call.batch; ++b) {
    const std::int64_t labels = call.target_lengths[b];
    const std::string which = "target_lengths[" + std::to_string(b) + "]";
    if (labels < 0 || (call.target_stride && labels > call.target_stride))
      refuse(which, std::to_string(labels),
             call.target_stride ? between(0, call.target_stride) + ", the width of targets" : "at least 0");
    if (static_cast<double>(call.seq_len) * static_cast<double>(labels) > most_nodes)
      refuse(which, std::to_string(labels), "fewer labels: memory cannot hold their paths");
    check_labels(y, labels, b, call.classes, call.blank);
    y += call.target_stride ? call.target_stride : labels;
  }
}

template <class T>
void check_call(const TransducerCall<T>& call) {
  check_size("labels", call.labels, 0);
  check_size("classes", call.classes, 1);
  check_calls_size(call.seq_len, call.batch, call.classes);
  if (static_cast<double>(call.seq_len) * static_cast<double>(call.batch) * (static_cast<double>(call.labels) + 1) *
          static_cast<double>(call.classes) >
      most_nodes)
    throw std::invalid_argument("seq_len=" + std::to_string(call.seq_len) + ", batch=" + std::to_string(call.batch) +
                                ", labels=" + std::to_string(call.labels) +
                                ": the arrays would be larger than memory can be; expected smaller sizes");
  check_there("logits", call.logits);
  check_there("losses", call.losses);
  if (call.labels > 0) check_there("targets", call.targets);
  check_lengths("input_lengths", call.input_lengths, call.batch, "seq_len", call.seq_len);
  check_lengths("target_lengths", call.target_lengths, call.batch, "labels", call.labels);
  check_class("blank", call.blank, call.classes);
  for (std::int64_t b = 0; b < call.batch; ++b)
    check_labels(call.targets + b * call.labels, call.target_lengths ? call.target_lengths[b] : call.labels, b,
                 call.classes, call.blank);
}

template void check_call(const CrossEntropyCall<float>&);
template void check_call(const CrossEntropyCall<double>&);
template void check_call(const CtcCall<float>&);
template void check_call(const CtcCall<double>&);
template void check_call(const TransducerCall<float>&);
template void check_call(const TransducerCall<double>&);

}  // namespace gru_native
