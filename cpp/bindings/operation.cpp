#include "gru_native/operation.h"

#include <vector>

#include "bindings/images.h"
#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "engine/model/fold.h"
#include "engine/model/join.h"
#include "engine/model/operation.h"
#include "engine/model/whole_numbers.h"
#include "runtime/interruption.h"
#include "spec/check_operation.h"

namespace gru_native::bindings {
namespace {

// The arrays that backward reads and makes lie as those of the forward call; `image`: as of images (bindings/images.h).
struct Form {
  Layout layout;
  Shape shape;  // as the array lies in memory
  bool image;
};

template <class T>
struct PyOperationTape {
  std::shared_ptr<const OperationTape<T>> tape;
  Form in, out;
};

// One call. Rows that are computed one by one may have any number of axes before them; those of ids are one number
// each, without an axis of its own.
template <class T>
struct Call {
  const OperationSpec& spec;
  const bool ids;
  Array<T> x;
  Form in{{1, 1, false, false}, {}, false}, out{in};
  std::optional<std::vector<std::int64_t>> lengths;
  Array<T> y;
  OperationForwardCall<T> arguments;

  Call(const PyOperation<T>& o, const py::object& x_, const py::object& lengths_, bool batch_first)
      : spec(o.layer->spec()), ids(std::holds_alternative<EmbeddingSpec>(spec.kind)) {
    std::optional<Array<std::int64_t>> given;
    if (ids) given = integers_argument("ids", x_);
    in.image = reads_images(spec) || (may_read_images(spec) && lies_as_image(x_, !lengths_.is_none()));
    if (in.image) read_image(x_);
    else read_rows(given ? numbers_of(*given) : as_array<T>("x", x_), !lengths_.is_none(), batch_first);
    if (x.size() == 0)
      throw py::value_error(std::string(name()) + " has shape " + text_of(in) + "; expected at least one row");
    lengths = lengths_argument(lengths_, in.layout);
    if (given) check_ids(*given, batch_first);
    out = in;
    out.image = spec.output_channels(arguments.channels) > 0;
    const std::int64_t least = least_len(spec);
    if (is_over_time(spec) && in.layout.seq_len < least)
      throw py::value_error(std::string(name()) + " has shape " + text_of(in) + "; expected at least " +
                            std::to_string(least) + (in.image ? " columns of dots" : " steps"));
    if (is_over_time(spec)) out.layout.seq_len = spec.output_len(in.layout.seq_len);
    const std::int64_t outputs = checked_output_size();
    if (in.image || out.image) make_shape(outputs, batch_first);
    else if (is_over_time(spec)) out.shape[in.layout.batched && batch_first ? 1 : 0] = out.layout.seq_len;
    if (!out.image) out.shape.back() = outputs;
    if (ends_time(spec)) out.shape = in.layout.batched ? Shape{in.layout.batch, outputs} : Shape{outputs};
    y = empty_array<T>(out.shape);
    arguments.seq_len = in.layout.seq_len;
    arguments.batch = in.layout.batch;
    arguments.x = in.layout.view(static_cast<const T*>(x.data()), arguments.input_size);
    arguments.lengths = lengths ? lengths->data() : nullptr;
    arguments.y = out.layout.view(y.mutable_data(), outputs);
  }

 private:
  void read_rows(Array<T> given, bool ragged, bool batch_first) {
    x = std::move(given);
    in.shape = Shape(x.shape(), x.shape() + x.ndim());
    if (ids) in.shape.push_back(1);
    const std::int64_t own = spec.input_size(), rank = static_cast<std::int64_t>(in.shape.size());
    const std::int64_t columns = own ? own : rank == 0 ? 0 : in.shape.back();
    const bool over_time = is_over_time(spec);
    Layout& layout = in.layout;
    if (over_time && rank == 2 && !ragged) {
      layout = {-1, 1, false, false};
      check_shape(name(), x, layout.dims("input_size", own ? own : -1));
      layout.seq_len = in.shape[0];
    } else if (ragged || rank == 3 || rank == 0 || over_time) {
      layout = {-1, -1, true, batch_first};
      Dims dims = layout.dims("input_size", own ? own : -1);
      if (ids) dims.pop_back();
      check_shape(name(), x, dims);
      layout.seq_len = in.shape[batch_first ? 1 : 0];
      layout.batch = in.shape[batch_first ? 0 : 1];
    } else {
      Dims dims(static_cast<std::size_t>(rank), Dim{"any", -1});
      dims.back() = {"input_size", own ? own : -1};
      if (ids) dims.pop_back();
      check_shape(name(), x, dims);
      layout.seq_len = columns > 0 ? x.size() / columns : 0;
    }
    arguments.input_size = columns;
  }

