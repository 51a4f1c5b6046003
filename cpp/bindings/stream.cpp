#include "gru_native/stream.h"

#include <algorithm>
#include <vector>

#include "bindings/model_blocks.h"
#include "bindings/model_states.h"
#include "bindings/module.h"
#include "bindings/one_call.h"
#include "bindings/without_gil.h"
#include "spec/check_operation.h"
#include "spec/limits.h"

namespace gru_native::bindings {
namespace {

template <class T>
class PyStream {
 public:
  PyStream(const PyLayer<T>& l, std::int64_t batch_size)
      : batch_first_(l.batch_first), stream_(*l.layer, batch_size, most_threads) {
    states_.parts.push_back({l.layer->spec(), 0});
    remember(l.layer);
  }
  PyStream(const py::list& chain, std::int64_t batch_size, bool batch_first)
      : states_(*chain_argument<T>(chain, [](const auto&) {})),
        batch_first_(batch_first),
        stream_(chain_argument<T>(chain, [this](const auto& layer) { remember(layer); }), batch_size, most_threads) {}
  // A copy with a state of its own.
  PyStream(PyStream& other) : PyStream(other, OneCall::Scope(other.one_call_, "stream")) {}

  // x: one step (input,) or (batch, input), or a chunk (seq, input) or of rank 3.
  py::object process(const py::object& x_argument, const py::object& out) {
    const std::int64_t inputs = stream_.input_size(), outputs = stream_.output_size();
    Array<T> x = as_array<T>("x", x_argument);
    const std::int64_t batch = stream_.batch();
    Layout layout{1, batch, x.ndim() == 3 || (x.ndim() == 2 && batch > 1), batch_first_};
    Dims dims;
    if (x.ndim() == 3 || (x.ndim() == 2 && batch == 1)) {  // a chunk
      layout.seq_len = -1;
      dims = layout.dims("input_size", inputs);
    } else if (batch > 1) {
      dims = {{"batch", batch}, {"input_size", inputs}};
    } else {
      dims = {{"input_size", inputs}};
    }
    check_shape("x", x, dims);
    if (layout.seq_len < 0) layout.seq_len = x.shape(layout.batched && batch_first_ ? 1 : 0);
    if (layout.seq_len < 1) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one step");
    const bool one_step = x.ndim() == 1 || (x.ndim() == 2 && batch > 1);

    const std::int64_t steps = stream_.output_len(layout.seq_len);
    Shape shape(x.shape(), x.shape() + x.ndim());
    shape.back() = outputs;
    // Where steps of y are others than those of x, one step gives a chunk of none or one.
    const bool chunk_of_one = one_step && !keeps_steps_;
    if (chunk_of_one) shape = batch > 1 ? Shape{steps, batch, outputs} : Shape{steps, outputs};
    else if (!one_step) shape[layout.batched && batch_first_ ? 1 : 0] = steps;
    Array<T> result = out.is_none() ? empty_array<T>(shape) : output_argument(out, shape);
    Array<T> y = is_aligned(result) ? result : empty_array<T>(shape);
    if (overlap(x, y)) x = copy_of(x);  // else outputs would take the place of inputs that are still to be read
    Layout made = layout;
    made.seq_len = steps;
    const auto view = [&](const Layout& own, auto* data, std::int64_t columns) {
      return one_step ? decltype(own.view(data, columns)){data, batch * columns, columns} : own.view(data, columns);
    };
    const OneCall::Scope only(one_call_, "stream");
    without_gil([&] {
      stream_.process(view(layout, x.data(), inputs), view(made, y.mutable_data(), outputs), layout.seq_len);
    });
    if (y.data() != result.data())
      std::memcpy(const_cast<T*>(result.data()), y.data(), static_cast<std::size_t>(y.nbytes()));
    return result;
  }

  py::object state() {
    std::vector<T> flat(stream_.state_size());
    {
      const OneCall::Scope only(one_call_, "stream");
      stream_.save_state(flat.data());
    }
    return states_.object(flat.data(), stream_.batch());
  }
  void set_state(const py::object& value) {
    const std::vector<T> flat = states_.numbers("state", value, stream_.batch());
    const OneCall::Scope only(one_call_, "stream");
    stream_.load_state(flat.data());
  }
  void reset() {
    const OneCall::Scope only(one_call_, "stream");
    stream_.reset();
  }
  std::int64_t batch_size() const { return stream_.batch(); }

  // The options of its blocks, each with a layer that has the weights that the stream has.
  py::list blocks() const { return blocks_.list(blocks_of(stream_)); }
  bool is_chain() const { return states_.is_chain; }

