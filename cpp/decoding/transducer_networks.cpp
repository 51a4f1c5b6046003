#include "decoding/transducer_networks.h"

#include "engine/matrix/matrices.h"
#include "runtime/denormals.h"
#include "spec/check_decoding.h"
#include "spec/limits.h"

namespace gru_native {
namespace {

constexpr Index bytes_at_once = Index(1) << 22;  // of logits
constexpr Index most_rows_at_once = 1024;

template <class T>
Index logits_at_once(const TransducerNetworks<T>& n) {
  check_networks(n);
  const Index row = static_cast<Index>(sizeof(T)) * std::max({n.classes, n.encoded_size, Index(1)});
  return std::max<Index>(1, std::min(most_rows_at_once, bytes_at_once / row));
}

template <class T>
Index joined_size(const TransducerNetworks<T>& n) {
  const Index predicted = n.prediction->output_size();
  return n.join == TransducerJoin::add && !n.joint ? predicted : n.encoded_size + predicted;
}

}  // namespace

template <class T>
RowModel<T>::RowModel(const std::shared_ptr<const BasicModel<T>>& model)
    : weights_(weights_of(model)), pool_(pool_of(weights_, 1, most_threads)) {}
// Sessions are of a call, so they stay behind.
template <class T>
RowModel<T>::RowModel(const RowModel& other) : weights_(other.weights_), pool_(pool_of(weights_, 1, most_threads)) {}

template <class T>
void RowModel<T>::step(Index rows, const T* x, Index x_stride, T* y, Index y_stride, const std::vector<const T*>& from,
                       const std::vector<T*>& to) {
  if (rows > static_cast<Index>(sessions_.size())) {
    pool_.reserve(rows);
    sessions_.reserve(static_cast<std::size_t>(rows));
    while (static_cast<Index>(sessions_.size()) < rows) sessions_.push_back(pool_.open());
  }
  const bool has_state = pool_.state_size() > 0;
  for (Index i = 0; has_state && i < rows; ++i) {
    const std::int64_t session = sessions_[static_cast<std::size_t>(i)];
    if (const T* const state = from[static_cast<std::size_t>(i)]) pool_.load_state(session, state);
    else pool_.reset(session);
  }
  SessionCall<T> call;
  call.sessions = sessions_.data();
  call.count = rows;
  call.x = {x, 0, x_stride};
  call.y = {y, 0, y_stride};
  pool_.step(call);
  for (Index i = 0; has_state && i < rows; ++i)
    pool_.save_state(sessions_[static_cast<std::size_t>(i)], to[static_cast<std::size_t>(i)]);
}

template <class T>
TransducerAtWork<T>::TransducerAtWork(const TransducerNetworks<T>& networks)
    : networks_(networks),
      prediction_((check_networks(networks), networks.prediction)),
      at_once_(logits_at_once(networks)),
      stride_(panel_stride<T>(joined_size(networks))),
      joined_(static_cast<std::size_t>(at_once_ * stride_) * sizeof(T)),
      logits_(static_cast<std::size_t>(at_once_ * networks.classes) * sizeof(T)) {
  if (networks.output && !networks.joint) output_.emplace(networks.output);
  std::fill_n(reinterpret_cast<T*>(joined_.data()), at_once_ * stride_, T(0));
  take_slot();
  feed({{start, start, networks.blank}}, nullptr);
}
template <class T>
TransducerAtWork<T>::TransducerAtWork(const TransducerAtWork& other)
    : networks_(other.networks_),
      prediction_(other.prediction_),
      output_(other.output_),
      at_once_(other.at_once_),
      stride_(other.stride_),
      joined_(other.joined_.size()),
      logits_(other.logits_.size()),
      states_(other.states_),
      predicted_(other.predicted_),
      free_(other.free_) {
  free_.reserve(other.free_.capacity());
  std::fill_n(reinterpret_cast<T*>(joined_.data()), at_once_ * stride_, T(0));
}

template <class T>
void TransducerAtWork<T>::fill_slot(Index slot, const T* state, const T* predicted) {
  std::copy_n(state, prediction_.state_size(), states_.data() + slot * prediction_.state_size());
  std::copy_n(predicted, predicted_size(), predicted_.data() + slot * predicted_size());
}

template <class T>
Index TransducerAtWork<T>::take_slot() {
  if (!free_.empty()) {
    const Index slot = free_.back();
    free_.pop_back();
    return slot;
  }
  const Index slot = static_cast<Index>(predicted_.size()) / predicted_size();
  predicted_.resize(predicted_.size() + static_cast<std::size_t>(predicted_size()));
  states_.resize(states_.size() + static_cast<std::size_t>(prediction_.state_size()));
  free_.reserve(static_cast<std::size_t>(slot) + 1);
  return slot;
}

template <class T>
void TransducerAtWork<T>::give_back_all() {
  free_.clear();
  const Index slots = static_cast<Index>(predicted_.size()) / predicted_size();
  for (Index slot = slots - 1; slot > start; --slot) free_.push_back(slot);
}
template <class T>
void TransducerAtWork<T>::keep(Index slot) {
  free_.erase(std::remove(free_.begin(), free_.end(), slot), free_.end());
}

template <class T>
void TransducerAtWork<T>::predict(const std::vector<Step>& steps) {
  feed(steps, states_.data());
}

template <class T>
void TransducerAtWork<T>::feed(const std::vector<Step>& steps, const T* states) {
  if (steps.empty()) return;
  const Index rows = static_cast<Index>(steps.size()), inputs = networks_.prediction->input_size();
  const Index outputs = predicted_size(), numbers = prediction_.state_size();
  inputs_.resize(static_cast<std::size_t>(rows * inputs));
  outputs_.resize(static_cast<std::size_t>(rows * outputs));
  next_states_.resize(static_cast<std::size_t>(rows * numbers));
  std::vector<const T*> from;
  std::vector<T*> to;
  for (Index i = 0; i < rows; ++i) {
    const Step& s = steps[static_cast<std::size_t>(i)];
    std::copy_n(networks_.embedding.data() + s.label * inputs, inputs, inputs_.data() + i * inputs);
    from.push_back(states ? states + s.from * numbers : nullptr);
    to.push_back(next_states_.data() + i * numbers);
  }
  prediction_.step(rows, inputs_.data(), inputs, outputs_.data(), outputs, from, to);
  for (Index i = 0; i < rows; ++i) {
    const Index slot = steps[static_cast<std::size_t>(i)].to;
    std::copy_n(outputs_.data() + i * outputs, outputs, predicted_.data() + slot * outputs);
    std::copy_n(next_states_.data() + i * numbers, numbers, states_.data() + slot * numbers);
  }
}

template <class T>
void TransducerAtWork<T>::join(const Pair* pairs, Index count) {
  const FlushDenormals flush;
  T* const joined = reinterpret_cast<T*>(joined_.data());
  const Index encoded = networks_.encoded_size, predicted = predicted_size();
  for (Index i = 0; i < count; ++i) {
    T* const row = joined + i * stride_;
    const T* const g = predicted_.data() + pairs[i].slot * predicted;
    if (networks_.join == TransducerJoin::add) {
      for (Index k = 0; k < predicted; ++k) row[k] = pairs[i].encoded[k] + g[k];
    } else {
      std::copy_n(pairs[i].encoded, encoded, row);
      std::copy_n(g, predicted, row + encoded);
    }
  }
  activate(networks_.activation, Matrix<T>{joined, stride_}, joined_size(networks_), {0, count});
}

template <class T>
const T* TransducerAtWork<T>::logits(const Pair* pairs, Index count) {
  T *const joined = reinterpret_cast<T*>(joined_.data()), *const logits = reinterpret_cast<T*>(logits_.data());
  const Index encoded = networks_.encoded_size, predicted = predicted_size(), classes = networks_.classes;
  if (networks_.joint) {
    T *const e = joined, *const g = joined + at_once_ * encoded;
    for (Index i = 0; i < count; ++i) {
      std::copy_n(pairs[i].encoded, encoded, e + i * encoded);
      std::copy_n(predicted_.data() + pairs[i].slot * predicted, predicted, g + i * predicted);
    }
    networks_.joint(e, g, count, logits);
    return logits;
  }
  join(pairs, count);
  if (output_) output_->step(count, joined, stride_, logits, classes, {}, {});
  for (Index i = 0; !output_ && i < count; ++i) std::copy_n(joined + i * stride_, classes, logits + i * classes);
  return logits;
}

template class RowModel<float>;
template class RowModel<double>;
template class TransducerAtWork<float>;
template class TransducerAtWork<double>;

}  // namespace gru_native
