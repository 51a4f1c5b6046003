#include "gru_native/rtrl.h"

#include <algorithm>
#include <vector>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/one_call.h"
#include "bindings/weights.h"
#include "bindings/without_gil.h"

namespace gru_native::bindings {
namespace {

template <class T>
class PyRtrl {
 public:
  PyRtrl(const PyLayer<T>& l, std::int64_t batch_size) : layer_(l.layer), rtrl_(l.layer, batch_size) {}

  Array<T> step(const py::object& x_argument) {
    const Array<T> x = as_array<T>("x", x_argument);
    check_shape("x", x, dims("input_size", spec().input_size));
    Array<T> y = empty_array<T>(shape(spec().output_size()));
    const OneCall::Scope only(one_call_, "RTRL");
    without_gil([&] { rtrl_.step(x.data(), y.mutable_data()); });
    return y;
  }

  py::dict gradient(const py::object& dy, const py::object& dstate) {
    if (dy.is_none() && dstate.is_none())
      throw py::value_error("dy and dstate are both None; expected at least one gradient");
    std::optional<Array<T>> dy_array;
    if (!dy.is_none()) {
      dy_array = as_array<T>("dy", dy);
      check_shape("dy", *dy_array, dims("output_size", spec().output_size()));
    }
    const StateArrays<T> d = state_argument<T>("dstate", dstate, spec(), layout());
    std::vector<T*> pointers;
    const py::dict weights = weight_gradients(layer_->weights(), pointers);
    const OneCall::Scope only(one_call_, "RTRL");
    without_gil([&] { rtrl_.gradient(dy_array ? dy_array->data() : nullptr, d.view(), pointers); });
    return weights;
  }

  py::object state() {
    NewState<T> copy(spec(), layout());
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.save_state(copy.view());
    return copy.object();
  }
  void set_state(const py::object& value) {
    const StateArrays<T> state = state_argument<T>("state", value, spec(), layout());
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.load_state(state.view());
  }
  Array<T> carried() {
    Array<T> copy = empty_array<T>({rtrl_.carried_size()});
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.save_carried(copy.mutable_data());
    return copy;
  }
  void set_carried(const py::object& value) {
    const Array<T> numbers = as_array<T>("carried", value);
    check_shape("carried", numbers, {{"size", rtrl_.carried_size()}});
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.load_carried(numbers.data());
  }
  void reset() {
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.reset();
  }
  void reset_rows(const py::array_t<bool, py::array::c_style>& mask) {
    check_shape("mask", mask, {{"batch", rtrl_.batch()}});
    const auto rows = std::make_unique<bool[]>(static_cast<std::size_t>(mask.size()));
    // A view of other bytes may hold what no bool can.
    const auto* const bytes = static_cast<const unsigned char*>(static_cast<const py::array&>(mask).data());
    std::transform(bytes, bytes + mask.size(), rows.get(), [](unsigned char byte) { return byte != 0; });
    const OneCall::Scope only(one_call_, "RTRL");
    rtrl_.reset(rows.get());
  }
  std::int64_t batch_size() const { return rtrl_.batch(); }

 private:
  const LayerSpec& spec() const { return rtrl_.spec(); }
  Layout layout() const { return {1, rtrl_.batch(), true, false}; }
  // Of one step: without batch when there is one sequence, as a stream has it.
  Shape shape(std::int64_t columns) const { return rtrl_.batch() > 1 ? Shape{rtrl_.batch(), columns} : Shape{columns}; }
  Dims dims(const char* name, std::int64_t columns) const {
    if (rtrl_.batch() > 1) return {{"batch", rtrl_.batch()}, {name, columns}};
    return {{name, columns}};
  }

  std::shared_ptr<Layer<T>> layer_;
  Rtrl<T> rtrl_;
  OneCall one_call_;
};

template <class T>
void register_one(py::module_& m) {
  using R = PyRtrl<T>;
  py::class_<R>(m, (std::string("Rtrl") + suffix<T>).c_str(),
                "Real-time recurrent learning; gru_native.RTRL is its face.")
      .def(py::init<const PyLayer<T>&, std::int64_t>(), py::arg("layer"), py::arg("batch_size"))
      .def("__call__", &R::step, py::arg("x"))
      .def("gradient", &R::gradient, py::arg("dy"), py::arg("dstate"))
      .def_property("state", &R::state, &R::set_state)
      .def_property("carried", &R::carried, &R::set_carried)
      .def_property_readonly("batch_size", &R::batch_size)
      .def("reset", &R::reset)
      .def("reset_rows", &R::reset_rows, py::arg("mask"));
}

}  // namespace

void register_rtrl(py::module_& m) {
  register_one<float>(m);
  register_one<double>(m);
}

}  // namespace gru_native::bindings
