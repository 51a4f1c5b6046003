#include <functional>
#include <optional>
#include <vector>

#include "bindings/hypotheses.h"
#include "bindings/model_blocks.h"
#include "bindings/model_states.h"
#include "bindings/module.h"
#include "bindings/one_call.h"
#include "bindings/without_gil.h"
#include "decoding/stream_parts.h"
#include "gru_native/transducer_decoding.h"
#include "spec/names.h"

namespace gru_native::bindings {
namespace {

constexpr const char* join_names[] = {"concat", "add"};  // in the order of TransducerJoin

template <class T>
std::shared_ptr<const BasicModel<T>> model_of(const py::object& blocks, ModelBlocks<T>& remembered) {
  if (blocks.is_none()) return nullptr;
  return chain_argument<T>(blocks.cast<py::list>(), [&](const auto& layer) { remembered.add(layer, false); });
}

// What a callable makes of rows of numbers. It is called where the GIL is held.
template <class T>
auto called(const py::object& f, std::int64_t classes, std::int64_t encoded_size, std::int64_t predicted_size) {
  return [=](const T* encoded, const T* predicted, std::int64_t rows, T* logits) {
    Array<T> e = empty_array<T>({rows, encoded_size}), g = empty_array<T>({rows, predicted_size});
    std::copy_n(encoded, e.size(), e.mutable_data());
    std::copy_n(predicted, g.size(), g.mutable_data());
    const py::object result = f(e, g);
    const Array<T> a = as_array<T>("what output returned", result);
    check_shape("what output returned", a, {{"rows", rows}, {"classes", classes}});
    std::copy_n(a.data(), a.size(), logits);
  };
}

template <class T>
struct PyTransducer {
  PyTransducer(const py::object& prediction, const py::object& embedding, std::int64_t encoded_size,
               const std::string& join, const std::string& activation, const py::object& output,
               const py::object& joint, std::int64_t blank) {
    networks.prediction = model_of<T>(prediction, of_prediction);
    networks.output = model_of<T>(output, of_output);
    const Array<T> e = as_array<T>("embedding", embedding);
    check_shape("embedding", e, {{"classes", -1}, {"input_size of prediction", networks.prediction->input_size()}});
    networks.embedding.assign(e.data(), e.data() + e.size());
    networks.classes = e.shape(0);
    networks.encoded_size = encoded_size;
    networks.join = named<TransducerJoin>("join", join, join_names);
    networks.activation = named<Activation>("activation", activation, activation_names);
    networks.blank = blank;
    if (!joint.is_none())
      networks.joint = called<T>(joint, networks.classes, encoded_size, networks.prediction->output_size());
    TransducerStream<T>{networks};  // all that can be wrong with it
  }
  TransducerNetworks<T> networks;
  ModelBlocks<T> of_prediction, of_output;
};

// f(), which may call into Python.
template <class T, class F>
void run(const TransducerNetworks<T>& networks, const F& f) {
  if (networks.joint) f();
  else without_gil(f);
}

template <class T>
py::tuple beam(const PyTransducer<T>& joint, const py::object& encoded, const py::object& lengths,
               std::int64_t beam_size, std::int64_t max_symbols) {
  const Array<T> e = as_array<T>("encoded", encoded);
  const bool batched = e.ndim() != 2;
  const std::int64_t size = joint.networks.encoded_size;
  if (batched) check_shape("encoded", e, {{"seq_len", -1}, {"batch", -1}, {"encoded_size", size}});
  else check_shape("encoded", e, {{"seq_len", -1}, {"encoded_size", size}});
  if (e.size() == 0) throw py::value_error("encoded has shape " + shape_text(e) + "; expected at least one step");
  TransducerDecodingCall<T> call;
  call.seq_len = e.shape(0);
  call.batch = batched ? e.shape(1) : 1;
  call.encoded = time_major(e.data(), call.batch, size);
  const std::vector<std::int64_t> steps = lengths_of("lengths", lengths, batched, call.batch, call.seq_len);
  call.lengths = steps.data();
  call.beam_size = beam_size;
  call.max_symbols = max_symbols;
  std::vector<Hypotheses> sequences;
  run(joint.networks, [&] { sequences = transducer_beam(joint.networks, call); });
  return by_sequence(sequences, batched);
}

template <class T>
class PyTransducerStream {
 public:
  // state: scores, states and outputs of the prediction network, as parts() has them; None: the beginning.
  PyTransducerStream(const PyTransducer<T>& joint, std::int64_t batch_size, std::int64_t max_symbols,
                     const py::object& state)
      : joint_(joint), stream_(with_state(TransducerStream<T>(joint_.networks, batch_size, max_symbols), state)) {}
  // A copy with a state of its own.
  PyTransducerStream(PyTransducerStream& other)
      : PyTransducerStream(other, OneCall::Scope(other.one_call_, "stream")) {}

