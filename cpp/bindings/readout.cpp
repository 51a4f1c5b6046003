#include "gru_native/readout.h"

#include <pybind11/stl.h>

#include <limits>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "spec/checks.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyReadout {
  std::shared_ptr<GraphReadout<T>> layer;
};
template <class T>
struct PyReadoutTape {
  std::shared_ptr<const ReadoutTape<T>> tape;
};

template <class T>
struct Call {
  Array<T> h, annotations;
  std::optional<Array<std::int64_t>> graph;
  Array<T> y;
  ReadoutForwardCall<T> arguments;

  Call(const ReadoutSpec& spec, const py::object& h_, const py::object& annotations_, const py::object& graph_,
       const std::optional<std::int64_t>& num_graphs)
      : h(as_array<T>("h", h_)), annotations(as_array<T>("annotations", annotations_)) {
    check_shape("h", h, {{"nodes", -1}, {"hidden_size", spec.hidden_size}});
    check_shape("annotations", annotations, {{"nodes", h.shape(0)}, {"annotation_size", spec.annotation_size}});
    arguments.nodes = h.shape(0);
    arguments.h = h.data();
    arguments.annotations = annotations.data();
    std::int64_t& graphs = arguments.graphs = num_graphs.value_or(1);
    if (!graph_.is_none()) {
      graph = integers_argument("graph", graph_);
      check_shape("graph", *graph, {{"nodes", arguments.nodes}});
      arguments.graph = graph->data();
      constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
      for (std::int64_t v = 0; v < arguments.nodes && !num_graphs; ++v)
        graphs = std::max(graphs, std::min(graph->at(v), most - 1) + 1);
    }
    if (graphs < 1) throw py::value_error("num_graphs is " + std::to_string(graphs) + "; expected at least 1");
    check_fits("the sums", static_cast<double>(graphs) * static_cast<double>(spec.output_size),
               {{"num_graphs", graphs}});
    y = empty_array<T>({spec.kind == ReadoutKind::graph_sum ? graphs : arguments.nodes, spec.output_size});
    arguments.y = y.mutable_data();
  }
};

template <class T>
Array<T> call(const PyReadout<T>& r, const py::object& h, const py::object& annotations, const py::object& graph,
              const std::optional<std::int64_t>& num_graphs) {
  const Call<T> c(r.layer->spec(), h, annotations, graph, num_graphs);
  without_gil([&] { r.layer->forward(c.arguments); });
  return c.y;
}

template <class T>
py::tuple forward(const PyReadout<T>& r, const py::object& h, const py::object& annotations, const py::object& graph,
                  const std::optional<std::int64_t>& num_graphs) {
  const Call<T> c(r.layer->spec(), h, annotations, graph, num_graphs);
  PyReadoutTape<T> tape;
  without_gil([&] { tape.tape = r.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.y, tape);
}

template <class T>
py::tuple backward(const PyReadout<T>& r, const PyReadoutTape<T>& tape, const py::object& dy_) {
  r.layer->check(*tape.tape);
  const ReadoutSpec& spec = r.layer->spec();
  const bool sums = spec.kind == ReadoutKind::graph_sum;
  const Array<T> dy = as_array<T>("dy", dy_);
  check_shape("dy", dy,
              {sums ? Dim{"num_graphs", tape.tape->graphs()} : Dim{"nodes", tape.tape->nodes()},
               {"output_size", spec.output_size}});
  Array<T> dh = empty_array<T>({tape.tape->nodes(), spec.hidden_size});
  Array<T> dannotations = empty_array<T>({tape.tape->nodes(), spec.annotation_size});
  ReadoutBackwardCall<T> b;
  b.dy = dy.data();
  b.dh = dh.mutable_data();
  b.dannotations = dannotations.mutable_data();
  const py::dict weights = weight_gradients(r.layer->weights(), b.dweights);
  without_gil([&] { r.layer->backward(*tape.tape, b); });
  return py::make_tuple(dh, dannotations, weights);
}

template <class T>
void register_readout(py::module_& m) {
  using R = PyReadout<T>;
  py::class_<PyReadoutTape<T>>(m, (std::string("ReadoutTape") + suffix<T>).c_str(), tape_doc);
  py::class_<R> c(m, (std::string("Readout") + suffix<T>).c_str(),
                  "A readout of a graph; gru_native.NodeScores and GraphSum are its faces.");
  c.def(py::init([](const py::kwargs& options) {
     return R{std::make_shared<GraphReadout<T>>(spec_of<ReadoutSpec>(options, "a readout"))};
   }))
      .def("__call__", &call<T>, py::arg("h"), py::arg("annotations"), py::arg("graph"), py::arg("num_graphs"))
      .def("forward", &forward<T>, py::arg("h"), py::arg("annotations"), py::arg("graph"), py::arg("num_graphs"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_readouts(py::module_& m) {
  register_readout<float>(m);
  register_readout<double>(m);
  m.def(
      "check_readout", [](const py::kwargs& options) { spec_of<ReadoutSpec>(options, "a readout").validate(); },
      "Raises what Readout32 would, and makes no weights.");
}

}  // namespace gru_native::bindings
