#include "gru_native/large_softmax.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/files.h"
#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "files/large_softmax_file.h"
#include "spec/options.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyLargeSoftmax {
  std::shared_ptr<LargeSoftmax<T>> layer;
};
struct LargeSoftmaxCheck {};
template <class T>
struct PyLargeSoftmaxTape {
  std::shared_ptr<const LargeSoftmaxTape<T>> tape;
  Shape shape;  // of x
};

template <class T>
PyLargeSoftmax<T> make(const LargeSoftmaxSpec& spec) {
  PyLargeSoftmax<T> made;
  without_gil([&] { made.layer = std::make_shared<LargeSoftmax<T>>(spec); });
  return made;
}

// x (.., input_size), at least one row.
template <class T>
Array<T> rows_argument(const LargeSoftmaxSpec& spec, const py::object& value) {
  const Array<T> x = as_array<T>("x", value);
  std::vector<Dim> dims(static_cast<std::size_t>(std::max<py::ssize_t>(x.ndim(), 1)), Dim{"rows", -1});
  dims.back() = {"input_size", spec.input_size};
  check_shape("x", x, dims);
  if (x.size() == 0) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one row");
  return x;
}
// The shape of x with other columns; none if they are -1.
Shape shape_of_rows(const py::array& x, std::int64_t columns) {
  Shape shape(x.shape(), x.shape() + x.ndim() - 1);
  if (columns >= 0) shape.push_back(columns);
  return shape;
}

template <class T>
struct Call {
  Array<T> x;
  Array<std::int64_t> targets;
  LargeSoftmaxCall<T> arguments;

  Call(const PyLargeSoftmax<T>& l, const py::object& x_, const py::object& targets_, std::optional<std::int64_t> ignore,
       std::uint64_t seed)
      : x(rows_argument<T>(l.layer->spec(), x_)), targets(integers_argument("targets", targets_)) {
    std::vector<Dim> dims;
    for (const std::int64_t size : shape_of_rows(x, -1)) dims.push_back({"rows", size});
    check_shape("targets", targets, dims);
    arguments.rows = targets.size();
    arguments.x = x.data();
    arguments.targets = targets.data();
    arguments.ignore = ignore;
    arguments.seed = seed;
  }
};

template <class T>
double loss(const PyLargeSoftmax<T>& l, const py::object& x, const py::object& targets,
            std::optional<std::int64_t> ignore) {
  const Call<T> c(l, x, targets, ignore, 0);
  double result = 0;
  without_gil([&] { result = l.layer->forward(c.arguments); });
  return result;
}

template <class T>
py::tuple forward(const PyLargeSoftmax<T>& l, const py::object& x, const py::object& targets,
                  std::optional<std::int64_t> ignore, std::uint64_t seed) {
  const Call<T> c(l, x, targets, ignore, seed);
  PyLargeSoftmaxTape<T> tape{nullptr, shape_of_rows(c.x, l.layer->spec().input_size)};
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(tape.tape->loss(), tape);
}

// dx, the rows that have a gradient, and the gradients: of these rows, or of all of a class weight.
template <class T>
py::tuple backward(const PyLargeSoftmax<T>& l, const PyLargeSoftmaxTape<T>& tape, double dloss) {
  l.layer->check(*tape.tape);
  const std::vector<std::int64_t>& touched = tape.tape->rows();
  Array<std::int64_t> rows = empty_array<std::int64_t>({static_cast<std::int64_t>(touched.size())});
  std::copy(touched.begin(), touched.end(), rows.mutable_data());
  Array<T> dx = empty_array<T>(tape.shape);
  LargeSoftmaxBackwardCall<T> call;
  call.dloss = dloss;
  call.dx = dx.mutable_data();
  py::dict gradients;
  for (const Weight<const T>& w : l.layer->weights()) {
    Shape shape = w.shape;
    const bool some = w.name == "weight" || w.name == "bias";
    if (some) shape[0] = rows.size();
    Array<T> dw = empty_array<T>(shape);
    call.dweights.push_back(dw.mutable_data());
    if (some) gradients[py::str(w.name)] = py::make_tuple(rows, dw);
    else gradients[py::str(w.name)] = dw;
  }
  without_gil([&] { l.layer->backward(*tape.tape, call); });
  return py::make_tuple(dx, gradients);
}

