// The blocks of a model at work on a batch, one window of steps after the other.
#pragma once
#include <deque>
#include <memory>
#include <vector>

#include "engine/model/dense.h"
#include "engine/model/operation.h"
#include "engine/sequence/packed.h"
#include "engine/sequence/stack_forward.h"
#include "gru_native/model.h"
#include "spec/chain_width.h"

namespace gru_native {

// What a block computes with: the weights of one moment.
template <class T>
struct BlockWeights {
  LayerSpec spec;
  std::shared_ptr<const PackedWeights<T>> layer;  // or
  std::shared_ptr<const PackedDense<T>> dense;    // or
  std::shared_ptr<const PackedOperation<T>> operation;
  Index inputs, outputs;  // columns
  Index kept = 0;         // numbers of each sequence that an operation keeps

  // Behind something with so many columns.
  BlockWeights(const Layer<T>& l, Index inputs);
  BlockWeights(const Dense<T>& d, Index inputs);
  BlockWeights(const Operation<T>& o, Index inputs);
  Index h_size() const { return layer ? spec.num_layers * spec.state_size() : 0; }  // of each sequence
  Index c_size() const { return layer && spec.has_c() ? spec.num_layers * spec.hidden_size : 0; }
  int threads(Index rows, Index steps) const;
  double macs_of_row() const;
};

// Multiply-adds of a row through all of them.
template <class T>
double macs_of_row(const std::vector<BlockWeights<T>>& blocks);

template <class T>
std::vector<BlockWeights<T>> weights_of(const std::shared_ptr<const BasicModel<T>>& model);

// std::invalid_argument for what cannot go on from step to step, and for a batch whose buffers have a size that no
// address can hold. name: the batch's among the user's arguments.
template <class T>
void check_stages(const std::vector<BlockWeights<T>>& blocks, const char* name, std::int64_t batch);

// The same of what runs on up to so many threads. Returns the batch.
template <class T>
std::int64_t checked(const std::vector<BlockWeights<T>>& blocks, const char* name, std::int64_t batch, int threads);

template <class T>
class Stages {
 public:
  // For at most `batch` rows.
  Stages(const std::vector<BlockWeights<T>>& blocks, Index batch);
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;

  Timeline time;  // of the window that comes next; to be set before it
  Index window;   // the most steps of one
  Index input() const { return stages_.front().weights.inputs; }
  Index output() const { return stages_.back().weights.outputs; }
  // The threads that are worth it for so many steps of `rows` rows, and at most `most`.
  int threads(Index rows, Index steps, int most) const;
  const T* zeros() const { return zeros_; }  // a row of inputs

  // Throws std::invalid_argument for an x that makes no sense.
  void check(const Sequences<const T>& x, Index seq_len, Index batch, const std::int64_t* lengths) const;

  // x: compact rows of `time`. Returns the steps of y, which `output_len` knows before.
  Index run(Rows<const T> x, const StepRows<T>& y, TeamLease& team);
  Index output_len(Index steps) const;

  // Whether one row on one thread finds its way planned: through layers whose steps are (DirectionForward::run_row),
  // and dense layers. And its steps, at most a window; y: or nullptr.
  bool plans_rows() const { return !row_.empty(); }
  void run_row(const T* x, Index x_step, T* y, Index y_step, Index steps);

  // f(stack, where its h begins, where its c begins): in the states of `batch` sequences, block after block; -1: it has
  // no c. g(stream of an operation, where its numbers begin).
  template <class F, class G>
  void each_state(Index batch, const F& f, const G& g) {
    Index at = 0;
    for (Stage& s : stages_) {
      const Index c = at + batch * s.weights.h_size(), end = c + batch * s.weights.c_size();
      if (s.stack) f(*s.stack, at, end > c ? c : Index(-1));
      if (s.stream) g(*s.stream, at);
      at = end + batch * s.weights.kept;
    }
  }
  template <class F>
  void each_stack(Index batch, const F& f) {
    each_state(batch, f, [](OperationStream<T>&, Index) {});
  }
  Index state_size() const;  // of each sequence

  std::vector<BlockWeights<T>> weights() const {
    std::vector<BlockWeights<T>> all;
    for (const Stage& s : stages_) all.push_back(s.weights);
    return all;
  }

 private:
  void connect();
  void plan_rows();
  struct Stage {
    const BranchSpec* branch() const { return weights.operation ? branch_of(weights.operation->spec) : nullptr; }
    BlockWeights<T> weights;
    std::unique_ptr<StackForward<T>> stack;  // of a layer
    std::unique_ptr<OperationStream<T>> stream;  // of an operation that keeps something
    Matrix<T> out;                           // of one window: what later stages read
    std::vector<Index> from;                 // the stages it reads: of a join one for each path; -1: x of the call
    const Timeline* time;                    // its steps
    Timeline* after;                         // those of its outputs, if they are others; else null
    Product<T> row;                          // of a dense layer, for a row by itself
    Index row_at_once;                       // steps of it that nobody would want to interrupt
    bool writes_to_y;                        // a dense layer that does, of a row by itself, where it is the last
  };
  void run_row(Stage& dense, const T* x, Index x_step, Matrix<T> out, Index steps);

  std::deque<Timeline> later_;  // which stay where they are
  std::deque<Stage> stages_;  // which stay where they are
  Arena arena_;
  const T* zeros_;
  std::vector<Stage*> row_;  // for a row by itself: all of them, or none
};

}  // namespace gru_native