 private:
  PyStream(const PyStream& other, const OneCall::Scope&)
      : states_(other.states_),
        blocks_(other.blocks_),
        batch_first_(other.batch_first_),
        keeps_steps_(other.keeps_steps_),
        stream_(other.stream_) {}

  template <class L>
  void remember(const std::shared_ptr<L>& layer) {
    blocks_.add(layer, batch_first_);
    if constexpr (std::is_same_v<L, Operation<T>>) keeps_steps_ = keeps_steps_ && keeps_steps(layer->spec());
  }
  static Array<T> output_argument(const py::object& out, const Shape& shape) {
    if (!Array<T>::check_(out))
      throw py::type_error(std::string("out is not a C-contiguous float") + suffix<T> + " array; expected one");
    Array<T> y = py::reinterpret_borrow<Array<T>>(out);
    Dims dims(shape.size(), Dim{"size", 0});
    for (std::size_t i = 0; i < shape.size(); ++i) dims[i].size = shape[i];
    dims.back().name = "output_size";
    check_shape("out", y, dims);
    if (!y.writeable()) throw py::value_error("out is read-only; expected an array that may be written");
    return y;
  }

  ModelStates<T> states_;
  ModelBlocks<T> blocks_;
  bool batch_first_ = false, keeps_steps_ = true;
  Stream<T> stream_;
  OneCall one_call_;
};

// Each begins with what Python's inspect takes for a signature.
constexpr const char* call_doc = R"(__call__(self, x, out=None)
--

Compute the outputs for x, and go on to the next state.

Parameters
----------
x : array_like
    One step, (input_size,) or for a batch above 1 (batch, input_size); or a chunk,
    (seq, input_size) or (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size).
    Of the layer's dtype; lists, integers and float16 are converted.
out : ndarray, optional
    An array to write the outputs to, in their shape and dtype, C-contiguous. It may be x, or
    overlap it.

Returns
-------
ndarray
    The outputs, in x's shape with the layer's output size last; ``out``, if it was given. A chain
    that has a convolution with stride or without padding gives chunks, be it of no step.

Raises
------
ValueError
    For a wrong shape, also of ``out``, and for one that is read-only; the state is then unchanged.
TypeError
    For another dtype or kind; likewise.
RuntimeError
    While another call of this stream is under way; likewise.
)";
constexpr const char* state_doc =
    R"(The state: h, or for the LSTM (h, c), each (num_layers, batch, size), of the layer's dtype.

For a chain it is a tuple with that of each recurrent layer, and of each convolution the steps that
it still reads, (batch, numbers). What is read is a copy. Assigning sets it, None to zeros.
)";
constexpr const char* reset_doc = R"(reset(self)
--

Go back to the zero state, from which new sequences begin.
)";

template <class T>
void register_stream(py::module_& m) {
  using S = PyStream<T>;
  py::options options;
  options.disable_function_signatures();
  const std::string doc =
      std::string(R"(A layer or chain at work on sequences that come in pieces, in float)") + suffix<T> + R"(.

Made by ``layer.stream(batch_size)``. It is called with one step or one chunk after the other, and
keeps the state in between. Its outputs are those of the whole sequence, bit for bit. It keeps the
weights of the moment at which it was made, whatever becomes of the layer.

It takes one call at a time. Copies, also by ``copy.copy``, and pickles go on from where it is, on
their own.

Attributes
----------
batch_size : int
    Sequences side by side.
)";
  py::class_<S>(m, (std::string("Stream") + suffix<T>).c_str(), doc.c_str())
      .def(py::init<const PyLayer<T>&, std::int64_t>(), py::arg("layer"), py::arg("batch_size"))
      .def(py::init<const py::list&, std::int64_t, bool>(), py::arg("layer"), py::arg("batch_size"),
           py::arg("batch_first"))
      .def("__call__", &S::process, py::arg("x"), py::arg("out") = py::none(), call_doc)
      .def_property("state", &S::state, &S::set_state, state_doc)
      .def_property_readonly("batch_size", &S::batch_size, "Sequences side by side.")
      .def("reset", &S::reset, reset_doc)
      .def("__copy__", [](S& s) { return std::make_unique<S>(s); })
      .def(
          "__deepcopy__", [](S& s, const py::object&) { return std::make_unique<S>(s); }, py::arg("memo"))
      .def("_blocks", &S::blocks)
      .def_property_readonly("_is_chain", &S::is_chain);
}

}  // namespace

void register_streams(py::module_& m) {
  register_stream<float>(m);
  register_stream<double>(m);
}

}  // namespace gru_native::bindings
