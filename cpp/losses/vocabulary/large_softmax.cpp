#include "losses/vocabulary/large_softmax.h"

#include "spec/check_large_softmax.h"

namespace gru_native {

template <class T>
LargeSoftmax<T>::Impl::Impl(const LargeSoftmaxSpec& spec) : spec(spec) {
  const std::int64_t words = spec.vocab_size;
  if (const auto* sampled = std::get_if<SampledSoftmax>(&spec.kind))
    draws.emplace(sampled->proposal, sampled->counts, words);
  if (const auto* contrastive = std::get_if<NoiseContrastive>(&spec.kind))
    draws.emplace(contrastive->proposal, contrastive->counts, words);
  if (const auto* two_levels = std::get_if<ClassSoftmax>(&spec.kind)) classes.emplace(words, two_levels->classes);
  if (const auto* binary = std::get_if<TreeSoftmax>(&spec.kind)) tree.emplace(words, binary->counts);
  at = each_weight(
      spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { return store.add(name, shape); });
}

template <class T>
Index LargeSoftmax<T>::Impl::num_samples() const {
  if (const auto* sampled = std::get_if<SampledSoftmax>(&spec.kind)) return sampled->num_samples;
  if (const auto* contrastive = std::get_if<NoiseContrastive>(&spec.kind)) return contrastive->num_samples;
  return 0;
}

template <class T>
LargeSoftmax<T>::LargeSoftmax(const LargeSoftmaxSpec& spec) {
  spec.validate();
  impl_ = std::make_unique<Impl>(spec);
  impl_->store.commit(*impl_);
}
template <class T>
LargeSoftmax<T>::~LargeSoftmax() = default;
template <class T>
LargeSoftmax<T>::LargeSoftmax(LargeSoftmax&&) noexcept = default;
template <class T>
LargeSoftmax<T>& LargeSoftmax<T>::operator=(LargeSoftmax&&) noexcept = default;
template <class T>
const LargeSoftmaxSpec& LargeSoftmax<T>::spec() const {
  return impl_->spec;
}
template <class T>
const std::vector<Weight<const T>>& LargeSoftmax<T>::weights() const {
  return impl_->store.list();
}
template <class T>
WeightEdit<T> LargeSoftmax<T>::edit() {
  return impl_->store.edit(*impl_);
}

template <class T>
std::shared_ptr<const LargeSoftmaxTape<T>> LargeSoftmax<T>::forward_with_tape(const LargeSoftmaxCall<T>& call) const {
  check_call(impl_->spec, call);
  return make_handle<LargeSoftmaxTape<T>>(impl_->learn(call));
}
template <class T>
void LargeSoftmax<T>::check(const LargeSoftmaxTape<T>& tape) const {
  impl_->store.check(impl_of(tape));
}

template <class T>
LargeSoftmaxTape<T>::LargeSoftmaxTape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
template <class T>
LargeSoftmaxTape<T>::~LargeSoftmaxTape() = default;
template <class T>
LargeSoftmaxTape<T>::LargeSoftmaxTape(LargeSoftmaxTape&&) noexcept = default;
template <class T>
LargeSoftmaxTape<T>& LargeSoftmaxTape<T>::operator=(LargeSoftmaxTape&&) noexcept = default;
template <class T>
double LargeSoftmaxTape<T>::loss() const {
  return impl_->loss;
}
template <class T>
std::int64_t LargeSoftmaxTape<T>::num_rows() const {
  return impl_->num_rows;
}
template <class T>
const std::vector<std::int64_t>& LargeSoftmaxTape<T>::rows() const {
  return impl_->rows;
}

// What is defined here; learn.cpp, backward.cpp and all_words.cpp have the rest.
template class LargeSoftmax<float>;
template class LargeSoftmax<double>;
template class LargeSoftmaxTape<float>;
template class LargeSoftmaxTape<double>;

}  // namespace gru_native