template <class T>
Array<T> log_probability(const PyLargeSoftmax<T>& l, const py::object& x_, const py::object& ids_) {
  const LargeSoftmaxSpec& spec = l.layer->spec();
  const Array<T> x = rows_argument<T>(spec, x_);
  LogProbabilityCall<T> call;
  call.rows = x.size() / spec.input_size;
  call.x = x.data();
  std::optional<Array<std::int64_t>> ids;
  std::int64_t columns = spec.vocab_size;
  if (!ids_.is_none()) {
    ids = integers_argument("ids", ids_);
    std::vector<Dim> dims;
    for (const std::int64_t size : shape_of_rows(x, -1)) dims.push_back({"rows", size});
    if (ids->ndim() == x.ndim() - 1) {  // one of each row
      columns = -1;
    } else {
      dims.push_back({"ids", -1});
      columns = ids->ndim() > 0 ? ids->shape(ids->ndim() - 1) : 0;
    }
    check_shape("ids", *ids, dims);
    call.ids = ids->data();
    call.num_ids = columns < 0 ? 1 : columns;
  }
  Array<T> log_p = empty_array<T>(shape_of_rows(x, columns));
  call.log_p = log_p.mutable_data();
  without_gil([&] { l.layer->log_probability(call); });
  return log_p;
}

template <class T>
py::tuple top_k(const PyLargeSoftmax<T>& l, const py::object& x_, std::int64_t k) {
  const LargeSoftmaxSpec& spec = l.layer->spec();
  if (k < 1 || k > spec.vocab_size)
    throw py::value_error("k is " + std::to_string(k) +
                          "; expected 1 to vocab_size=" + std::to_string(spec.vocab_size));
  const Array<T> x = rows_argument<T>(spec, x_);
  Array<std::int64_t> ids = empty_array<std::int64_t>(shape_of_rows(x, k));
  Array<T> log_p = empty_array<T>(shape_of_rows(x, k));
  TopWordsCall<T> call;
  call.rows = x.size() / spec.input_size;
  call.x = x.data();
  call.k = k;
  call.ids = ids.mutable_data();
  call.log_p = log_p.mutable_data();
  without_gil([&] { l.layer->top_words(call); });
  return py::make_tuple(ids, log_p);
}

// The options of its class in Python, with lists as arrays.
py::dict options_of(LargeSoftmaxSpec spec) {
  py::dict options;
  each_option(spec, [&](const char* name, auto& value) { options[name] = py::cast(value); });
  each_list(spec, [&](const char* name, auto& list) {
    using Number = typename std::decay_t<decltype(list)>::value_type;
    const bool of_proposal = options.contains("proposal");
    if (of_proposal && list.empty()) return;
    Array<Number> array = empty_array<Number>({static_cast<std::int64_t>(list.size())});
    std::copy(list.begin(), list.end(), array.mutable_data());
    options[of_proposal ? "proposal" : name] = list.empty() ? py::object(py::none()) : array;
  });
  return options;
}

template <class T>
py::tuple read(const Bytes& bytes, const LargeSoftmaxFile& file) {
  PyLargeSoftmax<T> made;
  without_gil([&] { made.layer = std::make_shared<LargeSoftmax<T>>(read_large_softmax<T>(bytes, file)); });
  return py::make_tuple(options_of(file.spec), made);
}
py::object read_file(const py::object& path_argument) {
  const Path path(path_argument);
  return path.during([&]() -> py::object {
    const OpenFile bytes(path.name());
    std::optional<LargeSoftmaxFile> file;
    without_gil([&] { file = read_large_softmax_file(bytes, nullptr); });
    if (!file) return py::none();
    if (file->file.dtype == dtype_name<float>) return read<float>(bytes, *file);
    return read<double>(bytes, *file);
  });
}

// tensors: copies of its weights.
template <class T>
void save(const PyLargeSoftmax<T>& l, const py::object& path_argument, const py::dict& tensors) {
  const Path path(path_argument);
  std::vector<Array<T>> kept;
  std::vector<GivenTensor> given;
  for (const Weight<const T>& w : l.layer->weights()) {
    kept.push_back(as_array<T>(w.name.c_str(), tensors[py::str(w.name)]));
    given.push_back(
        {w.name, dtype_name<T>, w.shape, kept.back().data(), static_cast<std::size_t>(w.size()) * sizeof(T)});
  }
  path.during([&] { without_gil([&] { write_large_softmax_file(path.name(), l.layer->spec(), std::move(given)); }); });
}