  void read_image(const py::object& given) {
    x = image_argument<T>("x", given, input_channels(spec));
    in.shape = Shape(x.shape(), x.shape() + x.ndim());
    const bool batched = in.shape.size() == 4;
    in.layout = {in.shape[0], batched ? in.shape[1] : 1, batched, false};
    arguments.channels = in.shape.back();
    arguments.input_size = in.shape[in.shape.size() - 2] * arguments.channels;
  }

  std::string text_of(const Form& form) const { return form.image ? image_shape_text(form.shape) : shape_text(x); }

  // Images that are lower than the windows have no y.
  std::int64_t checked_output_size() const {
    const std::int64_t outputs = spec.output_size(arguments.input_size, arguments.channels);
    if (outputs < 1)
      throw py::value_error(std::string(name()) + " has shape " + text_of(in) + "; expected a height of at least " +
                            std::to_string(least_height(spec)));
    return outputs;
  }

  void make_shape(std::int64_t outputs, bool batch_first) {
    Layout& layout = out.layout;
    layout.batch_first = batch_first && !out.image && layout.batched;
    out.shape = layout.shape(outputs);
    if (!out.image) return;
    const std::int64_t channels = spec.output_channels(arguments.channels);
    out.shape.back() = outputs / channels;
    out.shape.push_back(channels);
  }

