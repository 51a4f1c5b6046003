#include "bindings/edits.h"

#include <pybind11/stl.h>

#include <cstring>

#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/without_gil.h"
#include "engine/model/stores.h"
#include "runtime/interruption.h"

namespace gru_native::bindings {
namespace {

// Of all weights: held while they are copied. Never destroyed: threads may outlive static objects at exit.
BriefLock& numbers = *new BriefLock;  // NOLINT(bugprone-throwing-static-initialization): no memory, no module

void copy_locked(const std::vector<Copy>& copies, const std::function<void()>& write = nullptr) {
  const std::lock_guard<BriefLock> lock(numbers);
  for (const Copy& c : copies) std::memcpy(c.to, c.from, c.bytes);
  if (write) write();
}

// Pages come into being when they are first written to. That takes longer than to copy, and needs no lock.
void touch(const std::vector<Copy>& copies) {
  constexpr Index page = 4096;
  for (const Copy& c : copies) {
    char* const to = static_cast<char*>(c.to);
    in_parts(0, static_cast<Index>(c.bytes) / page, macs_of_new_number / sizeof(float) * page, 1,
             [&](Index begin, Index end) {
               for (Index k = begin; k < end; ++k) to[k * page] = 0;
             });
  }
}

// Copying them takes no longer than handing the GIL over.
bool are_few(const std::vector<Copy>& copies) {
  std::size_t bytes = 0;
  for (const Copy& c : copies) bytes += c.bytes;
  return bytes < 1 << 20;
}

py::list copies_of(const std::vector<py::array>& arrays) {
  py::list fresh;
  std::vector<Copy> copies;
  for (const py::array& a : arrays) {
    if (!(a.flags() & py::array::c_style)) throw py::value_error("an array is not contiguous");
    py::array to(a.dtype(), std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()));
    copies.push_back({to.mutable_data(), a.data(), static_cast<std::size_t>(a.nbytes())});
    fresh.append(to);
  }
  copy(copies);
  return fresh;
}

// Layers, and a context for each `with` block: what its thread computes inside is with the weights of its beginning.
class Together {
 public:
  explicit Together(const py::list& layers) {
    for (const py::handle layer : layers)
      if (!add<PyLayer<float>>(layer) && !add<PyLayer<double>>(layer) && !add<PyDense<float>>(layer) &&
          !add<PyDense<double>>(layer) && !add<PyOperation<float>>(layer) && !add<PyOperation<double>>(layer))
        throw py::type_error("blocks[" + std::to_string(stores_.size()) + "] " + no_weights);
  }
  void enter() const { new Moment(stores_, this); }  // exit() ends it
  void exit(const py::object&, const py::object&, const py::object&) const { delete Moment::last_of(this); }

 private:
  template <class Class>
  bool add(const py::handle& layer) {
    if (!py::isinstance<Class>(layer)) return false;
    const auto& own = layer.cast<const Class&>().layer;
    kept_.push_back(own);
    stores_.push_back(&store_of(*own));
    return true;
  }
  std::vector<std::shared_ptr<const void>> kept_;
  std::vector<const AnyStore*> stores_;
};

}  // namespace

void copy(const std::vector<Copy>& copies) {
  if (are_few(copies)) copy_locked(copies);
  else without_gil([&] { touch(copies), copy_locked(copies); });
}

void overwrite(const std::vector<Copy>& copies) {
  if (are_few(copies)) copy_locked(copies);
  else without_gil([&] { copy_locked(copies); });
}

void PyEdit::cancel() {
  ended_ = true;
  for (const py::array& array : arrays()) make_read_only(array);
}

// Layers of which nothing was asked for stay as they are.
void end_edits(const std::vector<PyEdit*>& edits, const std::function<void()>& write) {
  std::vector<Copy> copies;
  std::vector<PyEdit*> changed;
  for (PyEdit* edit : edits) {
    if (edit->ended_) throw py::value_error("this edit has ended");
    const std::vector<Copy> own = edit->copies();
    if (edit->in_place_ || !own.empty()) changed.push_back(edit);
    copies.insert(copies.end(), own.begin(), own.end());
    edit->cancel();
  }
  if (changed.empty()) return;
  std::vector<std::unique_ptr<EditEnd>> taken;
  std::vector<EditEnd*> ends;
  taken.reserve(changed.size());
  for (PyEdit* edit : changed) ends.push_back(taken.emplace_back(edit->take()).get());
  without_gil([&] { end_together(std::move(ends), [&] { copy_locked(copies, write); }); });
}

void register_edits(py::module_& m) {
  py::class_<PyEdit>(m, "Edit", "An edit of a layer's weights; see cpp/bindings/edits.h.")
      .def("names", &PyEdit::names)
      .def("weight", &PyEdit::weight, py::arg("name"))
      .def("made", &PyEdit::made, py::arg("name"))
      .def("array", &PyEdit::array, py::arg("name"), py::arg("copied") = true)
      .def("places",
           [](const py::object& edit) {
             py::list places;
             for (const py::handle name : edit.cast<PyEdit&>().names()) places.append(py::make_tuple(edit, name));
             return places;
           })
      .def("end", [](PyEdit& edit) { end_edits({&edit}); })
      .def("cancel", &PyEdit::cancel)
      .def_property_readonly("ended", &PyEdit::ended);
  m.def(
      "end_edits", [](const std::vector<PyEdit*>& edits) { end_edits(edits); }, py::arg("edits"),
      "Ends edits of different layers as one.");
  m.def("copies_of", &copies_of, py::arg("arrays"), "Copies of contiguous arrays, all from between two edits.");
  py::class_<Together>(m, "Together", "Layers whose weights calls take at one moment: that at which a block begins.")
      .def(py::init<const py::list&>(), py::arg("layers"))
      .def("__enter__", &Together::enter)
      .def("__exit__", &Together::exit);
}

}  // namespace gru_native::bindings