  // One step or a chunk, as Stream's x.
  py::object process(const py::object& encoded) {
    const Array<T> e = as_array<T>("encoded", encoded);
    const std::int64_t batch = stream_.batch(), size = joint_.networks.encoded_size;
    const bool batched = batch > 1 || e.ndim() == 3, chunk = e.ndim() == (batched ? 3 : 2);
    Dims dims;
    if (chunk) dims.push_back({"seq_len", -1});
    if (batched) dims.push_back({"batch", batch});
    dims.push_back({"encoded_size", size});
    check_shape("encoded", e, dims);
    const std::int64_t steps = chunk ? e.shape(0) : 1;
    if (steps < 1) throw py::value_error("encoded has shape " + shape_text(e) + "; expected at least one step");
    std::vector<std::vector<std::int64_t>> said;
    const OneCall::Scope only(one_call_, "stream");
    run(joint_.networks, [&] { said = stream_.process(time_major(e.data(), batch, size), steps); });
    if (!batched) return ids_array(said.front());
    py::list all;
    for (const std::vector<std::int64_t>& ids : said) all.append(ids_array(ids));
    return all;
  }
  Array<double> scores() {
    const OneCall::Scope only(one_call_, "stream");
    Array<double> all = empty_array<double>({stream_.batch()});
    for (std::int64_t b = 0; b < stream_.batch(); ++b) all.mutable_data()[b] = stream_.score(b);
    return all;
  }
  // The blocks of the prediction network and of the output, as Stream's, and the state.
  py::tuple parts() {
    const OneCall::Scope only(one_call_, "stream");
    const TransducerStreamParts<T> parts = parts_of(stream_);
    return py::make_tuple(joint_.of_prediction.list(parts.prediction), joint_.of_output.list(parts.output),
                          py::make_tuple(rows_of(parts.scores, {stream_.batch()}),
                                         rows_of(parts.states, {stream_.batch(), state_size_of(stream_)}),
                                         rows_of(parts.predicted, {stream_.batch(), outputs()})));
  }
  void reset() {
    const OneCall::Scope only(one_call_, "stream");
    stream_.reset();
  }

 private:
  PyTransducerStream(const PyTransducerStream& other, const OneCall::Scope&)
      : joint_(other.joint_), stream_(other.stream_) {}
  std::int64_t outputs() const { return joint_.networks.prediction->output_size(); }
  template <class Number>
  static Array<Number> rows_of(const std::vector<Number>& numbers, const Shape& shape) {
    Array<Number> array = empty_array<Number>(shape);
    std::copy(numbers.begin(), numbers.end(), array.mutable_data());
    return array;
  }
  TransducerStream<T> with_state(TransducerStream<T> stream, const py::object& state) const {
    if (state.is_none()) return stream;
    const py::tuple given(state);
    if (given.size() != 3) throw py::value_error("state has " + std::to_string(given.size()) + " items; expected 3");
    const auto scores = as_array<double>("scores", given[0]);
    const auto states = as_array<T>("states", given[1]), predicted = as_array<T>("predicted", given[2]);
    const Dim batch{"batch", stream.batch()};
    check_shape("scores", scores, {batch});
    check_shape("states", states, {batch, {"size", state_size_of(stream)}});
    check_shape("predicted", predicted, {batch, {"output_size", outputs()}});
    return from_parts(std::move(stream), scores.data(), states.data(), predicted.data());
  }

  const PyTransducer<T> joint_;
  TransducerStream<T> stream_;
  OneCall one_call_;
};

template <class T>
void register_transducer(py::module_& m) {
  py::class_<PyTransducer<T>>(m, (std::string("Transducer") + suffix<T>).c_str())
      .def(py::init<const py::object&, const py::object&, std::int64_t, const std::string&, const std::string&,
                    const py::object&, const py::object&, std::int64_t>(),
           py::arg("prediction"), py::arg("embedding"), py::arg("encoded_size"), py::arg("join"), py::arg("activation"),
           py::arg("output"), py::arg("joint"), py::arg("blank"))
      .def("beam", &beam<T>, py::arg("encoded"), py::arg("lengths"), py::arg("beam_size"), py::arg("max_symbols"));
  using S = PyTransducerStream<T>;
  py::class_<S>(m, (std::string("TransducerStream") + suffix<T>).c_str())
      .def(py::init<const PyTransducer<T>&, std::int64_t, std::int64_t, const py::object&>(), py::arg("joint"),
           py::arg("batch_size"), py::arg("max_symbols"), py::arg("state"))
      .def("copy", [](S& s) { return std::make_unique<S>(s); })
      .def("parts", &S::parts)
      .def("process", &S::process, py::arg("encoded"))
      .def("scores", &S::scores)
      .def("reset", &S::reset);
}

}  // namespace

void register_transducers(py::module_& m) {
  register_transducer<float>(m);
  register_transducer<double>(m);
}

}  // namespace gru_native::bindings
