#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/edits.h"
#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/one_call.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"
#include "optim/optimizer.h"

namespace gru_native::bindings {
namespace {

template <class T>
struct PyOptimizer {
  std::shared_ptr<Optimizer<T>> optimizer;
  std::shared_ptr<OneCall> one_call = std::make_shared<OneCall>();
};

template <class T>
PyOptimizer<T> make(const OptimizerSpec& spec,
                    const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& weights) {
  std::vector<Weight<const T>> list;
  for (const auto& [name, shape] : weights) list.push_back({name, shape, nullptr});
  return {std::make_shared<Optimizer<T>>(spec, list)};
}

// A gradient is an array in the shape of its weight, a pair (rows, values), or None.
template <class T>
class Gradients {
 public:
  void add(const std::string& name, const py::handle& value) {
    WeightGradient<T> g;
    if (py::isinstance<py::tuple>(value)) {
      const auto pair = py::reinterpret_borrow<py::tuple>(value);
      rows_.push_back(integers_argument((name + ".rows").c_str(), pair[0]));
      g.rows = rows_.back().data();
      g.num_rows = rows_.back().size();
      arrays_.push_back(as_array<T>((name + ".values").c_str(), pair[1]));
      g.data = arrays_.back().data();
    } else if (!value.is_none()) {
      arrays_.push_back(as_array<T>(name.c_str(), value));
      g.data = arrays_.back().data();
    }
    list.push_back(g);
  }
  std::vector<WeightGradient<T>> list;

 private:
  std::vector<Array<T>> arrays_;  // keep alive what the list points to
  std::vector<Array<std::int64_t>> rows_;
};

// places[i]: an edit, and the name of its weight that has gradients[i].
template <class T>
void step(PyOptimizer<T>& o, const std::vector<std::pair<PyEdit*, std::string>>& places, const py::list& gradients,
          const std::vector<std::string>& names) {
  Gradients<T> given;
  for (std::size_t i = 0; i < gradients.size(); ++i) given.add(names[i], gradients[i]);
  std::vector<Weight<T>> weights;
  std::vector<PyEdit*> edits;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto& [edit, name] = places[i];
    const py::array own = edit->weight(name);
    const bool changes = given.list[i].data;
    weights.push_back({name, std::vector<std::int64_t>(own.shape(), own.shape() + own.ndim()),
                       changes ? static_cast<T*>(edit->in_place(name)) : nullptr});
    if (changes && std::find(edits.begin(), edits.end(), edit) == edits.end()) edits.push_back(edit);
  }
  const OneCall::Scope only(*o.one_call, "optimizer");
  end_edits(edits, prepared_step(*o.optimizer, weights, given.list, names));
}

// Copies of what the steps have left behind, and how many each weight has had, all from between two steps.
template <class T>
py::tuple state(PyOptimizer<T>& o) {
  const OneCall::Scope only(*o.one_call, "optimizer");
  py::dict states;
  std::vector<Copy> copies;
  for (const Weight<T>& s : o.optimizer->state()) {
    Array<T> own = empty_array<T>(s.shape);
    copies.push_back({own.mutable_data(), s.data, static_cast<std::size_t>(own.nbytes())});
    states[py::str(s.name)] = own;
  }
  copy(copies);
  return py::make_tuple(o.optimizer->steps(), states);
}

// arrays[i] in the shape of state()[i], which Python has checked. When the first number changes nothing can fail or be
// interrupted any more.
template <class T>
void load(PyOptimizer<T>& o, const std::vector<std::int64_t>& steps, const py::list& arrays) {
  const OneCall::Scope only(*o.one_call, "optimizer");
  std::vector<Array<T>> kept;
  std::vector<Copy> copies;
  for (const Weight<T>& s : o.optimizer->state()) {
    kept.push_back(as_array<T>(s.name.c_str(), arrays[kept.size()]));
    copies.push_back({s.data, kept.back().data(), static_cast<std::size_t>(kept.back().nbytes())});
  }
  o.optimizer->set_steps(steps);
  overwrite(copies);
}

template <class T>
void register_optimizer_of(py::module_& m) {
  using O = PyOptimizer<T>;
  py::class_<O>(m, (std::string("Optimizer") + suffix<T>).c_str(), "What gru_native.optim's classes stand on.")
      .def_static(
          "sgd",
          [](const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& weights, double lr, double momentum,
             double dampening, double weight_decay,
             bool nesterov) { return make<T>(Sgd{lr, momentum, dampening, weight_decay, nesterov}, weights); },
          py::arg("weights"), py::kw_only(), py::arg("lr"), py::arg("momentum"), py::arg("dampening"),
          py::arg("weight_decay"), py::arg("nesterov"))
      .def_static(
          "adagrad",
          [](const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& weights, double lr, double lr_decay,
             double weight_decay, double initial_accumulator_value, double eps) {
            return make<T>(Adagrad{lr, lr_decay, weight_decay, initial_accumulator_value, eps}, weights);
          },
          py::arg("weights"), py::kw_only(), py::arg("lr"), py::arg("lr_decay"), py::arg("weight_decay"),
          py::arg("initial_accumulator_value"), py::arg("eps"))
      .def_static(
          "adam",
          [](const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& weights, double lr,
             const std::pair<double, double>& betas, double eps, double weight_decay, bool decoupled) {
            return make<T>(Adam{lr, betas.first, betas.second, eps, weight_decay, decoupled}, weights);
          },
          py::arg("weights"), py::kw_only(), py::arg("lr"), py::arg("betas"), py::arg("eps"), py::arg("weight_decay"),
          py::arg("decoupled"))
      .def("step", &step<T>, py::arg("places"), py::arg("gradients"), py::arg("names"))
      .def(
          "set_lr", [](O& o, double lr) { o.optimizer->set_lr(lr); }, py::arg("lr"))
      .def("state", &state<T>)
      .def("load", &load<T>, py::arg("steps"), py::arg("arrays"));
}

}  // namespace

void register_optimizers(py::module_& m) {
  register_optimizer_of<float>(m);
  register_optimizer_of<double>(m);
}

}  // namespace gru_native::bindings
