#include "gru_native/stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/model/stages.h"
#include "engine/model/stream_blocks.h"
#include "engine/sequence/layer_impl.h"
#include "gru_native/runtime.h"
#include "runtime/interruption.h"
#include "spec/check_model.h"
#include "spec/checks.h"

namespace gru_native {

template <class T>
struct Stream<T>::Impl {
  Impl(const std::vector<BlockWeights<T>>& blocks, std::int64_t batch, int threads);

<<<<<<< HEAD
  const Index batch;
  const int threads;
  Stages<T> stages;
=======
  Stage(const Layer<T>& l) : spec(l.spec()), layer(impl_of(l).current()) {}
  Stage(const Dense<T>& d) : dense(impl_of(d).current()) {}
  // The same weights, with no state yet.
  Stage anew() const { return Stage(*this, 0); }
  Index input() const { return dense ? dense->spec.input_size : spec.input_size; }
  Index output() const { return dense ? dense->spec.output_size : spec.output_size(); }
  Index h_size() const { return dense ? 0 : spec.num_layers * spec.state_size(); }  // of each sequence
  Index c_size() const { return dense || !spec.has_c() ? 0 : spec.num_layers * spec.hidden_size; }
  double macs() const {  // of a row
    if (dense) return static_cast<double>(input()) * static_cast<double>(output());
    return static_cast<double>(spec.num_layers * spec.gates() * spec.hidden_size) *
           static_cast<double>(spec.input_size + spec.recurrent_size());
  }
  int threads(Index rows, Index steps) const {
    return dense ? useful_threads(dense->spec, rows) : useful_threads(spec, rows, steps);
  }
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)

  void run(Sequences<const T> x, Sequences<T> y, Index seq_len);
};

namespace {

template <class T>
Index checked(const std::vector<BlockWeights<T>>& blocks, std::int64_t batch, int threads) {
  check_stages(blocks, "batch_size", batch);
  check_size("threads", threads, 1);
  if (threads > 1) get_num_threads();  // an impossible GRU_NATIVE_NUM_THREADS is reported here
  return batch;
}

}  // namespace

template <class T>
<<<<<<< HEAD
Stream<T>::Impl::Impl(const std::vector<BlockWeights<T>>& blocks, std::int64_t batch, int threads)
    : batch(checked(blocks, batch, threads)), threads(threads), stages(blocks, batch) {}

