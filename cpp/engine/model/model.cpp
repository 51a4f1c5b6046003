// A chain of blocks over whole sequences.
#include "gru_native/model.h"

#include "engine/model/stores.h"
#include "runtime/memory.h"
#include "spec/check_model.h"

namespace gru_native {
namespace {

struct Sizes {
  std::int64_t input, output, state;  // state: for each sequence
};

template <class T>
Sizes sizes_of(const Layer<T>& layer) {
  const LayerSpec& s = layer.spec();
  const std::int64_t row = s.state_size() + (s.has_c() ? s.hidden_size : 0);
  return {s.input_size, s.directions() * s.output_size(), s.num_layers * s.directions() * row};
}
template <class T>
Sizes sizes_of(const Dense<T>& dense) {
  return {dense.spec().input_size, dense.spec().output_size, 0};
}
template <class T>
Sizes sizes_of(const ModelBlock<T>& block) {
  return std::visit([](const auto& b) { return sizes_of(*b); }, block);
}

template <class T>
void run(const Layer<T>& layer, const ModelCall<T>& call) {
  const LayerSpec& spec = layer.spec();
  const std::int64_t h = spec.num_layers * spec.directions() * call.batch * spec.state_size();
  ForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.x = call.x;
  f.lengths = call.lengths;
  f.initial = {call.initial, call.initial && spec.has_c() ? call.initial + h : nullptr};
  f.y = call.y;
  f.final = {call.final, call.final && spec.has_c() ? call.final + h : nullptr};
  layer.forward(f);
}
template <class T>
void run(const Dense<T>& dense, const ModelCall<T>& call) {
  DenseForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.x = call.x;
  f.lengths = call.lengths;
  f.y = call.y;
  dense.forward(f);
}

}  // namespace

template <class T>
struct BasicModel<T>::Impl {
  std::vector<ModelBlock<T>> blocks;
  std::vector<const AnyStore*> stores;  // of the blocks
  std::shared_ptr<ArenaPool> arenas;
};

template <class T>
BasicModel<T>::BasicModel(std::vector<ModelBlock<T>> all)
    : impl_(std::make_unique<Impl>(Impl{std::move(all), {}, std::make_shared<ArenaPool>()})) {
  const std::vector<ModelBlock<T>>& blocks = impl_->blocks;
  if (blocks.empty()) throw std::invalid_argument("blocks is empty; expected at least one");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string name = "blocks[" + std::to_string(i) + "]";
    if (std::visit([](const auto& b) { return !b; }, blocks[i])) throw std::invalid_argument(name + " is null");
    if (i == 0) continue;
    const std::int64_t from = sizes_of(blocks[i - 1]).output, to = sizes_of(blocks[i]).input;
    if (from != to)
      throw std::invalid_argument(name + " has input_size " + std::to_string(to) + "; expected " +
                                  std::to_string(from) + ", the output size of the block before it");
  }
  impl_->stores = stores_of(blocks);
}

template <class T>
BasicModel<T>::~BasicModel() = default;
template <class T>
BasicModel<T>::BasicModel(BasicModel&&) noexcept = default;
template <class T>
BasicModel<T>& BasicModel<T>::operator=(BasicModel&&) noexcept = default;

template <class T>
const std::vector<ModelBlock<T>>& BasicModel<T>::blocks() const {
  return impl_->blocks;
}
template <class T>
std::int64_t BasicModel<T>::input_size() const {
  return sizes_of(impl_->blocks.front()).input;
}
template <class T>
std::int64_t BasicModel<T>::output_size() const {
  return sizes_of(impl_->blocks.back()).output;
}
template <class T>
std::int64_t BasicModel<T>::state_size(std::int64_t batch) const {
  std::int64_t each = 0;
  for (const ModelBlock<T>& b : impl_->blocks) each += sizes_of(b).state;
  check_states(batch, each);
  return batch * each;
}

template <class T>
void BasicModel<T>::forward(const ModelCall<T>& call) const {
  check_model(input_size(), output_size(), call);
  const auto arena = impl_->arenas->lease();
  const Moment moment(impl_->stores);
  ModelCall<T> part = call;
  for (std::size_t i = 0; i < impl_->blocks.size(); ++i) {
    const Sizes sizes = sizes_of(impl_->blocks[i]);
    part.y = call.y;
    if (i + 1 < impl_->blocks.size())
      part.y = {arena->template take<T>(call.seq_len * call.batch * sizes.output), call.batch * sizes.output,
                sizes.output};
    std::visit([&](const auto& b) { run(*b, part); }, impl_->blocks[i]);
    part.x = {part.y.data, part.y.step_stride, part.y.batch_stride};
    if (part.initial) part.initial += call.batch * sizes.state;
    if (part.final) part.final += call.batch * sizes.state;
  }
}

template class BasicModel<float>;
template class BasicModel<double>;

}  // namespace gru_native
