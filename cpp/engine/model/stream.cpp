#include "gru_native/stream.h"

#include <algorithm>
#include <utility>

#include "engine/model/stages.h"
#include "engine/model/stream_blocks.h"
#include "engine/sequence/layer_impl.h"
#include "runtime/interruption.h"
#include "runtime/serial.h"
#include "spec/check_model.h"
#include "spec/checks.h"

namespace gru_native {

template <class T>
struct Stream<T>::Impl {
  Impl(const std::vector<BlockWeights<T>>& blocks, std::int64_t batch, int threads);

  const Serial serial;
  const Index batch;
  const int threads;
  const double macs;  // of a step
  Stages<T> stages;
  // So many steps of a row at most go the shortest way: one window, one thread, and over before anybody would ask
  // whether they should end.
  const Index few_steps;

  Index few_of_row() const;

  Index run(Sequences<const T> x, Sequences<T> y, Index seq_len);
  Index run_row(Sequences<const T> x, Sequences<T> y, Index seq_len);
};

template <class T>
Stream<T>::Impl::Impl(const std::vector<BlockWeights<T>>& blocks, std::int64_t batch, int threads)
    : batch(checked(blocks, "batch_size", batch, threads)),
      threads(threads),
      macs(static_cast<double>(batch) * macs_of_row(blocks)),
      stages(blocks, batch),
      few_steps(few_of_row()) {}

template <class T>
Index Stream<T>::Impl::few_of_row() const {
  if (!stages.plans_rows()) return 0;
  Index few = std::min(stages.window, static_cast<Index>(macs_between_looks / 10 / macs));
  while (few > 0 && stages.threads(1, few, threads) > 1) few /= 2;
  return few;
}

template <class T>
Index Stream<T>::Impl::run(Sequences<const T> x, Sequences<T> y, Index seq_len) {
  const int wanted = stages.threads(batch, seq_len, threads);
  if (wanted == 1 && stages.plans_rows()) return run_row(x, y, seq_len);
  TeamLease team(wanted, {this, seq_len * batch});
  // Rows of different steps that lie unevenly would need a table: then one step at a time.
  const bool even = batch == 1 || x.step_stride == batch * x.batch_stride;
  const Index at_once = even ? stages.window : 1;
  Progress progress;
  Index made = 0;
  for (Index t = 0; t < seq_len; t += at_once) {
    stages.time.seq_len = std::min(at_once, seq_len - t);
    progress.add(macs * static_cast<double>(stages.time.seq_len));
    stages.time.rows = stages.time.seq_len * batch;
    const Sequences<T> to{y.data ? y.data + made * y.step_stride : nullptr, y.step_stride, y.batch_stride};
    made += stages.run({x.data + t * x.step_stride, batch == 1 ? x.step_stride : x.batch_stride, nullptr},
                       StepRows<T>::as_user_has_them(to, nullptr), team);
  }
  return made;
}

template <class T>
Index Stream<T>::Impl::run_row(Sequences<const T> x, Sequences<T> y, Index seq_len) {
  Progress progress;
  for (Index t = 0; t < seq_len; t += stages.window) {
    const Index now = std::min(stages.window, seq_len - t);
    progress.add(macs * static_cast<double>(now));
    stages.run_row(x.data + t * x.step_stride, x.step_stride, y.data ? y.data + t * y.step_stride : nullptr,
                   y.step_stride, now);
  }
  return seq_len;
}

template <class T>
Stream<T>::Stream(const Layer<T>& layer, std::int64_t batch, int threads)
    : impl_(std::make_unique<Impl>(std::vector<BlockWeights<T>>{{layer, layer.spec().input_size}}, batch, threads)) {}
template <class T>
Stream<T>::Stream(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t batch, int threads)
    : impl_(std::make_unique<Impl>(weights_of(model), batch, threads)) {}
template <class T>
Stream<T>::Stream(const Stream& other)
    : impl_(std::make_unique<Impl>(other.impl_->stages.weights(), other.batch(), other.impl_->threads)) {
  std::vector<T> state(static_cast<std::size_t>(other.state_size()));
  other.save_state(state.data());
  load_state(state.data());
}
template <class T>
Stream<T>& Stream<T>::operator=(const Stream& other) {
  return *this = Stream(other);
}
template <class T>
Stream<T>::~Stream() = default;
template <class T>
Stream<T>::Stream(Stream&&) noexcept = default;
template <class T>
Stream<T>& Stream<T>::operator=(Stream&&) noexcept = default;

template <class T>
std::int64_t Stream<T>::batch() const noexcept {
  return impl_->batch;
}
template <class T>
std::int64_t Stream<T>::input_size() const noexcept {
  return impl_->stages.input();
}
template <class T>
std::int64_t Stream<T>::output_size() const noexcept {
  return impl_->stages.output();
}

template <class T>
std::int64_t Stream<T>::output_len(std::int64_t frames) const noexcept {
  return impl_->stages.output_len(frames);
}

template <class T>
std::int64_t Stream<T>::process(const T* in, T* out, std::int64_t frames) noexcept {
  const Index b = impl_->batch, i = impl_->stages.input(), o = impl_->stages.output();
  if (frames > 0 && frames <= impl_->few_steps) {
    impl_->stages.run_row(in, i, out, o, frames);
    return frames;
  }
  const Sequences<const T> x{in, b * i, i};
  const Sequences<T> y{out, b * o, o};
  if (impl_->macs * static_cast<double>(frames) < macs_between_looks / 10) return impl_->run(x, y, frames);
  const Uninterrupted whole;
  return impl_->run(x, y, frames);
}

template <class T>
std::int64_t Stream<T>::process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len) {
  check_stream(impl_->stages.input(), impl_->stages.output(), x, y, seq_len, impl_->batch,
               impl_->stages.output_len(seq_len));
  if (seq_len > 0 && seq_len <= impl_->few_steps) {
    impl_->stages.run_row(x.data, x.step_stride, y.data, y.step_stride, seq_len);
    return seq_len;
  }
  impl_->stages.check(x, seq_len, impl_->batch, nullptr);
  const double macs = impl_->macs * static_cast<double>(seq_len);
  if (macs < macs_between_looks / 10) return impl_->run(x, y, seq_len);
  if (macs < macs_at_once || !can_be_interrupted()) {
    const Uninterrupted whole;
    return impl_->run(x, y, seq_len);
  }
  std::vector<T> state(static_cast<std::size_t>(state_size()));
  save_state(state.data());
  try {
    return impl_->run(x, y, seq_len);
  } catch (const Interrupted&) {
    load_state(state.data());
    throw;
  }
}