using Counts = std::variant<std::string, std::vector<double>>;  // the name of a proposal, or its counts

template <class Sampling>
Sampling sampling(std::int64_t num_samples, const Counts& proposal) {
  Sampling s;
  s.num_samples = num_samples;
  if (const auto* counts = std::get_if<std::vector<double>>(&proposal)) {
    s.proposal = Proposal::counts;
    s.counts = *counts;
    return s;
  }
  const std::string& name = std::get<std::string>(proposal);
  if (name != "uniform" && name != "log_uniform")
    throw py::value_error("proposal is " + std::string(py::repr(py::str(name))) +
                          "; expected 'uniform', 'log_uniform' or counts (vocab_size,)");
  s.proposal = name == "uniform" ? Proposal::uniform : Proposal::log_uniform;
  return s;
}

// A static function for each kind; what(spec) is what it returns.
template <class Class, class What>
void def_kinds(Class& c, What what) {
  using Int = std::int64_t;
  const auto of = [what](Int input_size, Int vocab_size, bool bias, auto kind) {
    LargeSoftmaxSpec spec;
    spec.input_size = input_size;
    spec.vocab_size = vocab_size;
    spec.bias = bias;
    spec.kind = std::move(kind);
    return what(spec);
  };
  c.def_static(
       "sampled",
       [of](Int input, Int words, bool bias, Int samples, const Counts& proposal) {
         return of(input, words, bias, sampling<SampledSoftmax>(samples, proposal));
       },
       py::arg("input_size"), py::arg("vocab_size"), py::arg("bias"), py::arg("num_samples"), py::arg("proposal"))
      .def_static(
          "contrastive",
          [of](Int input, Int words, bool bias, Int samples, const Counts& proposal) {
            return of(input, words, bias, sampling<NoiseContrastive>(samples, proposal));
          },
          py::arg("input_size"), py::arg("vocab_size"), py::arg("bias"), py::arg("num_samples"), py::arg("proposal"))
      .def_static(
          "classes",
          [of](Int input, Int words, bool bias, std::vector<Int> classes) {
            return of(input, words, bias, ClassSoftmax{std::move(classes)});
          },
          py::arg("input_size"), py::arg("vocab_size"), py::arg("bias"), py::arg("classes"))
      .def_static(
          "tree",
          [of](Int input, Int words, bool bias, std::vector<double> counts) {
            return of(input, words, bias, TreeSoftmax{std::move(counts)});
          },
          py::arg("input_size"), py::arg("vocab_size"), py::arg("bias"), py::arg("counts"));
}

template <class T>
void register_large_softmax(py::module_& m) {
  using L = PyLargeSoftmax<T>;
  py::class_<PyLargeSoftmaxTape<T>>(m, (std::string("LargeSoftmaxTape") + suffix<T>).c_str(), tape_doc);
  py::class_<L> c(m, (std::string("LargeSoftmax") + suffix<T>).c_str(),
                  "A softmax over a large vocabulary; the classes of gru_native.losses are its faces.");
  def_kinds(c, [](const LargeSoftmaxSpec& spec) { return make<T>(spec); });
  c.def("__call__", &loss<T>, py::arg("x"), py::arg("targets"), py::arg("ignore"))
      .def("forward", &forward<T>, py::arg("x"), py::arg("targets"), py::arg("ignore"), py::arg("seed"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dloss"))
      .def("log_probability", &log_probability<T>, py::arg("x"), py::arg("ids"))
      .def("top_k", &top_k<T>, py::arg("x"), py::arg("k"))
      .def("save", &save<T>, py::arg("path"), py::arg("tensors"), "Writes a file, whole or not at all.");
  def_weights(c);
}

}  // namespace

void register_large_softmaxes(py::module_& m) {
  register_large_softmax<float>(m);
  register_large_softmax<double>(m);
  py::class_<LargeSoftmaxCheck> check(m, "LargeSoftmaxCheck",
                                      "Raises what LargeSoftmax32 would, and makes no weights.");
  def_kinds(check, [](const LargeSoftmaxSpec& spec) { spec.validate(); });
  m.def("read_large_softmax", &read_file, py::arg("path"),
        "Of the file of a softmax over a large vocabulary its options, the name of its class as \"type\", and the core "
        "of the layer; None for a file that does not say that it is one. Raises OSError and ValueError.");
}

}  // namespace gru_native::bindings
