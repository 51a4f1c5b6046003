#include "gru_native/tree.h"

#include <pybind11/stl.h>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/precision.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "engine/tree/forest.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyTreeLayer {
  std::shared_ptr<TreeLayer<T>> layer;
};

template <class T>
struct PyTreeTape {
  std::shared_ptr<const TreeTape<T>> tape;
};

template <class T>
struct Call {
  Array<T> x;
  Array<std::int64_t> parents;
  std::optional<Array<std::int64_t>> slots;
  Array<T> h, c;
  TreeForwardCall<T> arguments;

  Call(const TreeSpec& spec, const py::object& x_, const py::object& parents_, const py::object& slots_)
      : x(as_array<T>("x", x_)) {
    check_shape("x", x, {{"nodes", -1}, {"input_size", spec.input_size}});
    arguments.nodes = x.shape(0);
    if (arguments.nodes < 1) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one node");
    const Dims one_each{{"nodes", arguments.nodes}};
    parents = integers_argument("parents", parents_);
    check_shape("parents", parents, one_each);
    if (spec.cell == TreeCell::nary) {
      slots = integers_argument("slots", slots_);
      check_shape("slots", *slots, one_each);
    }
    h = empty_array<T>({arguments.nodes, spec.hidden_size});
    c = empty_array<T>({arguments.nodes, spec.hidden_size});
    arguments.x = x.data();
    arguments.parents = parents.data();
    arguments.slots = slots ? slots->data() : nullptr;
    arguments.h = h.mutable_data();
    arguments.c = c.mutable_data();
  }
};

template <class T>
py::tuple call(const PyTreeLayer<T>& l, const py::object& x, const py::object& parents, const py::object& slots) {
  Call<T> c(l.layer->spec(), x, parents, slots);
  without_gil([&] { l.layer->forward(c.arguments); });
  return py::make_tuple(c.h, c.c);
}

template <class T>
py::tuple forward(const PyTreeLayer<T>& l, const py::object& x, const py::object& parents, const py::object& slots) {
  Call<T> c(l.layer->spec(), x, parents, slots);
  PyTreeTape<T> tape;
  without_gil([&] { tape.tape = l.layer->forward_with_tape(c.arguments); });
  return py::make_tuple(c.h, c.c, tape);
}

template <class T>
py::tuple backward(const PyTreeLayer<T>& l, const PyTreeTape<T>& tape, const py::object& dh, const py::object& dc) {
  const TreeSpec& spec = l.layer->spec();
  if (dh.is_none() && dc.is_none()) throw py::value_error("dh and dc are both None; expected at least one gradient");
  l.layer->check(*tape.tape);
  const std::int64_t nodes = tape.tape->nodes();
  TreeBackwardCall<T> b;
  std::optional<Array<T>> dh_array, dc_array;
  const auto take = [&](const char* name, const py::object& value, std::optional<Array<T>>& array) -> const T* {
    if (value.is_none()) return nullptr;
    array = as_array<T>(name, value);
    check_shape(name, *array, {{"nodes", nodes}, {"hidden_size", spec.hidden_size}});
    return array->data();
  };
  b.dh = take("dh", dh, dh_array);
  b.dc = take("dc", dc, dc_array);
  Array<T> dx = empty_array<T>({nodes, spec.input_size});
  b.dx = dx.mutable_data();
  const py::dict weights = weight_gradients(l.layer->weights(), b.dweights);
  without_gil([&] { l.layer->backward(*tape.tape, b); });
  return py::make_tuple(dx, weights);
}

// (nodes, leaves, edges), from the checks that a call makes.
py::tuple forest_sizes(const py::object& parents_, const py::object& slots_, std::optional<std::int64_t> arity) {
  const Array<std::int64_t> parents = integers_argument("parents", parents_);
  check_shape("parents", parents, {{"nodes", -1}});
  std::optional<Array<std::int64_t>> slots;
  if (arity) {
    slots = integers_argument("slots", slots_);
    check_shape("slots", *slots, {{"nodes", parents.shape(0)}});
  }
  const Forest forest(parents.shape(0), parents.data(), slots ? slots->data() : nullptr, arity.value_or(1));
  return py::make_tuple(forest.rows, forest.leaves, forest.edges());
}

template <class T>
void register_tree(py::module_& m) {
  using L = PyTreeLayer<T>;
  py::class_<PyTreeTape<T>>(m, (std::string("TreeTape") + suffix<T>).c_str(), tape_doc);
  py::class_<L> c(m, (std::string("TreeLayer") + suffix<T>).c_str(),
                  "A Tree-LSTM; gru_native.ChildSumTreeLSTM and NaryTreeLSTM are its faces.");
  c.def(py::init([](const py::kwargs& options) {
     return std::make_unique<L>(L{std::make_shared<TreeLayer<T>>(spec_of<TreeSpec>(options, "a Tree-LSTM"))});
   }))
      .def("__call__", &call<T>, py::arg("x"), py::arg("parents"), py::arg("slots") = py::none())
      .def("forward", &forward<T>, py::arg("x"), py::arg("parents"), py::arg("slots") = py::none())
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dh"), py::arg("dc"));
  def_weights(c);
  def_precision(c);
}

}  // namespace

void register_trees(py::module_& m) {
  register_tree<float>(m);
  register_tree<double>(m);
  m.def(
      "check_tree", [](const py::kwargs& options) { spec_of<TreeSpec>(options, "a Tree-LSTM").validate(); },
      "Raises what TreeLayer32 would, and makes no weights.");
  m.def("forest_sizes", &forest_sizes, py::arg("parents"), py::arg("slots"), py::arg("arity"),
        "(nodes, leaves, edges) of a forest; raises what a call of TreeLayer32 would.");
}

}  // namespace gru_native::bindings
