#include <algorithm>
#include <vector>

#include "bindings/model_states.h"
#include "bindings/module.h"
#include "bindings/without_gil.h"
#include "engine/model/session_states.h"
#include "gru_native/session_pool.h"
#include "spec/checks.h"

namespace gru_native::bindings {
namespace {

std::int64_t id_argument(const char* name, const py::object& value) {
  int overflow = 0;
  const py::int_ whole = whole_number(name, value, "the id of a session");
  const std::int64_t id = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
  return overflow == 0 ? id : -1;  // which is nobody's
}

template <class T>
class PySessionPool {
 public:
  PySessionPool(const PyLayer<T>& l, std::int64_t capacity)
      : batch_first_(l.batch_first), pool_(*l.layer, capacity, most_threads) {
    states_.parts.push_back({l.layer->spec(), 0});
  }
  PySessionPool(const py::list& chain, std::int64_t capacity, bool batch_first)
      : states_(*chain_argument<T>(chain, [](const auto&) {})),
        batch_first_(batch_first),
        pool_(chain_argument<T>(chain, [](const auto&) {}), capacity, most_threads) {}

  // One session by its id, x (input,) or (seq, input); or several, x (sessions, input) or of rank 3.
  Array<T> step(const py::object& sessions, const py::object& x_argument, const py::object& lengths_of) {
    const bool one = PyIndex_Check(sessions.ptr()) && !PySequence_Check(sessions.ptr());
    std::int64_t one_id = 0;
    std::optional<Array<std::int64_t>> several;
    if (one) {
      one_id = id_argument("sessions", sessions);
    } else {
      const bool listed = py::isinstance<py::list>(sessions) || py::isinstance<py::tuple>(sessions);
      if (listed && py::len(sessions) == 0)  // which NumPy reads as floats
        throw py::value_error("sessions is empty; expected at least one id");
      several = integers_argument("sessions", sessions);
      check_shape("sessions", *several, {{"sessions", -1}});
    }
    const std::int64_t count = one ? 1 : several->size(), inputs = pool_.input_size();
    const Array<T> x = as_array<T>("x", x_argument);
    const bool chunk = x.ndim() == (one ? 2 : 3);
    Layout layout{chunk ? -1 : 1, count, !one, batch_first_ && chunk};
    Dims dims;
    if (chunk) dims = layout.dims("input_size", inputs);
    else if (one) dims = {{"input_size", inputs}};
    else dims = {{"sessions", count}, {"input_size", inputs}};
    check_shape("x", x, dims);
    if (chunk) layout.seq_len = x.shape(!one && batch_first_ ? 1 : 0);
    if (layout.seq_len < 1) throw py::value_error("x has shape " + shape_text(x) + "; expected at least one step");
    const std::optional<std::vector<std::int64_t>> lengths =
        lengths_argument(lengths_of, {layout.seq_len, count, !one, false});

    Shape shape(x.shape(), x.shape() + x.ndim());
    shape.back() = pool_.output_size();
    Array<T> y = empty_array<T>(shape);
    SessionCall<T> call;
    call.sessions = one ? &one_id : several->data();
    call.count = count;
    call.seq_len = layout.seq_len;
    call.x = layout.view(x.data(), inputs);
    call.y = layout.view(y.mutable_data(), pool_.output_size());
    call.lengths = lengths ? lengths->data() : nullptr;
    without_gil([&] { pool_.step(call); });
    return y;
  }

  std::int64_t open() { return pool_.open(); }
  void close(const py::object& session) { pool_.close(id_argument("session", session)); }
  void reset(const py::object& session) { pool_.reset(id_argument("session", session)); }
  void reserve(std::int64_t capacity) { pool_.reserve(capacity); }
  std::int64_t capacity() const { return pool_.capacity(); }
  py::list sessions() const {
    py::list ids;
    for (const std::int64_t id : pool_.sessions()) ids.append(id);
    return ids;
  }

