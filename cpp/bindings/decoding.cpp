#include "gru_native/decoding.h"

#include "bindings/hypotheses.h"
#include "bindings/module.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

// f(call) makes the hypotheses of each sequence.
template <class T, class F>
py::tuple decoded(const py::object& logits, const py::object& lengths, std::int64_t blank, const F& f) {
  const Array<T> a = as_array<T>("logits", logits);
  const bool batched = a.ndim() != 2;
  if (batched) check_shape("logits", a, {{"seq_len", -1}, {"batch", -1}, {"classes", -1}});
  if (a.size() == 0) throw py::value_error("logits has shape " + shape_text(a) + "; expected at least one step");
  CtcDecodingCall<T> call;
  call.seq_len = a.shape(0);
  call.batch = batched ? a.shape(1) : 1;
  call.classes = a.shape(a.ndim() - 1);
  call.logits = time_major(a.data(), call.batch, call.classes);
  const std::vector<std::int64_t> steps = lengths_of("lengths", lengths, batched, call.batch, call.seq_len);
  call.lengths = steps.data();
  call.blank = blank;
  std::vector<Hypotheses> sequences;
  without_gil([&] { sequences = f(call); });
  return by_sequence(sequences, batched);
}

template <class T>
std::vector<Hypotheses> greedy(const CtcDecodingCall<T>& call) {
  std::vector<Hypotheses> sequences;
  for (Hypothesis& h : ctc_greedy(call)) sequences.push_back({std::move(h)});
  return sequences;
}

}  // namespace

void register_decoding(py::module_& m) {
  m.def(
      "ctc_greedy",
      [](const py::object& logits, const py::object& lengths, std::int64_t blank) {
        return with_dtype_of(logits, [&](auto type) {
          return decoded<decltype(type)>(logits, lengths, blank, [](const auto& call) { return greedy(call); });
        });
      },
      py::arg("logits"), py::arg("lengths"), py::arg("blank"));
  m.def(
      "ctc_beam",
      [](const py::object& logits, const py::object& lengths, std::int64_t beam_size, std::int64_t blank) {
        return with_dtype_of(logits, [&](auto type) {
          return decoded<decltype(type)>(logits, lengths, blank,
                                         [=](const auto& call) { return ctc_beam(call, beam_size); });
        });
      },
      py::arg("logits"), py::arg("lengths"), py::arg("beam_size"), py::arg("blank"));
}

}  // namespace gru_native::bindings