template <class T>
void Stream<T>::Impl::run(Sequences<const T> x, Sequences<T> y, Index seq_len) {
  TeamLease team(stages.threads(batch, seq_len, threads));
  // Rows of different steps that lie unevenly would need a table: then one step at a time.
  const bool even = batch == 1 || x.step_stride == batch * x.batch_stride;
  const Index at_once = even ? stages.window : 1;
  for (Index t = 0; t < seq_len; t += at_once) {
    stages.time.seq_len = std::min(at_once, seq_len - t);
    stages.time.rows = stages.time.seq_len * batch;
    const Sequences<T> to{y.data ? y.data + t * y.step_stride : nullptr, y.step_stride, y.batch_stride};
    stages.run({x.data + t * x.step_stride, batch == 1 ? x.step_stride : x.batch_stride, nullptr},
               StepRows<T>::as_user_has_them(to, nullptr), team);
=======
struct Stream<T>::Impl {
  std::deque<Stage<T>> stages;  // which stay where they are
  Timeline time;
  Index batch = 0, window = 0, input = 0, output = 0;
  double macs_of_row = 0;
  int threads = 1;
  Arena arena;
  const T* zeros = nullptr;

  void check(std::int64_t batch, int threads);
  void prepare(std::int64_t batch, int threads);
  void run(Rows<const T> x, Sequences<T> y, Index steps, TeamLease& team);
  void run_windows(Sequences<const T> x, Sequences<T> y, Index seq_len);
  template <class F>
  void each_state(const F& f) const;
};

template <class T>
void Stream<T>::Impl::check(std::int64_t batch, int threads) {
  check_size("batch_size", batch, 1);
  check_size("threads", threads, 1);
  // Every buffer of a stream must have a size that an address can hold.
  double row = 0;
  for (const Stage<T>& s : stages) {
    if (s.spec.bidirectional)
      throw std::invalid_argument(
          "a bidirectional layer has no stream: its reverse direction begins at the end of the sequence");
    row += static_cast<double>(s.spec.num_layers) * static_cast<double>(s.spec.gates() * s.spec.hidden_size + 1024);
    row += static_cast<double>(s.output());
  }
  check_fits("the states", static_cast<double>(batch) * row, {{"batch_size", batch}});
}

template <class T>
void Stream<T>::Impl::prepare(std::int64_t batch_, int threads_) {
  check(batch_, threads_);
  batch = batch_;
  threads = threads_;
  if (threads > 1) get_num_threads();  // an impossible GRU_NATIVE_NUM_THREADS is reported here
  input = stages.front().input();
  output = stages.back().output();
  Index widest = 1;
  macs_of_row = 0;
  for (const Stage<T>& s : stages) widest = std::max(widest, s.output()), macs_of_row += s.macs();
  window = window_bytes / (batch * widest * static_cast<Index>(sizeof(T)));
  window = std::max<Index>(1, std::min(window, longest_window));
  time = Timeline(window, batch, nullptr);
  zeros = arena.take<T>(input);
  for (Stage<T>& s : stages) {
    if (s.layer)
      s.stack = std::make_unique<StackForward<T>>(s.spec, *s.layer, time, window, nullptr, Dropout(), Draw{}, arena);
    if (s.layer && &s == &stages.back()) continue;  // it writes to y
    const Index stride = padded_stride(s.dense ? s.dense->columns() : s.output(), sizeof(T));
    s.out = {arena.take<T>(window * batch * stride), stride};
  }
  arena.zero();  // so that no page comes into being in the first call
}

// At most a window of steps, with x in even rows.
template <class T>
void Stream<T>::Impl::run(Rows<const T> x, Sequences<T> y, Index steps, TeamLease& team) {
  time.seq_len = steps;
  time.rows = steps * batch;
  for (Stage<T>& s : stages) {
    const bool last = &s == &stages.back();
    if (s.stack) {
      s.stack->run(x, last ? user_steps(y, time, arena) : StepRows<T>::compact(s.out), team);
    } else {
      dense_forward(*s.dense, x, time.rows, s.out, team);
      for (Index row = 0; last && y.data && row < time.rows; ++row)
        std::copy_n(s.out.base + row * s.out.stride, output,
                    y.data + row / batch * y.step_stride + row % batch * y.batch_stride);
    }
    x = {s.out.base, s.out.stride, nullptr};
  }
}

template <class T>
void Stream<T>::Impl::run_windows(Sequences<const T> x, Sequences<T> y, Index seq_len) {
  int wanted = 1;
  if (threads > 1)
    for (const Stage<T>& s : stages) wanted = std::max(wanted, std::min(threads, s.threads(seq_len * batch, seq_len)));
  TeamLease team(wanted);
  // Rows of different steps that lie unevenly would need a table: then one step at a time.
  const bool even = batch == 1 || x.step_stride == batch * x.batch_stride;
  const Index at_once = even ? window : 1;
  Progress progress;
  for (Index t = 0; t < seq_len; t += at_once) {
    progress.add(macs_of_row * static_cast<double>(batch * at_once));
    run({x.data + t * x.step_stride, batch == 1 ? x.step_stride : x.batch_stride, nullptr},
        {y.data ? y.data + t * y.step_stride : nullptr, y.step_stride, y.batch_stride}, std::min(at_once, seq_len - t),
        team);
  }
}

// f(stage, where its h begins, where its c begins)
template <class T>
template <class F>
void Stream<T>::Impl::each_state(const F& f) const {
  Index at = 0;
  for (const Stage<T>& s : stages) {
    const Index c = at + batch * s.h_size(), end = c + batch * s.c_size();
    if (s.stack) f(*s.stack, at, end > c ? c : -1);
    at = end;
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)
  }
}

template <class T>
Stream<T>::Stream(const Layer<T>& layer, std::int64_t batch, int threads)
    : impl_(std::make_unique<Impl>(std::vector<BlockWeights<T>>{layer}, batch, threads)) {}
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
void Stream<T>::process(const T* in, T* out, std::int64_t frames) noexcept {
<<<<<<< HEAD
  const Index b = impl_->batch, i = impl_->stages.input(), o = impl_->stages.output();
  impl_->run({in, b * i, i}, {out, b * o, o}, frames);
=======
  const Index b = impl_->batch, i = impl_->input, o = impl_->output;
  const Uninterrupted whole;
  impl_->run_windows({in, b * i, i}, {out, b * o, o}, frames);
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)
}

