// Edits of weights: arrays of their own, which become a layer's weights at the end.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "engine/matrix/weight_edit.h"

namespace gru_native::bindings {

// As setflags(write=False), which takes longer than all else that a small edit does with an array.
inline void make_read_only(const py::array& array) {
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
}

// An array of memory that it keeps alive.
template <class T>
py::array weight_view(const Weight<T>& w, const std::shared_ptr<const void>& memory) {
  auto owner = std::make_unique<std::shared_ptr<const void>>(memory);
  const py::capsule base(owner.get(), [](void* p) { delete static_cast<std::shared_ptr<const void>*>(p); });
  [[maybe_unused]] const auto* const of_base = owner.release();
  py::array view(py::dtype::of<std::remove_const_t<T>>(), std::vector<py::ssize_t>(w.shape.begin(), w.shape.end()),
                 w.data, base);
  if (std::is_const_v<T>) make_read_only(view);
  return view;
}

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

// Numbers go into weights and come out of them by this alone, so that what Python reads is of one edit.
void copy(const std::vector<Copy>& copies);
// Into memory that holds numbers already: all of them or, where this throws, none. Nothing interrupts it.
void overwrite(const std::vector<Copy>& copies);

// An edit of a layer of any kind. It ends once, or changes nothing.
class PyEdit {
 public:
  virtual ~PyEdit() = default;
  virtual py::list names() const = 0;
  // The weight as it is, read only. Like the next two it raises KeyError for another name.
  virtual py::array weight(const std::string& name) const = 0;
  // What it will be, if anything has asked for that; else None.
  virtual py::object made(const std::string& name) const = 0;
  // What it will be, to be written. When first asked for it is a copy of the weight or, without `copied`, may hold
  // anything. After the end it is read only.
  virtual py::array array(const std::string& name, bool copied) = 0;
  // The weight itself, for what end_edits() calls to write to.
  virtual void* in_place(const std::string& name) = 0;
  bool ended() const { return ended_; }
  // Without effect, but for the arrays: they are read only from now on.
  void cancel();

 protected:
  friend void end_edits(const std::vector<PyEdit*>& edits, const std::function<void()>& write);
  virtual std::vector<py::array> arrays() const = 0;
  virtual std::vector<Copy> copies() const = 0;  // of the arrays to the weights
  virtual std::unique_ptr<EditEnd> take() = 0;
  bool ended_ = false;
  bool in_place_ = false;  // something is written there
};

// Ends edits of different layers as one. write(), if there is one, puts numbers where in_place() says, after what the
// arrays hold; it must throw before it writes, if at all, and nothing is then changed.
void end_edits(const std::vector<PyEdit*>& edits, const std::function<void()>& write = nullptr);

template <class T>
class LayerEdit final : public PyEdit {
 public:
  LayerEdit(const std::shared_ptr<const void>& layer, WeightEdit<T> edit)
      : layer_(layer), edit_(take_impl(edit)), weights_(edit_->weights), made_(weights_.size()) {}

  py::list names() const override {
    py::list names;
    for (const Weight<T>& w : weights_) names.append(w.name);
    return names;
  }
  py::array weight(const std::string& name) const override {
    const Weight<T>& w = weights_[place(name)];
    return weight_view(Weight<const T>{w.name, w.shape, w.data}, layer_);
  }
  py::object made(const std::string& name) const override {
    const Made& m = made_[place(name)];
    return m.array ? py::object(*m.array) : py::none();
  }
  py::array array(const std::string& name, bool copied) override {
    const std::size_t i = place(name);
    Made& m = made_[i];
    if (m.array) return *m.array;
    if (ended_) return weight(name);
    const Weight<T>& w = weights_[i];
    if (!memory_) memory_ = edit_->memory();
    T* const data = memory_->template take<T>(w.size());
    if (copied) copy({{data, w.data, static_cast<std::size_t>(w.size()) * sizeof(T)}});
    if (m.array) return *m.array;  // of another thread meanwhile
    m.array = weight_view(Weight<T>{w.name, w.shape, m.data = data}, memory_);
    return *m.array;
  }
  void* in_place(const std::string& name) override {
    in_place_ = true;
    return weights_[place(name)].data;
  }

 private:
  struct Made {
    std::optional<py::array> array;
    T* data = nullptr;
  };

  std::size_t place(const std::string& name) const {
    // From where the last one was: weights are mostly asked for in their order, and there may be many.
    for (std::size_t k = 0; k < weights_.size(); ++k) {
      const std::size_t i = (last_ + k) % weights_.size();
      if (weights_[i].name == name) return last_ = i;
    }
    throw py::key_error(name);
  }
  std::vector<py::array> arrays() const override {
    std::vector<py::array> all;
    for (const Made& m : made_)
      if (m.array) all.push_back(*m.array);
    return all;
  }
  std::vector<Copy> copies() const override {
    std::vector<Copy> copies;
    for (std::size_t i = 0; i < made_.size(); ++i)
      if (made_[i].array)
        copies.push_back({weights_[i].data, made_[i].data, static_cast<std::size_t>(weights_[i].size()) * sizeof(T)});
    return copies;
  }
  std::unique_ptr<EditEnd> take() override { return std::move(edit_); }

  std::shared_ptr<const void> layer_;
  std::unique_ptr<ImplOf<WeightEdit<T>>> edit_;
  const std::vector<Weight<T>>& weights_;  // the layer's
  std::shared_ptr<Arena> memory_;
  std::vector<Made> made_;
  mutable std::size_t last_ = 0;
};

template <class T>
std::unique_ptr<PyEdit> open_edit(const std::shared_ptr<const void>& layer, WeightEdit<T> edit) {
  return std::make_unique<LayerEdit<T>>(layer, std::move(edit));
}

}  // namespace gru_native::bindings
