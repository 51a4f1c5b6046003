// A chain of blocks over whole sequences.
#include "gru_native/model.h"

#include <algorithm>

#include "engine/model/join.h"
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
void run(const Layer<T>& layer, const ModelCall<T>& call, std::int64_t, std::int64_t) {
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
void run(const Dense<T>& dense, const ModelCall<T>& call, std::int64_t, std::int64_t) {
  DenseForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.x = call.x;
  f.lengths = call.lengths;
  f.y = call.y;
  dense.forward(f);
}

template <class T>
void run(const Operation<T>& operation, const ModelCall<T>& call, std::int64_t inputs, std::int64_t channels) {
  OperationForwardCall<T> f;
  f.seq_len = call.seq_len;
  f.batch = call.batch;
  f.input_size = inputs;
  f.channels = channels;
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
  std::vector<std::int64_t> channels;   // of images there; 0: there are none
  std::vector<const AnyStore*> stores;  // of the blocks
  std::shared_ptr<ArenaPool> arenas;
};

template <class T>
BasicModel<T>::BasicModel(std::vector<ModelBlock<T>> all)
    : impl_(std::make_unique<Impl>(Impl{std::move(all), {}, {}, {}, std::make_shared<ArenaPool>()})) {
  const std::vector<ModelBlock<T>>& blocks = impl_->blocks;
  if (blocks.empty()) throw std::invalid_argument("blocks is empty; expected at least one");
  ChainWidth width;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string name = "blocks[" + std::to_string(i) + "]";
    if (std::visit([](const auto& b) { return !b; }, blocks[i])) throw std::invalid_argument(name + " is null");
    std::visit([&](const auto& b) { width.add(name, b->spec()); }, blocks[i]);
  }
  ChainWidth known(width.checked_input_size());
  impl_->widths.push_back(known.width());
  impl_->channels.push_back(known.channels());
  for (const ModelBlock<T>& block : blocks) {
    std::visit([&](const auto& b) { known.add("blocks", b->spec()); }, block);
    impl_->widths.push_back(known.width());
    impl_->channels.push_back(known.channels());
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
  return impl_->widths.front();
}
template <class T>
std::int64_t BasicModel<T>::output_size() const {
  return impl_->widths.back();
}
template <class T>
std::int64_t BasicModel<T>::output_len(std::int64_t seq_len) const {
  ChainSteps steps(seq_len);
  for (std::size_t i = 0; i < impl_->blocks.size(); ++i)
    std::visit([&](const auto& b) { steps.add("blocks[" + std::to_string(i) + "]", b->spec()); }, impl_->blocks[i]);
  return steps.steps();
}
template <class T>
std::int64_t BasicModel<T>::state_size(std::int64_t batch) const {
  std::int64_t each = 0;
  for (const ModelBlock<T>& block : impl_->blocks)
    each += std::visit([](const auto& b) { return gru_native::state_size(*b); }, block);
  check_states(batch, each);
  return batch * each;
}

namespace {

// What a block hands on. Behind the call's x these are compact rows of all steps.
template <class T>
struct Handed {
  Sequences<const T> x;
  std::int64_t seq_len, columns, channels;
  std::vector<std::int64_t> lengths;  // empty: all seq_len
};

// The same with 0 past the end of each sequence, in `to`: a path without blocks hands it on.
template <class T>
Sequences<const T> present(const Handed<T>& from, std::int64_t batch, const Sequences<T>& to) {
  Progress progress;
  for (std::int64_t t = 0; t < from.seq_len; ++t)
    for (std::int64_t b = 0; b < batch; ++b) {
      T* const row = to.data + t * to.step_stride + b * to.batch_stride;
      if (t < from.lengths[static_cast<std::size_t>(b)])
        std::copy_n(from.x.data + t * from.x.step_stride + b * from.x.batch_stride, from.columns, row);
      else std::fill_n(row, from.columns, T(0));
      progress.add(macs_of_copy * static_cast<double>(from.columns));
    }
  return {to.data, to.step_stride, to.batch_stride};
}

// Images side by side: their channels, at each height.
template <class T>
void join_channels(const std::vector<Handed<T>>& ends, std::int64_t batch, const Sequences<T>& y) {
  Progress progress;
  const std::int64_t height = ends.front().columns / ends.front().channels;
  std::int64_t channels = 0, from = 0;
  for (const Handed<T>& end : ends) channels += end.channels;
  for (const Handed<T>& end : ends) {
    for (std::int64_t t = 0; t < end.seq_len; ++t)
      for (std::int64_t b = 0; b < batch; ++b) {
        join_path<T>(BranchSpec::concat, false,
                     {end.x.data + t * end.x.step_stride + b * end.x.batch_stride, end.channels, nullptr}, end.channels,
                     from, {y.data + t * y.step_stride + b * y.batch_stride, channels}, 0, height);
        progress.add(macs_of_copy * static_cast<double>(end.columns));
      }
    from += end.channels;
  }
}

template <class T>
void join(BranchSpec::Mark mark, const std::vector<Handed<T>>& ends, std::int64_t batch, const Sequences<T>& y) {
  Progress progress;
  if (ends.front().channels > 0 && mark == BranchSpec::concat) return join_channels(ends, batch, y);
  for (std::int64_t t = 0; t < ends.front().seq_len; ++t) {
    std::int64_t from = 0;
    for (const Handed<T>& end : ends) {
      join_path<T>(mark, &end == &ends.front(), {end.x.data + t * end.x.step_stride, end.x.batch_stride, nullptr},
                   end.columns, from, {y.data + t * y.step_stride, y.batch_stride}, 0, batch);
      from += end.columns;
      progress.add(macs_of_copy * static_cast<double>(end.columns * batch));
    }
  }
}

}  // namespace

template <class T>
void BasicModel<T>::forward(const ModelCall<T>& call) const {
  check_model(input_size(), output_size(), output_len(call.seq_len), call);
  for (std::int64_t b = 0; call.lengths && b < call.batch; ++b) output_len(call.lengths[b]);  // whether paths join
  const auto arena = impl_->arenas->lease();
  const Moment moment(impl_->stores);
  ModelCall<T> part = call;
  Handed<T> now{call.x, call.seq_len, input_size(), impl_->channels.front(), {}};
  if (call.lengths) now.lengths.assign(call.lengths, call.lengths + call.batch);
  Branches<Handed<T>> branches;
  for (std::size_t i = 0; i < impl_->blocks.size(); ++i) {
    const ModelBlock<T>& block = impl_->blocks[i];
    const std::int64_t outputs = impl_->widths[i + 1];
    const auto steps = [&](std::int64_t n) {
      return std::visit([&](const auto& b) { return gru_native::output_len(b->spec(), n); }, block);
    };
    const auto room = [&](std::int64_t seq_len) -> Sequences<T> {
      if (i + 1 == impl_->blocks.size()) return call.y;
      return {arena->template take<T>(seq_len * call.batch * outputs), call.batch * outputs, outputs};
    };
    if (const auto* const mark = std::visit([](const auto& b) { return branch_of(b->spec()); }, block)) {
      if (mark->mark == BranchSpec::fork && !now.lengths.empty()) now.x = present(now, call.batch, room(now.seq_len));
      branches.pass("blocks", mark->mark, now, [&](const std::vector<Handed<T>>& ends) {
        Handed<T> joined = ends.front();
        const Sequences<T> y = room(joined.seq_len);
        join(mark->mark, ends, call.batch, y);
        joined.x = {y.data, y.step_stride, y.batch_stride};
        joined.columns = outputs;
        joined.channels = impl_->channels[i + 1];
        return joined;
      });
      continue;
    }
    part.seq_len = now.seq_len;
    part.x = now.x;
    part.lengths = now.lengths.empty() ? nullptr : now.lengths.data();
    now.seq_len = steps(now.seq_len);
    part.y = room(now.seq_len);
    std::visit([&](const auto& b) { run(*b, part, now.columns, now.channels); }, block);
    now.x = {part.y.data, part.y.step_stride, part.y.batch_stride};
    now.columns = outputs;
    now.channels = impl_->channels[i + 1];
    if (std::visit([](const auto& b) { return ends_time(b->spec()); }, block)) now.lengths.clear();
    for (std::int64_t& n : now.lengths) n = n > 0 ? std::max<std::int64_t>(0, steps(n)) : 0;
    const std::int64_t state = std::visit([](const auto& b) { return gru_native::state_size(*b); }, block);
    if (part.initial) part.initial += call.batch * state;
    if (part.final) part.final += call.batch * state;
  }
}

template <class T>
std::vector<ModelBlock<T>> parallel(const std::vector<std::vector<ModelBlock<T>>>& paths, BranchSpec::Mark join) {
  if (paths.empty()) throw std::invalid_argument("paths is empty; expected at least one");
  if (!is_join(join)) throw std::invalid_argument("join is fork or next; expected add, multiply or concat");
  const auto mark = [](BranchSpec::Mark m) {
    OperationSpec spec;
    spec.kind = BranchSpec{m};
    return std::make_shared<const Operation<T>>(spec);
  };
  std::vector<ModelBlock<T>> blocks{mark(BranchSpec::fork)};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (i > 0) blocks.push_back(mark(BranchSpec::next));
    blocks.insert(blocks.end(), paths[i].begin(), paths[i].end());
  }
  blocks.push_back(mark(join));
  return blocks;
}

template std::vector<ModelBlock<float>> parallel(const std::vector<std::vector<ModelBlock<float>>>&, BranchSpec::Mark);
template std::vector<ModelBlock<double>> parallel(const std::vector<std::vector<ModelBlock<double>>>&,
                                                  BranchSpec::Mark);
template class BasicModel<float>;
template class BasicModel<double>;

}  // namespace gru_native
