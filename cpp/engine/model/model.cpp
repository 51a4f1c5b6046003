// A chain of blocks over whole sequences.
#include "gru_native/model.h"

#include <algorithm>

#include "engine/model/stores.h"
#include "runtime/memory.h"
#include "spec/chain_width.h"
#include "spec/check_model.h"
#include "spec/options.h"

namespace gru_native {
namespace {

// Numbers in the state of each sequence.
template <class T>
std::int64_t state_size(const Layer<T>& layer) {
  const LayerSpec& s = layer.spec();
  return s.num_layers * s.directions() * (s.state_size() + (s.has_c() ? s.hidden_size : 0));
}
template <class Block>
std::int64_t state_size(const Block&) {
  return 0;
}

template <class T>
void run(const Layer<T>& layer, const ModelCall<T>& call, std::int64_t) {
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
void run(const Dense<T>& dense, const ModelCall<T>& call, std::int64_t) {
  DenseForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.x = call.x;
  f.lengths = call.lengths;
  f.y = call.y;
  dense.forward(f);
}

template <class T>
void run(const Operation<T>& operation, const ModelCall<T>& call, std::int64_t inputs) {
  OperationForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.input_size = inputs;
  f.x = call.x;
  f.lengths = call.lengths;
  f.y = call.y;
  operation.forward(f);
}

}  // namespace

template <class T>
struct BasicModel<T>::Impl {
  std::vector<ModelBlock<T>> blocks;
  std::vector<std::int64_t> widths;     // columns before each block, and behind the last
  std::vector<const AnyStore*> stores;  // of the blocks
  std::shared_ptr<ArenaPool> arenas;
};

template <class T>
BasicModel<T>::BasicModel(std::vector<ModelBlock<T>> all)
    : impl_(std::make_unique<Impl>(Impl{std::move(all), {}, {}, std::make_shared<ArenaPool>()})) {
  const std::vector<ModelBlock<T>>& blocks = impl_->blocks;
  if (blocks.empty()) throw std::invalid_argument("blocks is empty; expected at least one");
  ChainWidth width;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string name = "blocks[" + std::to_string(i) + "]";
    if (std::visit([](const auto& b) { return !b; }, blocks[i])) throw std::invalid_argument(name + " is null");
    std::visit([&](const auto& b) { width.add(name, b->spec()); }, blocks[i]);
  }
  impl_->widths.push_back(width.checked_input_size());
  for (const ModelBlock<T>& block : blocks)
    impl_->widths.push_back(
        std::visit([&](const auto& b) { return gru_native::output_size(b->spec(), impl_->widths.back()); }, block));
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
  return impl_->widths.front();
}
template <class T>
std::int64_t BasicModel<T>::output_size() const {
  return impl_->widths.back();
}
template <class T>
std::int64_t BasicModel<T>::output_len(std::int64_t seq_len) const {
  for (const ModelBlock<T>& block : impl_->blocks)
    seq_len = std::visit([&](const auto& b) { return gru_native::output_len(b->spec(), seq_len); }, block);
  return seq_len;
}
template <class T>
std::int64_t BasicModel<T>::state_size(std::int64_t batch) const {
  std::int64_t each = 0;
  for (const ModelBlock<T>& block : impl_->blocks)
    each += std::visit([](const auto& b) { return gru_native::state_size(*b); }, block);
  check_states(batch, each);
  return batch * each;
}

template <class T>
void BasicModel<T>::forward(const ModelCall<T>& call) const {
  check_model(input_size(), output_size(), output_len(call.seq_len), call);
  const auto arena = impl_->arenas->lease();
  const Moment moment(impl_->stores);
  ModelCall<T> part = call;
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < impl_->blocks.size(); ++i) {
    const ModelBlock<T>& block = impl_->blocks[i];
    const std::int64_t outputs = impl_->widths[i + 1];
    const auto steps = [&](std::int64_t n) {
      return std::visit([&](const auto& b) { return gru_native::output_len(b->spec(), n); }, block);
    };
    const std::int64_t seq_len = steps(part.seq_len);
    part.y = call.y;
    if (i + 1 < impl_->blocks.size())
      part.y = {arena->template take<T>(seq_len * call.batch * outputs), call.batch * outputs, outputs};
    std::visit([&](const auto& b) { run(*b, part, impl_->widths[i]); }, block);
    part.x = {part.y.data, part.y.step_stride, part.y.batch_stride};
    part.seq_len = seq_len;
    if (std::visit([](const auto& b) { return ends_time(b->spec()); }, block)) part.lengths = nullptr;
    if (part.lengths) {
      std::vector<std::int64_t> next;
      for (std::int64_t b = 0; b < call.batch; ++b)
        next.push_back(part.lengths[b] > 0 ? std::max<std::int64_t>(0, steps(part.lengths[b])) : 0);
      lengths.swap(next);
      part.lengths = lengths.data();
    }
    const std::int64_t state = std::visit([](const auto& b) { return gru_native::state_size(*b); }, block);
    if (part.initial) part.initial += call.batch * state;
    if (part.final) part.final += call.batch * state;
  }
}

template class BasicModel<float>;
template class BasicModel<double>;

}  // namespace gru_native
