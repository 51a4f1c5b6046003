#include "gru_native/graph.h"

#include <pybind11/stl.h>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyGraph {
  std::shared_ptr<GatedGraph<T>> layer;
};
template <class T>
struct PyGraphTape {
  std::shared_ptr<const GraphTape<T>> tape;
};

template <class T>
Dims annotation_dims(bool dense, std::int64_t graphs, std::int64_t nodes, const char* name, std::int64_t size) {
  if (dense) return {{"batch", graphs}, {"nodes", nodes}, {name, size}};
  return {{"nodes", nodes}, {name, size}};
}

// The arrays of one call; `edges` is (edge_index, edge_type) or (adjacency,).
template <class T>
struct Call {
  bool dense;
  Array<T> annotations;
  std::optional<Array<std::int64_t>> edge_index, edge_type;
  std::optional<Array<T>> adjacency;
  std::optional<Array<T>> h;
  GraphForwardCall<T> arguments;

  Call(const GraphSpec& spec, const py::object& annotations_, bool dense)
      : dense(dense), annotations(as_array<T>("annotations", annotations_)) {
    check_shape("annotations", annotations, annotation_dims<T>(dense, -1, -1, "A", -1));
    arguments.annotations = annotations.data();
    arguments.annotation_size = annotations.shape(dense ? 2 : 1);
    arguments.nodes = dense ? annotations.shape(0) * annotations.shape(1) : annotations.shape(0);
    if (arguments.nodes < 1 || arguments.annotation_size < 1 || arguments.annotation_size > spec.hidden_size)
      throw py::value_error("annotations has shape " + shape_text(annotations) +
                            "; expected at least one node and 1 to hidden_size=" + std::to_string(spec.hidden_size) +
                            " columns");
    Shape shape(annotations.shape(), annotations.shape() + annotations.ndim());
    shape.back() = spec.hidden_size;
    h = empty_array<T>(shape);
    arguments.h = h->mutable_data();
  }
  void take_edges(const py::object& index, const py::object& type) {
    edge_index = integers_argument("edge_index", index);
    check_shape("edge_index", *edge_index, {{"source and target", 2}, {"edges", -1}});
    arguments.edges = edge_index->shape(1);
    arguments.source = edge_index->data();
    arguments.target = edge_index->data() + arguments.edges;
    if (type.is_none()) return;
    edge_type = integers_argument("edge_type", type);
    check_shape("edge_type", *edge_type, {{"edges", arguments.edges}});
    arguments.type = edge_type->data();
  }
  void take_adjacency(const GraphSpec& spec, const py::object& value) {
    adjacency = as_array<T>("adjacency", value);
    arguments.graphs = annotations.shape(0);
    const std::int64_t nodes = annotations.shape(1);
    check_shape("adjacency", *adjacency,
                {{"batch", arguments.graphs}, {"nodes", nodes}, {"2 * num_edge_types * nodes", spec.kinds() * nodes}});
    arguments.adjacency = adjacency->data();
  }
};

template <class T>
Call<T> call_of(const PyGraph<T>& l, const py::object& annotations, const py::object& edge_index,
                const py::object& edge_type, const py::object& adjacency) {
  Call<T> c(l.layer->spec(), annotations, !adjacency.is_none());
  if (c.dense) c.take_adjacency(l.layer->spec(), adjacency);
  else c.take_edges(edge_index, edge_type);
  return c;
}

template <class T>
Array<T> call(const PyGraph<T>& l, const py::object& annotations, const py::object& edge_index,
              const py::object& edge_type, const py::object& adjacency) {
  const Call<T> c = call_of(l, annotations, edge_index, edge_type, adjacency);
  without_gil([&] { l.layer->forward(c.arguments); });
  return *c.h;
}

template <class T>
py::tuple forward(const PyGraph<T>& l, const py::object& annotations, const py::object& edge_index,
                  const py::object& edge_type, const py::object& adjacency) {
  const Call<T> c = call_of(l, annotations, edge_index, edge_type, adjacency);
  PyGraphTape<T> tape;
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(*c.h, tape);
}

template <class T>
py::tuple backward(const PyGraph<T>& l, const PyGraphTape<T>& tape, const py::object& dh) {
  l.layer->check(*tape.tape);
  const std::int64_t graphs = tape.tape->graphs();
  const bool dense = graphs > 0;
  const std::int64_t nodes = tape.tape->nodes() / (dense ? graphs : 1);
  const Array<T> gradient = as_array<T>("dh", dh);
  check_shape("dh", gradient, annotation_dims<T>(dense, graphs, nodes, "hidden_size", l.layer->spec().hidden_size));
  Shape shape(gradient.shape(), gradient.shape() + gradient.ndim());
  shape.back() = tape.tape->annotation_size();
  Array<T> dannotations = empty_array<T>(shape);
  GraphBackwardCall<T> b;
  b.dh = gradient.data();
  b.dannotations = dannotations.mutable_data();
  const py::dict weights = weight_gradients(l.layer->weights(), b.dweights);
  without_gil([&] { l.layer->backward(*tape.tape, b); });
  return py::make_tuple(dannotations, weights);
}

template <class T>
void register_graph(py::module_& m) {
  using G = PyGraph<T>;
  py::class_<PyGraphTape<T>>(m, (std::string("GraphTape") + suffix<T>).c_str(), tape_doc);
  py::class_<G> c(m, (std::string("Graph") + suffix<T>).c_str(),
                  "A gated graph network; gru_native.GatedGraph is its face.");
  c.def(py::init([](const py::kwargs& options) {
     return G{std::make_shared<GatedGraph<T>>(spec_of<GraphSpec>(options, "GatedGraph"))};
   }))
      .def("__call__", &call<T>, py::arg("annotations"), py::arg("edge_index"), py::arg("edge_type"),
           py::arg("adjacency"))
      .def("forward", &forward<T>, py::arg("annotations"), py::arg("edge_index"), py::arg("edge_type"),
           py::arg("adjacency"))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dh"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_graphs(py::module_& m) {
  register_graph<float>(m);
  register_graph<double>(m);
  m.def(
      "check_graph", [](const py::kwargs& options) { spec_of<GraphSpec>(options, "GatedGraph").validate(); },
      "Raises what Graph32 would, and makes no weights.");
}

}  // namespace gru_native::bindings
