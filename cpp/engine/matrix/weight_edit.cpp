#include "engine/matrix/weight_edit.h"

#include <new>
#include <stdexcept>

#include "spec/names.h"

namespace gru_native {

template <class T>
WeightEdit<T>::WeightEdit(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
WeightEdit<T>::WeightEdit(WeightEdit&&) noexcept = default;
template <class T>
WeightEdit<T>::~WeightEdit() {
  if (impl_) impl_->end();
}

template <class T>
const std::vector<Weight<T>>& WeightEdit<T>::weights() const {
  return impl_->weights;
}
template <class T>
const Weight<T>& WeightEdit<T>::operator[](std::int64_t i) const {
  return impl_->weights[static_cast<std::size_t>(i)];
}
template <class T>
const Weight<T>& WeightEdit<T>::operator[](std::string_view name) const {
  std::string expected;
  for (const Weight<T>& w : impl_->weights) {
    if (w.name == name) return w;
    expected += (expected.empty() ? "" : ", ") + w.name;
  }
  throw std::invalid_argument(shown(std::string(name)) + " is no weight of this layer; expected one of " + expected);
}

template <class T>
void end_together(std::vector<WeightEdit<T>> edits) {
  std::vector<std::unique_ptr<EditEnd>> taken;
  std::vector<EditEnd*> ends;
  taken.reserve(edits.size());
  ends.reserve(edits.size());
  for (WeightEdit<T>& edit : edits) taken.push_back(take_impl(edit)), ends.push_back(taken.back().get());
  try {
    end_together(ends, [] {});
  } catch (const std::bad_alloc&) {
    for (EditEnd* edit : ends) edit->end();
    throw;
  }
}

template class WeightEdit<float>;
template class WeightEdit<double>;
template void end_together(std::vector<WeightEdit<float>>);
template void end_together(std::vector<WeightEdit<double>>);

}  // namespace gru_native
