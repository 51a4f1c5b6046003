#include "engine/model/stages.h"

#include <algorithm>
#include <stdexcept>

#include "engine/matrix/matrices.h"
#include "engine/model/stores.h"
#include "engine/threads.h"
#include "gru_native/runtime.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

// A window of steps passes through all blocks before the next one does, so buffers have a fixed size.
constexpr Index longest_window = 256;
constexpr Index window_bytes = 256 * 1024;  // of the widest block's outputs

}  // namespace

template <class T>
BlockWeights<T>::BlockWeights(const Layer<T>& l) : spec(l.spec()), layer(impl_of(l).current()) {}
template <class T>
BlockWeights<T>::BlockWeights(const Dense<T>& d) : dense(impl_of(d).current()) {}

template <class T>
int BlockWeights<T>::threads(Index rows, Index steps) const {
  return dense ? useful_threads(dense->spec, rows) : useful_threads(spec, rows, steps);
}

template <class T>
double BlockWeights<T>::macs_of_row() const {
  return dense ? gru_native::macs_of_row(dense->spec) : gru_native::macs_of_row(spec);
}

template <class T>
double macs_of_row(const std::vector<BlockWeights<T>>& blocks) {
  double sum = 0;
  for (const BlockWeights<T>& b : blocks) sum += b.macs_of_row();
  return sum;
}

template <class T>
std::vector<BlockWeights<T>> weights_of(const std::shared_ptr<const BasicModel<T>>& model) {
  if (!model) throw std::invalid_argument("model is null");
  const Moment moment(stores_of(model->blocks()));
  std::vector<BlockWeights<T>> blocks;
  for (const ModelBlock<T>& block : model->blocks()) std::visit([&](const auto& b) { blocks.emplace_back(*b); }, block);
  return blocks;
}

template <class T>
void check_stages(const std::vector<BlockWeights<T>>& blocks, const char* name, std::int64_t batch) {
  check_size(name, batch, 1);
  double row = 0;
  for (const BlockWeights<T>& b : blocks) {
    if (b.spec.bidirectional)
      throw std::invalid_argument(
          "a bidirectional layer has no stream: its reverse direction begins at the end of the sequence");
    row += static_cast<double>(b.spec.num_layers) * static_cast<double>(b.spec.gates() * b.spec.hidden_size + 1024);
    row += static_cast<double>(b.output());
  }
  check_fits("the states", static_cast<double>(batch) * row, {{name, batch}});
}

template <class T>
std::int64_t checked(const std::vector<BlockWeights<T>>& blocks, const char* name, std::int64_t batch, int threads) {
  check_stages(blocks, name, batch);
  check_size("threads", threads, 1);
  if (threads > 1) get_num_threads();  // an impossible GRU_NATIVE_NUM_THREADS is reported here
  return batch;
}

template <class T>
Stages<T>::Stages(const std::vector<BlockWeights<T>>& blocks, Index batch) {
  for (const BlockWeights<T>& b : blocks) stages_.push_back({b, nullptr, {}});
  Index widest = 1;
  for (const BlockWeights<T>& b : blocks) widest = std::max(widest, b.output());
  window = window_bytes / (batch * widest * static_cast<Index>(sizeof(T)));
  window = std::max<Index>(1, std::min(window, longest_window));
  time = Timeline(window, batch, nullptr);
  zeros_ = arena_.take<T>(input());
  for (Stage& s : stages_) {
    const BlockWeights<T>& w = s.weights;
    if (w.layer)
      s.stack = std::make_unique<StackForward<T>>(w.spec, *w.layer, time, window, nullptr, Dropout(), Draw{}, arena_);
    if (w.layer && &s == &stages_.back()) continue;  // it writes to y
    const Index stride = padded_stride(w.dense ? w.dense->columns() : w.output(), sizeof(T));
    s.out = {arena_.take<T>(window * batch * stride), stride};
  }
  arena_.touch();  // so that no page comes into being in the first call
}

template <class T>
int Stages<T>::threads(Index rows, Index steps, int most) const {
  int wanted = 1;
  if (most > 1)
    for (const Stage& s : stages_) wanted = std::max(wanted, std::min(most, s.weights.threads(rows * steps, steps)));
  return wanted;
}

template <class T>
Index Stages<T>::state_size() const {
  Index sum = 0;
  for (const Stage& s : stages_) sum += s.weights.h_size() + s.weights.c_size();
  return sum;
}

template <class T>
void Stages<T>::run(Rows<const T> x, const StepRows<T>& y, TeamLease& team) {
  for (Stage& s : stages_) {
    const bool last = &s == &stages_.back();
    if (s.stack) {
      s.stack->run(x, last ? y : StepRows<T>::compact(s.out), team);
    } else {
      dense_forward(*s.weights.dense, x, time.rows, s.out, team);
      for (Index t = 0; last && t < time.seq_len; ++t) {
        const Rows<T> to = y.at(time, t);
        for (Index row = 0; to.base && row < time.alive(t); ++row)
          std::copy_n(s.out.base + (time.first(t) + row) * s.out.stride, output(), row_at(to, row));
      }
    }
    x = rows_from(s.out, 0);
  }
}

template struct BlockWeights<float>;
template struct BlockWeights<double>;
template double macs_of_row(const std::vector<BlockWeights<float>>&);
template double macs_of_row(const std::vector<BlockWeights<double>>&);
template std::vector<BlockWeights<float>> weights_of(const std::shared_ptr<const BasicModel<float>>&);
template std::vector<BlockWeights<double>> weights_of(const std::shared_ptr<const BasicModel<double>>&);
template void check_stages(const std::vector<BlockWeights<float>>&, const char*, std::int64_t);
template void check_stages(const std::vector<BlockWeights<double>>&, const char*, std::int64_t);
template std::int64_t checked(const std::vector<BlockWeights<float>>&, const char*, std::int64_t, int);
template std::int64_t checked(const std::vector<BlockWeights<double>>&, const char*, std::int64_t, int);
template class Stages<float>;
template class Stages<double>;

}  // namespace gru_native
