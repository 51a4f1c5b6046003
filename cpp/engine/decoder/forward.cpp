#include "engine/decoder/forward.h"

#include <algorithm>

#include "engine/matrix/matrices.h"

namespace gru_native {

template <class T>
DecoderForward<T>::DecoderForward(const AttentionDecoderSpec& spec, const LayerSpec& layers,
                                  const PackedDecoder<T>& weights, const std::vector<EncodedMemory<T>>& memories,
                                  const Index* memory_of, const Timeline& time, Index longest, bool keep,
                                  Dropout dropout, int members, Arena& arena)
    : spec_(spec),
      layer_spec_(layers),
      w_(weights),
      memories_(memories),
      memory_of_(memory_of),
      time_(time),
      dropout_(dropout) {
  const auto matrix = [&](Index columns) { return take_padded_matrix<T>(arena, time.rows, columns); };
  const bool maxout = spec.readout == ReadoutFunction::maxout;
  v_.layers.resize(static_cast<std::size_t>(layers.num_layers));
  for (Index l = 0; l < layers.num_layers; ++l) {
    LayerTape<T>& layer = v_.layers[static_cast<std::size_t>(l)];
    layer.x = matrix(l == 0 ? layers.input_size : layers.hidden_size);
    directions_.emplace_back(layers, *weights.layers, weights.layers->forward[static_cast<std::size_t>(l)], time, false,
                             feeds() ? 1 : longest, keep ? layer.direction : nullptr, arena);
  }
  v_.z = matrix(spec.hidden_size + spec.context_size() + spec.embedding_dim);
  v_.r = matrix(spec.readout_columns());
  v_.a = maxout ? matrix(weights.readout_width) : v_.r;
  context_ = take_zeroed_matrix<T>(arena, time.batch, spec.context_size());
  last_logits_ = take_zeroed_matrix<T>(arena, time.rows, 1);
  macs_of_step_row_ = 0;
  if (spec.attention == Attention::none) return;
  for (std::size_t m = 0; m < memories.size(); ++m) {
    attentions_.emplace_back(spec, weights.attentions[m], memories[m], memory_of, time.batch, time.seq_len, keep,
                             members, arena);
    v_.attentions.push_back(attentions_.back().lines());
    macs_of_step_row_ += attentions_.back().macs_of_row();
  }
}

template <class T>
void DecoderForward<T>::load(const DecoderState<const T>& state) {
  const Index contexts = spec_.context_size(), hidden = spec_.hidden_size;
  parents_ = nullptr;
  use_moving(false);
  for (std::size_t l = 0; l < directions_.size(); ++l) {
    const Index first = static_cast<Index>(l) * time_.batch * hidden;
    directions_[l].load_state(state.layers.h ? state.layers.h + first : nullptr,
                              state.layers.c ? state.layers.c + first : nullptr);
  }
  if (attentions_.empty()) return;
  for (Index row = 0; row < time_.batch; ++row) {
    const Index user = time_.user_row(row);
    T* const context = from_row(context_, row).base;
    if (state.context) std::copy_n(state.context + user * contexts, contexts, context);
    else std::fill_n(context, contexts, T(0));
    for (std::size_t m = 0; m < attentions_.size(); ++m)
      attentions_[m].load(
          row, state.weights.empty() || !state.weights[m] ? nullptr : state.weights[m] + user * memories_[m].seq_len);
  }
}

template <class T>
void DecoderForward<T>::reserve_choice(Arena& arena) {
  for (const DirectionForward<T>& direction : directions_) {
    const StateWidth width = direction.state_width();
    const auto matrix = [&](Index stride) {
      return stride == 0 ? Matrix<T>{} : Matrix<T>{arena.take_zeroed<T>(time_.batch * stride), stride};
    };
    moving_.push_back(
        {{matrix(width.h), matrix(width.h)}, {matrix(width.c), matrix(width.c)}, arena.take<Index>(time_.batch)});
  }
}

template <class T>
void DecoderForward<T>::use_moving(bool chosen) {
  for (std::size_t l = 0; l < moving_.size(); ++l) {
    const Moving& m = moving_[l];
    const Rows<T> from{m.h[0].base, m.h[0].stride, chosen ? m.offset : nullptr};
    directions_[l].use_states({{from, rows_of(m.h[1])}, rows_of(m.c[0])});
  }
}

template <class T>
void DecoderForward<T>::choose(const Index* parents) {
  parents_ = parents;
  for (Moving& m : moving_) {
    std::swap(m.c[0], m.c[1]);
    for (Index row = 0; row < time_.batch; ++row) m.offset[row] = parents[row] * m.h[0].stride;
  }
  use_moving(true);
  for (AttentionForward<T>& attention : attentions_) attention.choose(parents, time_.batch);
}

// Where what the first step reads lies: contexts and c.
template <class T>
void DecoderForward<T>::move(Share rows) {
  for (Index row = rows.begin; row < rows.end; ++row) {
    const Index from = parents_ ? parents_[row] : row;
    if (feeds())
      std::copy_n(from_row(context_, from).base, spec_.context_size(),
                  from_row(v_.layers[0].x, row).base + spec_.embedding_dim);
    for (std::size_t l = 0; parents_ && l < moving_.size(); ++l)
      if (const Moving& m = moving_[l]; m.c[0].base)
        std::copy_n(from_row(m.c[1], from).base, m.c[1].stride, from_row(m.c[0], row).base);
  }
}

template <class T>
void DecoderForward<T>::store(const DecoderState<T>& state) const {
  const Index contexts = spec_.context_size(), hidden = spec_.hidden_size;
  for (std::size_t l = 0; l < directions_.size(); ++l) {
    const Index first = static_cast<Index>(l) * time_.batch * hidden;
    directions_[l].store_state(state.layers.h ? state.layers.h + first : nullptr,
                               state.layers.c ? state.layers.c + first : nullptr);
  }
  for (Index row = 0; row < time_.batch; ++row) {
    const Index user = time_.user_row(row), last = time_.length_of(row) - 1 - time_.seq_len;
    if (state.context) std::copy_n(from_row(context_, row).base, contexts, state.context + user * contexts);
    for (std::size_t m = 0; m < state.weights.size(); ++m)
      if (state.weights[m]) attentions_[m].store(row, last, state.weights[m] + user * memories_[m].seq_len);
  }
}

// Without attention the memories are the context of every step.
template <class T>
void DecoderForward<T>::embed(const Sequences<const std::int64_t>& tokens, int member, int members) {
  const Index dim = spec_.embedding_dim, hidden = spec_.hidden_size, size = spec_.memory_size;
  const Share mine = share_of(time_.rows, 1, member, members), first = share_of(time_.alive(0), 1, member, members);
  Progress progress;
  progress.add(macs_of_copy * static_cast<double>((first.end - first.begin) * spec_.context_size()));
  move(first);
  Index t = 0;
  for (Index i = mine.begin; i < mine.end; ++i) {
    while (time_.first(t + 1) <= i) ++t;
    const Index row = i - time_.first(t);
    progress.add(macs_of_copy * static_cast<double>(2 * dim + 2 * spec_.context_size()));
    const std::int64_t token = tokens.data[t * tokens.step_stride + time_.user_row(row) * tokens.batch_stride];
    T *const x = from_row(v_.layers[0].x, i).base, *const z = from_row(v_.z, i).base + hidden;
    std::copy_n(w_.embedding.data() + token * dim, dim, x);
    std::copy_n(w_.embedding.data() + token * dim, dim, z + spec_.context_size());
    if (spec_.attention != Attention::none) continue;
    for (std::size_t m = 0; m < memories_.size(); ++m) {
      const T* const memory = memories_[m].rows_of(memories_[m].h, memory_of_[row]).base;
      std::copy_n(memory, size, z + static_cast<Index>(m) * size);
      if (spec_.input_feeding) std::copy_n(memory, size, x + dim + static_cast<Index>(m) * size);
    }
  }
}

// Steps [begin, end) of all layers. Each of them ends behind a barrier.
template <class T>
void DecoderForward<T>::layers(Index begin, Index end, int member, Crew& crew) {
  for (std::size_t l = 0; l < directions_.size(); ++l) {
    const bool top = l + 1 == directions_.size();
    directions_[l].run({rows_from(v_.layers[l].x, 0), 0, StepRows<T>::compact(top ? v_.z : v_.layers[l + 1].x)}, begin,
                       end, member, crew);
    if (top || !dropout_.active()) continue;
    const Index first = time_.first(begin);
    const Share mine = share_of(time_.first(end) - first, 1, member, crew.size());
    dropout_.apply(v_.layers[l + 1].x, spec_.hidden_size, time_, static_cast<Index>(l), first + mine.begin,
                   first + mine.end);
    crew.barrier(member);
  }
}

template <class T>
void DecoderForward<T>::put_context(Index m, Index t, Index row, const T* context) {
  const Index size = spec_.memory_size, at = m * size;
  std::copy_n(context, size, from_row(v_.z, time_.first(t) + row).base + spec_.hidden_size + at);
  std::copy_n(context, size, from_row(context_, row).base + at);
  if (feeds() && t + 1 < time_.length_of(row))
    std::copy_n(context, size, from_row(v_.layers[0].x, time_.first(t + 1) + row).base + spec_.embedding_dim + at);
}

template <class T>
void DecoderForward<T>::attend(Index t, Share rows, int member) {
  for (std::size_t m = 0; m < attentions_.size(); ++m)
    attentions_[m].run(rows_from(v_.z, time_.first(t)), rows, t, member,
                       [&](Index row, const T* context) { put_context(static_cast<Index>(m), t, row, context); });
}

template <class T>
void DecoderForward<T>::run(int member, Crew& crew) {
  const Share mine = share_of(time_.batch, 1, member, crew.size());
  Progress progress;
  for (Index begin = 0; begin < time_.seq_len;) {
    const Index end = feeds() ? begin + 1 : time_.seq_len;
    layers(begin, end, member, crew);
    for (Index t = begin; t < end; ++t) {
      const Share rows{std::min(mine.begin, time_.alive(t)), std::min(mine.end, time_.alive(t))};
      progress.add(macs_of_step_row_ * static_cast<double>(rows.end - rows.begin));
      attend(t, rows, member);
    }
    crew.barrier(member);
    begin = end;
  }
}

template <class T>
void DecoderForward<T>::read_out(Rows<T> logits, int member, Crew& crew) {
  const Share mine = share_of(time_.rows, 1, member, crew.size());
  const Index columns = spec_.readout_columns();
  if (mine.begin < mine.end) {
    multiply(w_.readout, rows_from(v_.z, 0), {w_.bias_readout.data(), 0, nullptr}, v_.a, mine);
    if (spec_.readout == ReadoutFunction::maxout)
      in_parts(mine.begin, mine.end, macs_of_function * static_cast<double>(columns), 1, [&](Index begin, Index end) {
        kernels_for<T>().maxout.forward({begin, end, columns, w_.readout_second, v_.a, v_.r});
      });
    else activate(Activation::tanh, v_.r, columns, mine);
  }
  if (!logits.base) return;
  const ProductShare words = share_of_product(time_.rows, w_.output.panels, member, crew.size());
  if (!words.by_rows) crew.barrier(member);  // it reads others' rows
  make_logits(logits, words.rows, words.panels);
}

template <class T>
void DecoderForward<T>::make_logits(Rows<T> logits, Share rows, Share panels) {
  if (rows.begin >= rows.end || panels.begin >= panels.end) return;
  multiply_to(product_of_rows(w_.output, rows_from(v_.r, 0), {w_.bias_output.data(), 0, nullptr}, {}, rows), panels,
              Index(spec_.vocab_size), logits, last_logits_);
}

template <class T>
void DecoderForward<T>::advance(Index steps) {
  for (DirectionForward<T>& direction : directions_) direction.advance(steps);
  for (AttentionForward<T>& attention : attentions_) attention.advance(steps);
  parents_ = nullptr;
  for (Moving& m : moving_) std::swap(m.h[0], m.h[1]);  // after one step
  use_moving(false);
}

template class DecoderForward<float>;
template class DecoderForward<double>;

}  // namespace gru_native