template <class T>
void Stream<T>::prewarm(std::int64_t frames) noexcept {
  const Uninterrupted whole;
  impl_->run({impl_->stages.zeros(), 0, 0}, {}, frames);
}

template <class T>
std::int64_t Stream<T>::state_size() const noexcept {
  return impl_->batch * impl_->stages.state_size();
}
template <class T>
void Stream<T>::save_state(T* to) const noexcept {
  const Uninterrupted whole;
  impl_->stages.each_state(
      impl_->batch,
      [&](const StackForward<T>& stack, Index h, Index c) { stack.store_state({to + h, c < 0 ? nullptr : to + c}); },
      [&](const OperationStream<T>& stream, Index at) { stream.store(to + at); });
}
template <class T>
void Stream<T>::load_state(const T* from) noexcept {
  const Uninterrupted whole;
  impl_->stages.each_state(
      impl_->batch,
      [&](StackForward<T>& stack, Index h, Index c) { stack.load_state({from + h, c < 0 ? nullptr : from + c}); },
      [&](OperationStream<T>& stream, Index at) { stream.load(from + at); });
}
template <class T>
void Stream<T>::reset() noexcept {
  const Uninterrupted whole;
  impl_->stages.each_state(
      impl_->batch, [](StackForward<T>& stack, Index, Index) { stack.load_state({}); },
      [](OperationStream<T>& stream, Index) { stream.load(nullptr); });
}

namespace {

template <class T>
std::shared_ptr<Layer<T>> layer_of(const PackedWeights<T>& packed, const LayerSpec& spec) {
  if (spec.precision != Precision::full) return nullptr;
  auto made = std::make_shared<Layer<T>>(spec);
  unpack(packed, spec, made->edit().weights(), impl_of(*made).index);
  return made;
}
template <class T>
std::shared_ptr<Dense<T>> dense_of(const PackedDense<T>& packed) {
  const DenseSpec& spec = packed.spec;
  if (spec.precision != Precision::full) return nullptr;
  auto made = std::make_shared<Dense<T>>(spec);
  const auto edit = made->edit();
  unpack_panels(packed.weight, spec.output_size, packed.lanes,
                [&](int, Index row) { return edit[0].data + row * spec.input_size; });
  if (spec.bias) std::copy_n(packed.bias.data(), spec.output_size, edit[1].data);
  return made;
}

template <class T>
std::shared_ptr<Operation<T>> operation_of(const PackedOperation<T>& packed) {
  auto made = std::make_shared<Operation<T>>(packed.spec);
  packed.unpack(made->edit().weights());
  return made;
}

}  // namespace

template <class T>
std::vector<NewBlock<T>> blocks_of(const std::vector<BlockWeights<T>>& weights) {
  std::vector<NewBlock<T>> blocks;
  for (const BlockWeights<T>& w : weights) {
    if (w.operation) blocks.push_back(operation_of(*w.operation));
    else if (w.dense) blocks.push_back(dense_of(*w.dense));
    else blocks.push_back(layer_of(*w.layer, w.spec));
  }
  return blocks;
}
template <class T>
std::vector<NewBlock<T>> blocks_of(const Stream<T>& stream) {
  return blocks_of(impl_of(stream).stages.weights());
}

template class Stream<float>;
template class Stream<double>;
template std::vector<NewBlock<float>> blocks_of(const std::vector<BlockWeights<float>>&);
template std::vector<NewBlock<double>> blocks_of(const std::vector<BlockWeights<double>>&);
template std::vector<NewBlock<float>> blocks_of(const Stream<float>&);
template std::vector<NewBlock<double>> blocks_of(const Stream<double>&);

}  // namespace gru_native
