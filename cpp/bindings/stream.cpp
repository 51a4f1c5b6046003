#include "gru_native/stream.h"

#include <algorithm>
#include <vector>

#include "bindings/layer.h"
#include "bindings/module.h"

namespace gru_native::bindings {
namespace {

constexpr int all_threads = 256;

template <class T>
class PyStream {
 public:
  PyStream(const PyLayer<T>& l, std::int64_t batch_size)
      : layer_(l.layer), batch_first_(l.batch_first), stream_(*l.layer, batch_size, all_threads) {}

  // x: one step (input,) or (batch, input), or a chunk (seq, input) or of rank 3.
  py::object process(const py::object& x_argument, const py::object& out) {
    const LayerSpec& spec = layer_->spec();
    const Array<T> x = as_array<T>("x", x_argument);
    const std::int64_t batch = stream_.batch();
    Layout layout{1, batch, x.ndim() == 3 || (x.ndim() == 2 && batch > 1), batch_first_};
    std::vector<Dim> dims;
    if (x.ndim() == 3 || (x.ndim() == 2 && batch == 1)) {  // a chunk
      layout.seq_len = -1;
      dims = layout.dims("input_size", spec.input_size);
    } else if (batch > 1) {
      dims = {{"batch", batch}, {"input_size", spec.input_size}};
    } else {
      dims = {{"input_size", spec.input_size}};
    }
    check_shape("x", x, dims);
    if (layout.seq_len < 0) layout.seq_len = x.shape(layout.batched && batch_first_ ? 1 : 0);
    if (layout.seq_len < 1) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one step");
    const bool one_step = x.ndim() == 1 || (x.ndim() == 2 && batch > 1);

    Shape shape(x.shape(), x.shape() + x.ndim());
    shape.back() = spec.output_size();
    Array<T> y = out.is_none() ? empty_array<T>(shape) : output_argument(out, shape);
    const auto view = [&](auto* data, std::int64_t columns) {
      return one_step ? decltype(layout.view(data, columns)){data, batch * columns, columns}
                      : layout.view(data, columns);
    };
    {
      const py::gil_scoped_release release;
      stream_.process(view(x.data(), spec.input_size), view(y.mutable_data(), spec.output_size()), layout.seq_len);
    }
    return y;
  }

  py::object state() const {
    const LayerSpec& spec = layer_->spec();
    const Layout layout = state_layout();
    NewState<T> copy(spec, layout);
    std::vector<T> flat(stream_.state_size());
    stream_.save_state(flat.data());
    const States<T> to = copy.view();
    std::copy_n(flat.data(), copy.h.size(), to.h);
    if (to.c) std::copy_n(flat.data() + copy.h.size(), copy.c->size(), to.c);
    return copy.object();
  }
  void set_state(const py::object& value) {
    const StateArrays<T> s = state_argument<T>("state", value, layer_->spec(), state_layout());
    std::vector<T> flat(stream_.state_size());
    if (s.h) std::copy_n(s.h->data(), s.h->size(), flat.data());
    if (s.c) std::copy_n(s.c->data(), s.c->size(), flat.data() + s.h->size());
    stream_.load_state(flat.data());
  }
  void reset() { stream_.reset(); }
  std::int64_t batch_size() const { return stream_.batch(); }

 private:
  Layout state_layout() const { return {1, stream_.batch(), true, false}; }
  static Array<T> output_argument(const py::object& out, const Shape& shape) {
    if (!Array<T>::check_(out))
      throw py::type_error(std::string("out is not a C-contiguous float") + suffix<T> + " array; expected one");
    Array<T> y = py::reinterpret_borrow<Array<T>>(out);
    std::vector<Dim> dims(shape.size(), Dim{"size", 0});
    for (std::size_t i = 0; i < shape.size(); ++i) dims[i].size = shape[i];
    dims.back().name = "output_size";
    check_shape("out", y, dims);
    if (!y.writeable()) throw py::value_error("out is read-only; expected an array that may be written");
    return y;
  }

  std::shared_ptr<Layer<T>> layer_;
  bool batch_first_;
  Stream<T> stream_;
};

template <class T>
void register_stream(py::module_& m) {
  using S = PyStream<T>;
  py::class_<S>(m, (std::string("Stream") + suffix<T>).c_str(),
                "Feeds a layer one step or one chunk after the other and keeps the state in between.\n\n"
                "Made by layer.stream(batch_size). It keeps the weights of that moment; use it from one thread at a\n"
                "time. The outputs are those of the whole sequence, bit for bit.")
      .def(py::init<const PyLayer<T>&, std::int64_t>(), py::arg("layer"), py::arg("batch_size"))
      .def("__call__", &S::process, py::arg("x"), py::arg("out") = py::none(),
           "The outputs for x, and on to the next state.\n\n"
           "x is one step, (input_size,) or for a batch (batch, input_size), or a chunk, (seq, input_size) or\n"
           "(seq, batch, input_size) ((batch, seq, input_size) with batch_first). The result has x's shape with\n"
           "the layer's output size last; out, if given, is filled and returned.\n\n"
           "Raises ValueError for a wrong shape, TypeError for a wrong dtype; the state is then unchanged.")
      .def_property("state", &S::state, &S::set_state,
                    "A copy of the state: h, or (h, c) for the LSTM, of shape (num_layers, batch, size).\n"
                    "Assigning sets it; None means zeros.")
      .def_property_readonly("batch_size", &S::batch_size)
      .def("reset", &S::reset, "Back to the zero state.");
}

}  // namespace

void register_streams(py::module_& m) {
  register_stream<float>(m);
  register_stream<double>(m);
}

}  // namespace gru_native::bindings