  const char* name() const { return ids ? "ids" : "x"; }
  // An id that T does not have is none of the table's either.
  static Array<T> numbers_of(const Array<std::int64_t>& given) {
    Array<T> made = empty_array<T>(Shape(given.shape(), given.shape() + given.ndim()));
    std::copy_n(given.data(), given.size(), made.mutable_data());
    return made;
  }
  // Here, where a wrong one still has its place in the user's array, and all of its digits.
  void check_ids(const Array<std::int64_t>& given, bool batch_first) const {
    const std::int64_t most = std::get<EmbeddingSpec>(spec.kind).num_embeddings - 1;
    for (py::ssize_t i = 0; i < given.size(); ++i) {
      const std::int64_t id = given.data()[i];
      if (id >= 0 && id <= most) continue;
      Shape place(static_cast<std::size_t>(given.ndim()), 0);
      for (py::ssize_t axis = given.ndim(), left = i; axis-- > 0; left /= given.shape(axis))
        place[static_cast<std::size_t>(axis)] = left % given.shape(axis);
      if (lengths && place[batch_first ? 1 : 0] >= (*lengths)[static_cast<std::size_t>(place[batch_first ? 0 : 1])])
        continue;
      std::string text = place.size() == 0 ? "" : "[";
      for (std::size_t axis = 0; axis < place.size(); ++axis)
        text += std::to_string(place[axis]) + (axis + 1 < place.size() ? ", " : "]");
      refuse("ids" + text, std::to_string(id), between(0, most));
    }
  }
};

template <class T>
py::object result(const Array<T>& array, bool image) {
  return image ? as_image(array) : py::object(array);
}

template <class T>
py::object call(const PyOperation<T>& o, const py::object& x, const py::object& lengths, bool batch_first) {
  const Call<T> c(o, x, lengths, batch_first);
  without_gil([&] { o.layer->forward(c.arguments); });
  return result(c.y, c.out.image);
}

void check_convolution(const OperationSpec& spec) {
  if (!std::holds_alternative<Conv1dSpec>(spec.kind) && !std::holds_alternative<Conv2dSpec>(spec.kind))
    throw py::type_error("this block is no convolution");
}

// Of a convolution; see forward_swish.
template <class T>
py::object swish(const PyOperation<T>& o, const py::object& x) {
  check_convolution(o.layer->spec());
  const Call<T> c(o, x, py::none(), false);
  without_gil([&] { forward_swish(*o.layer, c.arguments); });
  return result(c.y, c.out.image);
}

// The same; see forward_of_whole_numbers.
template <class T>
py::object of_whole_numbers(const PyOperation<T>& o, const py::object& x, float scale, const py::object& bias,
                            bool with_swish) {
  check_convolution(o.layer->spec());
  const Call<T> c(o, x, py::none(), false);
  std::optional<Array<T>> numbers;
  if (!bias.is_none()) {
    numbers = as_array<T>("bias", bias);
    check_shape("bias", *numbers, {{"out_channels", o.layer->weights()[0].shape[0]}});
  }
  if constexpr (std::is_same_v<T, float>)
    without_gil([&] {
      forward_of_whole_numbers(*o.layer, c.arguments, {scale, numbers ? numbers->data() : nullptr, with_swish});
    });
  else throw py::type_error("whole numbers are of float32 only");
  return result(c.y, c.out.image);
}

template <class T>
py::tuple forward(const PyOperation<T>& o, const py::object& x, const py::object& lengths, bool batch_first,
                  bool training) {
  Call<T> c(o, x, lengths, batch_first);
  c.arguments.training = training;
  PyOperationTape<T> tape{nullptr, c.in, c.out};
  without_gil([&] { tape.tape = o.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(result(c.y, c.out.image), tape);
}

// dy in the shape of y.
template <class T>
Array<T> gradient_argument(const py::object& given, const Form& form) {
  if (form.image) return image_argument<T>("dy", given, form.shape);
  const Array<T> dy = as_array<T>("dy", given);
  Dims dims;
  for (const std::int64_t size : form.shape) dims.push_back({"size", size});
  dims.back().name = "output_size";
  check_shape("dy", dy, dims);
  return dy;
}

// Numbers of a step.
std::int64_t columns_of(const Form& form) {
  const std::size_t last = form.shape.size() - 1;
  return form.shape[last] * (form.image ? form.shape[last - 1] : 1);
}

// dx, the gradients of the weights by name, and which rows of the first one these are of, or None.
template <class T>
py::tuple backward(const PyOperation<T>& o, const PyOperationTape<T>& tape, const py::object& dy_argument,
                   bool want_x) {
  o.layer->check(*tape.tape);
  const Array<T> dy = gradient_argument<T>(dy_argument, tape.out);
  const std::int64_t outputs = columns_of(tape.out);
  OperationBackwardCall<T> b;
  b.dy = tape.out.layout.view(static_cast<const T*>(dy.data()), outputs);
  const bool ids = std::holds_alternative<EmbeddingSpec>(o.layer->spec().kind);
  py::object dx = py::none(), rows = py::none();
  if (!ids && want_x) {
    Array<T> array = empty_array<T>(tape.in.shape);
    b.dx = tape.in.layout.view(array.mutable_data(), columns_of(tape.in));
    dx = result(array, tape.in.image);
  }
  py::dict weights;
  if (ids) {
    const std::vector<std::int64_t>& touched = tape.tape->rows();
    Array<std::int64_t> numbers = empty_array<std::int64_t>({static_cast<std::int64_t>(touched.size())});
    std::copy(touched.begin(), touched.end(), numbers.mutable_data());
    Array<T> values = empty_array<T>({numbers.size(), outputs});
    b.dweights = {values.mutable_data()};
    weights["weight"] = values;
    rows = std::move(numbers);
  } else {
    weights = weight_gradients(o.layer->weights(), b.dweights);
    if (batch_norm_of(o.layer->spec()))  // statistics have no gradient
      for (const char* name : {"running_mean", "running_var"}) weights.attr("pop")(name);
  }
  without_gil([&] { o.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, weights, rows);
}

// The running mean and variance after the batch of a tape.
template <class T>
py::tuple statistics(const PyOperation<T>& o, const PyOperationTape<T>& tape) {
  const BatchNorm1dSpec* const norm = batch_norm_of(o.layer->spec());
  if (!norm) throw py::type_error("this block has no running statistics");
  const Shape shape{norm->num_features};
  Array<T> mean = empty_array<T>(shape), var = empty_array<T>(shape);
  o.layer->statistics(*tape.tape, mean.mutable_data(), var.mutable_data());
  return py::make_tuple(mean, var);
}

// Arrays of the ends of paths, in the shapes of whole calls.
template <class T>
struct Paths {
  std::vector<Array<T>> arrays;
  std::vector<std::int64_t> columns;
  std::int64_t rows = 1, all = 0;

  Paths(const py::list& given, bool images) {
    for (const py::handle one : given) {
      const py::object path = py::reinterpret_borrow<py::object>(one);
      arrays.push_back(images ? image_argument<T>("paths", path, 0) : as_array<T>("paths", path));
      columns.push_back(arrays.back().shape(arrays.back().ndim() - 1));
      all += columns.back();
    }
    rows = arrays.front().size() / columns.front();
  }
  Rows<const T> view(std::size_t i) const { return {arrays[i].data(), columns[i], nullptr}; }
};

template <class T>
py::object join(const PyOperation<T>& o, const py::list& given, bool images) {
  const BranchSpec::Mark mark = std::get<BranchSpec>(o.layer->spec().kind).mark;
  const Paths<T> paths(given, images);
  Shape shape(paths.arrays[0].shape(), paths.arrays[0].shape() + paths.arrays[0].ndim());
  if (mark == BranchSpec::concat) shape.back() = paths.all;
  Array<T> y = empty_array<T>(shape);
  const Matrix<T> to{y.mutable_data(), shape.back()};
  without_gil([&] {
    std::int64_t from = 0;
    for (std::size_t i = 0; i < paths.arrays.size(); from += paths.columns[i++])
      in_parts(0, paths.rows, macs_of_copy * static_cast<double>(paths.columns[i]), 1, [&](Index begin, Index end) {
        join_path(mark, i == 0, paths.view(i), paths.columns[i], from, to, begin, end);
      });
  });
  return result(y, images);
}

// The gradients of the ends of all paths from that of what joins them.
template <class T>
py::list split(const PyOperation<T>& o, const py::list& given, const py::object& dy_argument, bool images) {
  const BranchSpec::Mark mark = std::get<BranchSpec>(o.layer->spec().kind).mark;
  const Paths<T> paths(given, images);
  const std::int64_t width = mark == BranchSpec::concat ? paths.all : paths.columns[0];
  Form form{{}, Shape(paths.arrays[0].shape(), paths.arrays[0].shape() + paths.arrays[0].ndim()), images};
  form.shape.back() = width;
  const Array<T> dy = gradient_argument<T>(dy_argument, form);
  py::list gradients;
  std::int64_t from = 0;
  for (std::size_t i = 0; i < paths.arrays.size(); from += paths.columns[i++]) {
    Array<T> d = empty_array<T>(Shape(paths.arrays[i].shape(), paths.arrays[i].shape() + paths.arrays[i].ndim()));
    const Matrix<T> to{d.mutable_data(), paths.columns[i]};
    const Rows<const T> own{dy.data() + (mark == BranchSpec::concat ? from : 0), width, nullptr};
    without_gil([&] {
      in_parts(0, paths.rows, macs_of_copy * static_cast<double>(width), 1, [&](Index begin, Index end) {
        join_path(mark, true, own, paths.columns[i], 0, to, begin, end);
        for (std::size_t j = 0; mark == BranchSpec::multiply && j < paths.arrays.size(); ++j)
          if (j != i) join_path(mark, false, paths.view(j), paths.columns[i], 0, to, begin, end);
      });
    });
    gradients.append(result(d, images));
  }
  return gradients;
}

template <class T>
py::object python_product(const std::shared_ptr<Operation<T>>& made) {
  return made ? py::cast(PyOperation<T>{made}) : py::none();
}

template <class T>
void register_operation(py::module_& m) {
  using O = PyOperation<T>;
  py::class_<PyOperationTape<T>>(m, (std::string("OperationTape") + suffix<T>).c_str(), tape_doc);
  py::class_<O> c(m, (std::string("Operation") + suffix<T>).c_str(),
                  "An operation; gru_native.Activation and the like are its faces.");
  c.def(py::init([](const py::kwargs& options) {
     const BlockSpec block = block_of(options);
     if (const auto* spec = std::get_if<OperationSpec>(&block.spec)) return O{std::make_shared<Operation<T>>(*spec)};
     throw py::value_error(std::string("type is \"") + type_of(block) + "\"; expected that of an operation");
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("lengths") = py::none(), py::arg("batch_first") = false)
      .def("swish", &swish<T>, py::arg("x"))
      .def("of_parts", &of_parts<T>, py::arg("parts"), py::arg("swish"),
           py::arg("zeros") = std::pair<std::int64_t, std::int64_t>(0, 0), py::arg("repeats") = py::tuple())
      .def("of_whole_numbers", &of_whole_numbers<T>, py::arg("x"), py::arg("scale"), py::arg("bias"), py::arg("swish"))
      .def("forward", &forward<T>, py::arg("x"), py::arg("lengths"), py::arg("batch_first"), py::arg("training"))
      .def("statistics", &statistics<T>, py::arg("tape"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"), py::arg("want_x") = true)
      .def(
          "folded", [](const O& o, const O& norm) { return python_product(folded(*o.layer, *norm.layer)); },
          py::arg("norm"))
      .def("join", &join<T>, py::arg("paths"), py::arg("images"))
      .def("split", &split<T>, py::arg("paths"), py::arg("dy"), py::arg("images"))
      .def(
          "output_len", [](const O& o, std::int64_t seq_len) { return o.layer->spec().output_len(seq_len); },
          py::arg("seq_len"));
  def_weights(c);
}

}  // namespace

void register_operations(py::module_& m) {
  register_operation<float>(m);
  register_operation<double>(m);
  m.def("largest_of_windows", &largest_of_windows, py::arg("x"), py::arg("taps"), py::arg("strides"), py::arg("before"),
        py::arg("outputs"));
}

}  // namespace gru_native::bindings
