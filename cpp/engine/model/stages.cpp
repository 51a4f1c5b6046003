#include "engine/model/stages.h"

#include <algorithm>
#include <stdexcept>

#include "engine/matrix/matrices.h"
#include "engine/model/join.h"
#include "engine/model/stores.h"
#include "engine/threads.h"
#include "gru_native/runtime.h"
#include "runtime/denormals.h"
#include "spec/check_operation.h"
#include "spec/checks.h"
#include "spec/options.h"

namespace gru_native {
namespace {

// A window of steps passes through all blocks before the next one does, so buffers have a fixed size.
constexpr Index longest_window = 256;
constexpr Index window_bytes = 256 * 1024;  // of the widest block's outputs

}  // namespace

template <class T>
BlockWeights<T>::BlockWeights(const Layer<T>& l, Index)
    : spec(l.spec()), layer(impl_of(l).current()), inputs(spec.input_size), outputs(spec.output_size()) {}
template <class T>
BlockWeights<T>::BlockWeights(const Dense<T>& d, Index)
    : dense(impl_of(d).current()), inputs(dense->spec.input_size), outputs(dense->spec.output_size) {}
template <class T>
BlockWeights<T>::BlockWeights(const Operation<T>& o, Index inputs)
    : operation(impl_of(o).current()),
      inputs(inputs),
      outputs(o.spec().output_size(inputs)),
      kept(o.spec().state_size(inputs)) {}

template <class T>
int BlockWeights<T>::threads(Index rows, Index steps) const {
  if (operation) return useful_threads(operation->macs_of_row(inputs) * static_cast<double>(rows));
  return dense ? useful_threads(dense->spec, rows) : useful_threads(spec, rows, steps);
}

template <class T>
double BlockWeights<T>::macs_of_row() const {
  if (operation) return operation->macs_of_row(inputs);
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
  ChainWidth width(model->input_size());
  for (const ModelBlock<T>& block : model->blocks()) {
    std::visit(
        [&](const auto& b) {
          blocks.emplace_back(*b, width.width());
          width.add("blocks", b->spec());
        },
        block);
    blocks.back().outputs = width.width();
  }
  return blocks;
}

template <class T>
void check_stages(const std::vector<BlockWeights<T>>& blocks, const char* name, std::int64_t batch) {
  check_size(name, batch, 1);
  double row = 0;
  int paths = 0;  // that this block stands in
  for (const BlockWeights<T>& b : blocks) {
    if (const BranchSpec* const branch = b.operation ? branch_of(b.operation->spec) : nullptr)
      paths += branch->mark == BranchSpec::fork ? 1 : is_join(branch->mark) ? -1 : 0;
    if (paths > 0 && b.operation && !keeps_steps(b.operation->spec))
      throw std::invalid_argument(std::string("a ") + type_of(b.operation->spec) +
                                  " that changes steps has no stream within a branch, whose other paths have theirs");
    if (b.spec.bidirectional)
      throw std::invalid_argument(
          "a bidirectional layer has no stream: its reverse direction begins at the end of the sequence");
    row += static_cast<double>(b.spec.num_layers) * static_cast<double>(b.spec.gates() * b.spec.hidden_size + 1024);
    if (b.operation) check_streamable(b.operation->spec);
    row += static_cast<double>(b.outputs) + 3 * static_cast<double>(b.kept);
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
  for (const BlockWeights<T>& b : blocks)
    stages_.push_back({b, nullptr, nullptr, {}, {}, &time, nullptr, {}, 0, false});
  connect();
  Index widest = 1;
  for (const BlockWeights<T>& b : blocks) widest = std::max(widest, b.outputs);
  window = window_bytes / (batch * widest * static_cast<Index>(sizeof(T)));
  window = std::max<Index>(1, std::min(window, longest_window));
  time = Timeline(window, batch, nullptr);
  zeros_ = arena_.take_zeroed<T>(input());
  const Timeline* now = &time;
  for (Stage& s : stages_) {
    const BlockWeights<T>& w = s.weights;
    s.time = now;
    if (w.operation) s.stream = w.operation->stream(w.inputs, batch, window, arena_);
    if (w.operation && !keeps_steps(w.operation->spec)) now = s.after = &later_.emplace_back(window, batch, nullptr);
    if (w.layer)
      s.stack = std::make_unique<StackForward<T>>(w.spec, *w.layer, *now, window, nullptr, Dropout(), Draw{}, arena_);
    if (s.stack) s.stack->load_state({});  // which may be learned
    if (w.layer && &s == &stages_.back()) continue;  // it writes to y
    const Index stride = w.operation ? panel_stride<T>(w.operation->columns_written(w.outputs))
                                     : padded_stride(w.dense ? w.dense->columns() : w.outputs, sizeof(T));
    s.out = {arena_.take<T>(window * batch * stride), stride};
  }
  arena_.touch();  // so that no page comes into being in the first call
  plan_rows();
}

template <class T>
void Stages<T>::plan_rows() {
  if (time.batch != 1) return;
  for (const Stage& s : stages_)
    if (!s.weights.dense && !(s.stack && s.stack->plans_rows())) return;
  for (Stage& s : stages_) {
    row_.push_back(&s);
    if (!s.weights.dense) continue;
    s.row = dense_product(*s.weights.dense);
    s.row.start = {s.weights.dense->bias.data(), 0, nullptr};
    s.writes_to_y = s.row.one_column && s.weights.dense->spec.activation == DenseActivation::identity;
    s.row_at_once =
        static_cast<Index>(macs_between_looks / macs_of_panel(s.row) / static_cast<double>(s.row.panel_end));
  }
}

template <class T>
void Stages<T>::run_row(const T* x, Index x_step, T* y, Index y_step, Index steps) {
  const FlushDenormals flush;
  for (Stage* const s : row_) {
    const bool last = s == row_.back();
    if (last && y && s->writes_to_y) return run_row(*s, x, x_step, {y, y_step}, steps);
    if (!s->stack) run_row(*s, x, x_step, s->out, steps);
    else if (last) return s->stack->run_row(x, x_step, y, y_step, steps);
    else s->stack->run_row(x, x_step, s->out.base, s->out.stride, steps);
    x = s->out.base, x_step = s->out.stride;
  }
  if (!y) return;
  if (output() == 1) {
    for (Index t = 0; t < steps; ++t) y[t * y_step] = x[t * x_step];
  } else {
    for (Index t = 0; t < steps; ++t) std::copy_n(x + t * x_step, output(), y + t * y_step);
  }
}

template <class T>
void Stages<T>::run_row(Stage& dense, const T* x, Index x_step, Matrix<T> out, Index steps) {
  dense.row.a = {x, x_step, nullptr};
  dense.row.acc = rows_of(out);
  dense.row.row_end = steps;
  if (steps <= dense.row_at_once) kernels_for<T>().product(dense.row);
  else multiply(dense.row);
  activate(dense.weights.dense->spec.activation, out, dense.weights.outputs, {0, steps});
}

template <class T>
void Stages<T>::connect() {
  Branches<Index> branches;
  Index now = -1;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (const BranchSpec* const branch = stages_[i].branch()) {
      branches.pass("blocks", branch->mark, now, [&](const std::vector<Index>& ends) {
        stages_[i].from = ends;
        return static_cast<Index>(i);
      });
    } else {
      stages_[i].from = {now};
      now = static_cast<Index>(i);
    }
  }
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
  for (const Stage& s : stages_) sum += s.weights.h_size() + s.weights.c_size() + s.weights.kept;
  return sum;
}

template <class T>
void Stages<T>::check(const Sequences<const T>& x, Index seq_len, Index batch, const std::int64_t* lengths) const {
  const BlockWeights<T>& first = stages_.front().weights;
  if (first.operation) first.operation->check(x, seq_len, batch, lengths);
}

template <class T>
Index Stages<T>::output_len(Index steps) const {
  for (const Stage& s : stages_)
    if (s.stream) steps = s.stream->output_len(steps);
  return steps;
}

template <class T>
Index Stages<T>::run(Rows<const T> given, const StepRows<T>& y, TeamLease& team) {
  for (Stage& s : stages_) {
    if (s.from.empty()) continue;  // a fork, or between two paths
    const auto made_by = [&](Index stage) {
      return stage < 0 ? given : rows_from(stages_[static_cast<std::size_t>(stage)].out, 0);
    };
    const Rows<const T> x = made_by(s.from.front());
    const bool last = &s == &stages_.back();
    const BlockWeights<T>& w = s.weights;
    const Timeline& after = s.after ? *s.after : *s.time;
    if (s.stack) {
      s.stack->run(x, last ? y : StepRows<T>::compact(s.out), team);
    } else if (const BranchSpec* const branch = s.branch()) {
      Index column = 0;
      for (std::size_t i = 0; i < s.from.size(); ++i) {
        const Index columns = s.from[i] < 0 ? input() : stages_[static_cast<std::size_t>(s.from[i])].weights.outputs;
        join_path(branch->mark, i == 0, made_by(s.from[i]), columns, column, s.out, 0, s.time->rows);
        column += columns;
      }
    } else if (s.stream) {
      const Index steps = s.stream->run(x, s.time->seq_len, s.out, team);
      if (s.after) s.after->seq_len = steps, s.after->rows = steps * s.after->batch;
      if (steps == 0) return 0;
    } else if (w.dense) {
      dense_forward(*w.dense, x, s.time->rows, s.out, team);
    } else {
      w.operation->forward({*s.time, *s.time, w.inputs, w.outputs, 0, nullptr}, x, s.out, team, nullptr);
    }
    for (Index t = 0; last && !s.stack && t < after.seq_len; ++t) {
      const Rows<T> to = y.at(after, t);
      for (Index row = 0; to.base && row < after.alive(t); ++row)
        std::copy_n(s.out.base + (after.first(t) + row) * s.out.stride, output(), row_at(to, row));
    }
    if (last) return after.seq_len;
  }
  return 0;
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
