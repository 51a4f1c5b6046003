#include "gru_native/losses.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
py::tuple cross_entropy_of(const py::object& logits, const py::object& targets, std::optional<std::int64_t> ignore,
                           double label_smoothing) {
  const Array<T> a = as_array<T>("logits", logits);
  if (a.ndim() == 0) throw py::value_error("logits has shape (); expected (..., classes)");
  const Array<std::int64_t> t = integers_argument("targets", targets);
  Dims dims;
  for (py::ssize_t i = 0; i + 1 < a.ndim(); ++i) dims.push_back({"rows", a.shape(i)});
  check_shape("targets", t, dims);
  if (a.size() == 0) throw py::value_error("logits has shape " + shape_text(a) + "; expected at least one row");
  Array<T> da = empty_array<T>(Shape(a.shape(), a.shape() + a.ndim()));
  const CrossEntropyCall<T> call{t.size(), a.shape(a.ndim() - 1), a.data(),         t.data(),
                                 ignore,   label_smoothing,       da.mutable_data()};
  double loss = 0;
  without_gil([&] { loss = cross_entropy(call); });
  return py::make_tuple(loss, da);
}

// What ctc and transducer return: losses (batch,), a single number where there is no batch, and dlogits.
template <class T>
py::tuple losses_and_gradient(Array<T> losses, const Array<T>& dlogits, bool batched) {
  return py::make_tuple(batched ? losses : Array<T>(losses.reshape(std::vector<py::ssize_t>{})), dlogits);
}

template <class T>
py::tuple ctc_of(const py::object& logits, const py::object& targets, const py::object& input_lengths,
                 const py::object& target_lengths, std::int64_t blank) {
  const Array<T> a = as_array<T>("logits", logits);
  const bool batched = a.ndim() != 2;
  if (batched) check_shape("logits", a, {{"seq_len", -1}, {"batch", -1}, {"classes", -1}});
  if (a.size() == 0) throw py::value_error("logits has shape " + shape_text(a) + "; expected at least one step");
  const std::int64_t seq_len = a.shape(0), batch = batched ? a.shape(1) : 1, classes = a.shape(a.ndim() - 1);
  const Array<std::int64_t> t = integers_argument("targets", targets);
  if (t.ndim() != 1) check_shape("targets", t, {{"batch", batch}, {"labels", -1}});
  const bool one_after_the_other = t.ndim() == 1 && batch > 1;
  const std::int64_t width = t.ndim() == 1 ? t.size() : t.shape(1);
  if (one_after_the_other && target_lengths.is_none())
    throw py::type_error("target_lengths is None; expected (batch,) whole numbers with targets of one dimension");
  const std::vector<std::int64_t> steps = lengths_of("input_lengths", input_lengths, batched, batch, seq_len);
  const std::vector<std::int64_t> labels = lengths_of("target_lengths", target_lengths, batched, batch, width);
  std::int64_t sum = 0;
  for (std::size_t b = 0; b < labels.size(); ++b) {
    if (labels[b] < 0 || labels[b] > width)
      throw py::value_error("target_lengths[" + std::to_string(b) + "] is " + std::to_string(labels[b]) +
                            "; expected 0 to " + std::to_string(width) + ": targets has shape " + shape_text(t));
    sum += labels[b];
  }
  if (one_after_the_other && sum != width)
    throw py::value_error("target_lengths has the sum " + std::to_string(sum) + "; expected " + std::to_string(width) +
                          ", as many as there are labels in targets");
  Array<T> losses = empty_array<T>({batch}), da = empty_array<T>(Shape(a.shape(), a.shape() + a.ndim()));
  CtcCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.classes = classes;
  call.logits = time_major(a.data(), batch, classes);
  call.targets = t.data();
  call.target_stride = one_after_the_other ? 0 : width;
  call.input_lengths = steps.data();
  call.target_lengths = labels.data();
  call.blank = blank;
  call.losses = losses.mutable_data();
  call.dlogits = time_major(da.mutable_data(), batch, classes);
  without_gil([&] { ctc(call); });
  return losses_and_gradient(losses, da, batched);
}

template <class T>
py::tuple transducer_of(const py::object& logits, const py::object& targets, const py::object& input_lengths,
                        const py::object& target_lengths, std::int64_t blank) {
  const Array<T> a = as_array<T>("logits", logits);
  const bool batched = a.ndim() != 3;
  if (batched) check_shape("logits", a, {{"batch", -1}, {"seq_len", -1}, {"labels + 1", -1}, {"classes", -1}});
  if (a.size() == 0)
    throw py::value_error("logits has shape " + shape_text(a) + "; expected at least one step and one class");
  const std::int64_t batch = batched ? a.shape(0) : 1, seq_len = a.shape(a.ndim() - 3);
  const std::int64_t most = a.shape(a.ndim() - 2) - 1;
  const Array<std::int64_t> t = integers_argument("targets", targets);
  const Dims dims = batched ? Dims{{"batch", batch}, {"labels", most}} : Dims{{"labels", most}};
  check_shape("targets", t, dims);
  const std::vector<std::int64_t> steps = lengths_of("input_lengths", input_lengths, batched, batch, seq_len);
  const std::vector<std::int64_t> labels = lengths_of("target_lengths", target_lengths, batched, batch, most);
  Array<T> losses = empty_array<T>({batch}), da = empty_array<T>(Shape(a.shape(), a.shape() + a.ndim()));
  TransducerCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.labels = most;
  call.classes = a.shape(a.ndim() - 1);
  call.logits = a.data();
  call.targets = t.data();
  call.input_lengths = steps.data();
  call.target_lengths = labels.data();
  call.blank = blank;
  call.losses = losses.mutable_data();
  call.dlogits = da.mutable_data();
  without_gil([&] { transducer(call); });
  return losses_and_gradient(losses, da, batched);
}

// m.NAME(logits, targets, input_lengths, target_lengths, blank)
#define GRU_NATIVE_SEQUENCE_LOSS(name)                                                             \
  m.def(                                                                                           \
      #name,                                                                                       \
      [](const py::object& logits, const py::object& targets, const py::object& input_lengths,     \
         const py::object& target_lengths, std::int64_t blank) {                                   \
        return with_dtype_of(logits, [&](auto type) {                                              \
          return name##_of<decltype(type)>(logits, targets, input_lengths, target_lengths, blank); \
        });                                                                                        \
      },                                                                                           \
      py::arg("logits"), py::arg("targets"), py::arg("input_lengths"), py::arg("target_lengths"), py::arg("blank"))

}  // namespace

void register_losses(py::module_& m) {
  m.def(
      "cross_entropy",
      [](const py::object& logits, const py::object& targets, std::optional<std::int64_t> ignore,
         double label_smoothing) {
        return with_dtype_of(logits, [&](auto type) {
          return cross_entropy_of<decltype(type)>(logits, targets, ignore, label_smoothing);
        });
      },
      py::arg("logits"), py::arg("targets"), py::arg("ignore"), py::arg("label_smoothing"));
  GRU_NATIVE_SEQUENCE_LOSS(ctc);
  GRU_NATIVE_SEQUENCE_LOSS(transducer);
}

}  // namespace gru_native::bindings