template <class T>
void Stream<T>::process(Sequences<const T> x, Sequences<T> y, std::int64_t seq_len) {
<<<<<<< HEAD
  check_stream(impl_->stages.input(), impl_->stages.output(), x, y, seq_len, impl_->batch);
  impl_->run(x, y, seq_len);
=======
  check_stream(impl_->input, impl_->output, x, y, seq_len, impl_->batch);
  const double macs = impl_->macs_of_row * static_cast<double>(seq_len * impl_->batch);
  if (macs < macs_between_looks / 10) return impl_->run_windows(x, y, seq_len);
  if (macs < macs_at_once || !can_be_interrupted()) {
    const Uninterrupted whole;
    return impl_->run_windows(x, y, seq_len);
  }
  std::vector<T> state(static_cast<std::size_t>(state_size()));
  save_state(state.data());
  try {
    impl_->run_windows(x, y, seq_len);
  } catch (const Interrupted&) {
    load_state(state.data());
    throw;
  }
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)
}

template <class T>
void Stream<T>::prewarm(std::int64_t frames) noexcept {
<<<<<<< HEAD
  impl_->run({impl_->stages.zeros(), 0, 0}, {}, frames);
=======
  const Uninterrupted whole;
  impl_->run_windows({impl_->zeros, 0, 0}, {}, frames);
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)
}

template <class T>
std::int64_t Stream<T>::state_size() const noexcept {
  return impl_->batch * impl_->stages.state_size();
}
template <class T>
void Stream<T>::save_state(T* to) const noexcept {
<<<<<<< HEAD
  impl_->stages.each_stack(impl_->batch, [&](const StackForward<T>& stack, Index h, Index c) {
    stack.store_state({to + h, c < 0 ? nullptr : to + c});
  });
}
template <class T>
void Stream<T>::load_state(const T* from) noexcept {
  impl_->stages.each_stack(impl_->batch, [&](StackForward<T>& stack, Index h, Index c) {
    stack.load_state({from + h, c < 0 ? nullptr : from + c});
  });
}
template <class T>
void Stream<T>::reset() noexcept {
  impl_->stages.each_stack(impl_->batch, [&](StackForward<T>& stack, Index, Index) { stack.load_state({}); });
=======
  const Uninterrupted whole;
  impl_->each_state(
      [&](const StackForward<T>& stack, Index h, Index c) { stack.store_state({to + h, c < 0 ? nullptr : to + c}); });
}
template <class T>
void Stream<T>::load_state(const T* from) noexcept {
  const Uninterrupted whole;
  impl_->each_state(
      [&](StackForward<T>& stack, Index h, Index c) { stack.load_state({from + h, c < 0 ? nullptr : from + c}); });
}
template <class T>
void Stream<T>::reset() noexcept {
  const Uninterrupted whole;
  impl_->each_state([&](StackForward<T>& stack, Index, Index) { stack.load_state({}); });
>>>>>>> db9a44b (Ctrl-C ends long calls: loops look from time to time whether to end, and whoever knows leaves)
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

}  // namespace

template <class T>
std::vector<NewBlock<T>> blocks_of(const Stream<T>& stream) {
  std::vector<NewBlock<T>> blocks;
  for (const BlockWeights<T>& w : impl_of(stream).stages.weights()) {
    if (w.dense) blocks.push_back(dense_of(*w.dense));
    else blocks.push_back(layer_of(*w.layer, w.spec));
  }
  return blocks;
}

template class Stream<float>;
template class Stream<double>;
template std::vector<NewBlock<float>> blocks_of(const Stream<float>&);
template std::vector<NewBlock<double>> blocks_of(const Stream<double>&);

}  // namespace gru_native