  py::object state(const py::object& session) const {
    std::vector<T> flat(static_cast<std::size_t>(pool_.state_size()));
    pool_.save_state(id_argument("session", session), flat.data());
    return states_.object(flat.data(), 1);
  }
  void set_state(const py::object& session, const py::object& value) {
    const std::int64_t id = id_argument("session", session);
    pool_.load_state(id, states_.numbers("state", value, 1).data());
  }

  // All ids and, row by row, their states in the order of BasicModel::state_size.
  py::tuple save_state() const {
    const std::vector<std::int64_t> ids = pool_.sessions();
    const std::int64_t count = static_cast<std::int64_t>(ids.size()), size = pool_.state_size();
    Array<std::int64_t> kept = empty_array<std::int64_t>({count});
    Array<T> states = empty_array<T>({count, size});
    for (std::int64_t i = 0; i < count; ++i) {
      kept.mutable_data()[i] = ids[static_cast<std::size_t>(i)];
      pool_.save_state(kept.data()[i], states.mutable_data() + i * size);
    }
    return py::make_tuple(kept, states);
  }
  // Wrong ids are found before the pool grows.
  void load_state(std::int64_t capacity, const py::object& sessions, const py::object& states_argument) {
    const char* const name = "saved['sessions']";
    const Array<std::int64_t> ids = integers_argument(name, sessions);
    check_shape(name, ids, {{"sessions", -1}});
    const Array<T> states = as_array<T>("saved['states']", states_argument);
    check_shape("saved['states']", states, {{"sessions", ids.size()}, {"state_size", pool_.state_size()}});
    check_size("saved['capacity']", capacity, 1);
    const std::int64_t slots = std::max(capacity, pool_.capacity());
    for (py::ssize_t i = 0; i < ids.size(); ++i)
      if (const std::int64_t id = ids.data()[i]; id < 0 || SessionTable::slot_of(id) >= slots)
        refuse(std::string(name) + "[" + std::to_string(i) + "]", std::to_string(id),
               "an id that a pool of " + std::to_string(slots) + " sessions gives out");
    pool_.reserve(slots);
    try {
      pool_.restore(ids.data(), ids.size(), states.data());
    } catch (const std::invalid_argument&) {
      throw_from("saved: ");
    }
  }

 private:
  ModelStates<T> states_;
  bool batch_first_ = false;
  SessionPool<T> pool_;
};

// It begins with what Python's inspect takes for a signature.
constexpr const char* step_doc = R"(step(self, sessions, x, lengths=None)
--

Take some sessions forward, as ``gru_native.SessionPool.step`` says.
)";

template <class T>
void register_pool(py::module_& m) {
  using P = PySessionPool<T>;
  py::options options;
  options.disable_function_signatures();
  py::class_<P>(m, (std::string("SessionPool") + suffix<T>).c_str())
      .def(py::init<const PyLayer<T>&, std::int64_t>(), py::arg("layer"), py::arg("capacity"))
      .def(py::init<const py::list&, std::int64_t, bool>(), py::arg("layer"), py::arg("capacity"),
           py::arg("batch_first"))
      .def("step", &P::step, py::arg("sessions"), py::arg("x"), py::arg("lengths") = py::none(), step_doc)
      .def("open", &P::open)
      .def("close", &P::close, py::arg("session"))
      .def("reset", &P::reset, py::arg("session"))
      .def("reserve", &P::reserve, py::arg("capacity"))
      .def_property_readonly("capacity", &P::capacity)
      .def("sessions", &P::sessions)
      .def("state", &P::state, py::arg("session"))
      .def("set_state", &P::set_state, py::arg("session"), py::arg("state"))
      .def("save_state", &P::save_state)
      .def("load_state", &P::load_state, py::arg("capacity"), py::arg("sessions"), py::arg("states"));
}

}  // namespace

void register_sessions(py::module_& m) {
  register_pool<float>(m);
  register_pool<double>(m);
}

}  // namespace gru_native::bindings
