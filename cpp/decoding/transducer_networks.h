// The networks of a transducer at work on many beginnings of labels at once.
#pragma once
#include <optional>
#include <vector>

#include "engine/model/session_pool.h"
#include "engine/shares.h"
#include "gru_native/transducer_decoding.h"
#include "runtime/interruption.h"
#include "runtime/memory.h"

namespace gru_native {

// A model over rows that have nothing to do with each other, by the weights of one moment.
template <class T>
class RowModel {
 public:
  explicit RowModel(const std::shared_ptr<const BasicModel<T>>& model);
  RowModel(const RowModel& other);

  const std::vector<BlockWeights<T>>& weights() const { return weights_; }
  Index state_size() const { return pool_.state_size(); }
  // y = one step of x, both [rows] at strides. Row i begins in the state at from[i], null: zeros, and its next state
  // goes to to[i], where a model has states.
  void step(Index rows, const T* x, Index x_stride, T* y, Index y_stride, const std::vector<const T*>& from,
            const std::vector<T*>& to);

 private:
  const std::vector<BlockWeights<T>> weights_;
  SessionPool<T> pool_;
  std::vector<std::int64_t> sessions_;
};

template <class T>
class TransducerAtWork {
 public:
  // What the prediction network knows of a beginning lies in a slot. That of no labels is always there.
  static constexpr Index start = 0;
  struct Step {
    Index from, to;  // slots
    std::int64_t label;
  };
  struct Pair {
    const T* encoded;
    Index slot;
  };

  explicit TransducerAtWork(const TransducerNetworks<T>& networks);
  TransducerAtWork(const TransducerAtWork& other);

  const RowModel<T>& prediction() const { return prediction_; }
  const std::optional<RowModel<T>>& output() const { return output_; }
  Index predicted_size() const { return networks_.prediction->output_size(); }
  const T* state(Index slot) const { return states_.data() + slot * prediction_.state_size(); }
  const T* predicted(Index slot) const { return predicted_.data() + slot * predicted_size(); }
  void fill_slot(Index slot, const T* state, const T* predicted);
  std::int64_t classes() const { return networks_.classes; }
  std::int64_t blank() const { return networks_.blank; }
  Index take_slot();
  void give_back(Index slot) { free_.push_back(slot); }
  // All slots; then some of them are in use after all. Neither asks for memory.
  void give_back_all();
  void keep(Index slot);
  // All `from` are read before any `to` is written.
  void predict(const std::vector<Step>& steps);
  // f(first, count, logits [count][classes]) for parts of the pairs, one after the other.
  template <class F>
  void each_logits(const std::vector<Pair>& pairs, const F& f) {
    const Index all = static_cast<Index>(pairs.size());
    for (Index first = 0; first < all; first += at_once_) {
      look();
      const Index count = std::min(at_once_, all - first);
      f(first, count, logits(pairs.data() + first, count));
    }
  }

 private:
  void feed(const std::vector<Step>& steps, const T* from);
  const T* logits(const Pair* pairs, Index count);
  void join(const Pair* pairs, Index count);

  const TransducerNetworks<T> networks_;
  RowModel<T> prediction_;
  std::optional<RowModel<T>> output_;
  const Index at_once_, stride_;        // rows of logits; columns of a joined row, padded
  Block joined_, logits_;               // rows at once; of `joint` e_t and g_u lie in the first apart
  std::vector<T> states_, predicted_;   // [slot]
  std::vector<T> inputs_, outputs_, next_states_;
  std::vector<Index> free_;
};

}  // namespace gru_native
