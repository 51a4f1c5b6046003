#include "engine/decoder/backward.h"

#include <algorithm>

#include "engine/matrix/weight_gradients.h"
#include "engine/sequence/rows.h"
#include "spec/check_decoder.h"

namespace gru_native {

template <class T>
DecoderBackward<T>::DecoderBackward(const ImplOf<AttentionDecoder<T>>& decoder,
                                    const ImplOf<AttentionDecoderTape<T>>& tape, const DecoderBackwardCall<T>& call,
                                    int members, Arena& arena)
    : decoder_(decoder),
      tape_(tape),
      call_(call),
      w_(*tape.packed),
      transposed_(w_.transposed()),
      time_(tape.time),
      memory_of_(user_rows_of(time_, arena)) {
  const LayerSpec& layers = decoder.layers;
  // Without gradients of the logits nothing writes those of the readout.
  const auto matrix = [&](Index rows, Index columns) {
    return call.dlogits.data ? take_padded_matrix<T>(arena, rows, columns)
                             : take_zeroed_matrix<T>(arena, rows, columns);
  };
  const Index z_columns = w_.readout.depth;
  if (call.dlogits.data) dlogits_ = user_rows(call.dlogits, time_, arena);
  if (dlogits_.offset) gathered_ = matrix(time_.rows, spec().vocab_size);
  dr_ = matrix(time_.rows, spec().readout_columns());
  da_ = spec().readout == ReadoutFunction::maxout ? matrix(time_.rows, w_.readout_width) : dr_;
  dz_ = matrix(time_.rows, z_columns);
  ds_ = matrix(time_.rows, layers.hidden_size);
  Index widest = std::max<Index>({z_columns, w_.readout_width, Index(spec().memory_size)});
  Index scratch = std::max(weight_gradients_scratch<T>(spec().vocab_size, spec().readout_columns(), members),
                           weight_gradients_scratch<T>(w_.readout_width, z_columns, members));
  for (Index l = 0; l < layers.num_layers; ++l) {
    const Index inputs = l == 0 ? layers.input_size : layers.hidden_size;
    dx_.push_back(matrix(time_.rows, inputs));
    directions_.emplace_back(layers, *w_.layers, l, time_, false,
                             tape.values.layers[static_cast<std::size_t>(l)].direction[0], arena);
    scratch = std::max(scratch, directions_.back().gradient_scratch(inputs, members));
    widest = std::max(widest, inputs);
  }
  for (std::size_t m = 0; m < tape.memories.size(); ++m) {
    if (!attends()) {
      dvectors_.push_back(take_zeroed_matrix<T>(arena, time_.batch, spec().memory_size));
      continue;
    }
    attentions_.emplace_back(spec(), w_.attentions[m], transposed_.attentions[m], tape.memories[m], memory_of_, time_,
                             tape.values.attentions[m], members, arena);
    scratch = std::max(scratch, attentions_.back().gradient_scratch(members));
    macs_of_step_row_ += attentions_.back().macs_of_row();
  }
  for (int i = 0; i < members; ++i) scratch_.push_back(arena.take<T>(scratch));
  zeros_ = take_zeroed_matrix<T>(arena, 1, widest).base;
  load();
}

template <class T>
void DecoderBackward<T>::load() {
  for (std::size_t l = 0; l < directions_.size(); ++l) directions_[l].begin(io(l));
  for (std::size_t m = 0; m < attentions_.size() && !call_.dfinal.weights.empty(); ++m)
    for (Index row = 0; row < time_.batch && call_.dfinal.weights[m]; ++row)
      attentions_[m].load(row, call_.dfinal.weights[m] + time_.user_row(row) * tape_.memories[m].seq_len);
}

template <class T>
typename DirectionBackward<T>::Io DecoderBackward<T>::io(std::size_t layer) const {
  const Index first = static_cast<Index>(layer) * time_.batch * spec().hidden_size;
  const auto of = [&](auto* all) { return all ? all + first : nullptr; };
  const Matrix<T> dy = layer + 1 == directions_.size() ? ds_ : dx_[layer + 1];
  return {StepRows<const T>::compact(read_only(dy)), of(call_.dfinal.layers.h), of(call_.dfinal.layers.c),
          of(call_.dinitial.layers.h), of(call_.dinitial.layers.c)};
}

// From the logits to [s; context; emb], for a share of the rows.
template <class T>
void DecoderBackward<T>::read_out(int member, int members) {
  const Share mine = share_of(time_.rows, 1, member, members);
  if (!dlogits_.base || mine.begin >= mine.end) return;
  const Index columns = spec().readout_columns(), words = spec().vocab_size;
  Progress progress;
  for (Index row = mine.begin; gathered_.base && row < mine.end; ++row) {
    progress.add(macs_of_copy * static_cast<double>(words));
    std::copy_n(row_at(dlogits_, row), words, from_row(gathered_, row).base);
  }
  Product<T> p = product_of_rows(transposed_.output, dlogits_, {zeros_, 0, nullptr}, dr_, mine);
  p.depth = words;
  multiply(p);
  if (spec().readout == ReadoutFunction::maxout) {
    for (Index row = mine.begin; row < mine.end; ++row)
      std::copy_n(from_row(tape_.values.a, row).base, w_.readout_width, from_row(da_, row).base);
    in_parts(mine.begin, mine.end, macs_of_function * static_cast<double>(columns), 1, [&](Index begin, Index end) {
      kernels_for<T>().maxout.backward({begin, end, columns, w_.readout_second, da_, dr_});
    });
  } else {
    activate_backward(Activation::tanh, tape_.values.r, dr_, columns, mine);
  }
  Product<T> q = product_of_rows(transposed_.readout, rows_from(da_, 0), {zeros_, 0, nullptr}, dz_, mine);
  q.depth = w_.readout_width;
  multiply(q);
}

// A context goes to the readout of its step and to the input of the next one.
template <class T>
void DecoderBackward<T>::attend(Index t, Share rows, int member) {
  const Index first = time_.first(t), hidden = spec().hidden_size, size = spec().memory_size;
  for (Index row = rows.begin; row < rows.end; ++row) {
    const T* const dz = from_row(dz_, first + row).base;
    std::copy_n(dz, hidden, from_row(ds_, first + row).base);
    const bool last = t + 1 == time_.length_of(row);
    const T* after = nullptr;
    if (last && call_.dfinal.context) after = call_.dfinal.context + time_.user_row(row) * spec().context_size();
    else if (!last && feeds()) after = from_row(dx_[0], time_.first(t + 1) + row).base + spec().embedding_dim;
    for (std::size_t m = 0; m < attentions_.size(); ++m) {
      T* const to = attentions_[m].dcontext(row, t);
      const Index at = static_cast<Index>(m) * size;
      std::copy_n(dz + hidden + at, size, to);
      if (!after) continue;
      GRU_NATIVE_EXECUTED(add, size);
      for (Index k = 0; k < size; ++k) to[k] += after[at + k];
    }
  }
  for (AttentionBackward<T>& attention : attentions_) attention.step(ds_, rows, t, member);
}

template <class T>
void DecoderBackward<T>::layers(Index t, int member, Crew& crew) {
  const Share rows{time_.first(t), time_.first(t) + time_.alive(t)};
  for (std::size_t l = directions_.size(); l-- > 0;) {
    DirectionBackward<T>& direction = directions_[l];
    constexpr Index granule = DirectionBackward<T>::input_granule;
    direction.step(io(l), t, member, crew);
    if (l > 0 || feeds()) {
      const Index begin = l > 0 ? 0 : spec().embedding_dim / panel_columns<T>() * granule;
      const Share mine = share_of(direction.input_blocks() - begin, granule, member, crew.size());
      direction.input_gradient(dx_[l], rows, {begin + mine.begin, begin + mine.end});
    }
    crew.barrier(member);
    if (l == 0 || !tape_.dropout.active()) continue;
    const Share own = share_of(rows.end - rows.begin, 1, member, crew.size());
    tape_.dropout.apply(dx_[l], spec().hidden_size, time_, static_cast<Index>(l) - 1, rows.begin + own.begin,
                        rows.begin + own.end);
    crew.barrier(member);
  }
}

template <class T>
void DecoderBackward<T>::run(int member, Crew& crew) {
  const int members = crew.size();
  const Share batch = share_of(time_.batch, 1, member, members);
  read_out(member, members);
  for (AttentionBackward<T>& attention : attentions_) attention.prepare(member, members);
  crew.barrier(member);
  Progress progress;
  for (Index t = time_.seq_len - 1; t >= 0; --t) {
    const Share rows{std::min(batch.begin, time_.alive(t)), std::min(batch.end, time_.alive(t))};
    progress.add(macs_of_step_row_ * static_cast<double>(rows.end - rows.begin));
    attend(t, rows, member);
    crew.barrier(member);
    layers(t, member, crew);
  }
  // What is left of the first layer's inputs.
  const Index blocks = directions_[0].input_blocks();
  const Index panels = divide_up(Index(spec().embedding_dim), panel_columns<T>());
  const Share rest = share_of(time_.rows, 1, member, members);
  directions_[0].input_gradient(dx_[0], rest, {0, feeds() ? panels * DirectionBackward<T>::input_granule : blocks});
#if defined(GRU_NATIVE_COUNT)
  // The steps have made the panel in which contexts begin, too. It is counted once.
  const Index begin = spec().embedding_dim / panel_columns<T>() * panel_columns<T>();
  const Index end = std::min(panels * panel_columns<T>(), Index(decoder_.layers.input_size));
  if (feeds() && rest.begin < rest.end)
    GRU_NATIVE_EXECUTED(
        mac_inputs, -(rest.end - rest.begin) * (end - begin) * decoder_.layers.gates() * decoder_.layers.hidden_size);
#endif
  for (AttentionBackward<T>& attention : attentions_) attention.through_time(batch);
  crew.barrier(member);
  of_memories(member, members);
  if (!call_.dweights.empty()) weights(member, members);
}

// To the user's gradients of the memories. Without attention a memory is the context of all steps.
template <class T>
void DecoderBackward<T>::of_memories(int member, int members) {
  const Index size = spec().memory_size, hidden = spec().hidden_size;
  const Share mine = share_of(time_.batch, 1, member, members);
  for (std::size_t m = 0; m < call_.dmemory.size(); ++m) {
    const Sequences<T>& to = call_.dmemory[m];
    if (!to.data) continue;
    const EncodedMemory<T>& memory = tape_.memories[m];
    for (Index row = mine.begin; row < mine.end; ++row) {
      const Index b = memory_of_[row], at = static_cast<Index>(m) * size;
      if (!attends()) {
        T* const sum = from_row(dvectors_[m], row).base;
        for (Index t = 0; t < time_.length_of(row); ++t) {
          const Index i = time_.first(t) + row;
          GRU_NATIVE_EXECUTED(add, size * (1 + spec().input_feeding));
          for (Index k = 0; k < size; ++k) {
            sum[k] += from_row(dz_, i).base[hidden + at + k];
            if (spec().input_feeding) sum[k] += from_row(dx_[0], i).base[spec().embedding_dim + at + k];
          }
        }
        std::copy_n(sum, size, to.data + b * to.batch_stride);
        continue;
      }
      for (Index j = 0; j < memory.seq_len; ++j) {
        T* const line = to.data + j * to.step_stride + b * to.batch_stride;
        if (j >= memory.length[b]) std::fill_n(line, size, T(0));
        else std::copy_n(attentions_[m].dh().base + (memory.first[b] + j) * attentions_[m].dh().stride, size, line);
      }
    }
  }
}

template <class T>
void DecoderBackward<T>::weights(int member, int members) {
  const DecoderIndex& at = decoder_.index;
  const auto gradient = [&](int weight) { return gradient_of(call_.dweights, weight); };
  T* const scratch = scratch_[static_cast<std::size_t>(member)];
  const Index words = spec().vocab_size, columns = spec().readout_columns();
  const DecoderValues<T>& v = tape_.values;
  if (dlogits_.base) {
    const Matrix<const T> d = gathered_.base ? read_only(gathered_) : Matrix<const T>{dlogits_.base, dlogits_.stride};
    sum_weight_gradients<T>(
        {time_.rows, d, words, rows_from(v.r, 0), columns, gradient(at.output), gradient(at.bias_output)}, scratch,
        member, members);
  } else if (member == 0) {
    std::fill_n(gradient(at.output), words * columns, T(0));
    std::fill_n(gradient(at.bias_output), words, T(0));
  }
  sum_weight_gradients<T>({time_.rows, read_only(da_), w_.readout_width, rows_from(v.z, 0), w_.readout.depth,
                           gradient(at.readout), gradient(at.bias_readout)},
                          scratch, member, members, [&](Index column) { return w_.readout_row(column, columns); });
  for (std::size_t l = 0; l < directions_.size(); ++l) {
    const WeightIndex& of = at.layers[l];
    const Index inputs = l == 0 ? decoder_.layers.input_size : decoder_.layers.hidden_size;
    directions_[l].weight_gradients(v.layers[l].x, inputs,
                                    {gradient(of.ih), gradient(of.hh), gradient(of.bias_ih), gradient(of.bias_hh)},
                                    scratch, member, members);
  }
  for (std::size_t m = 0; m < attentions_.size(); ++m) {
    const AttentionIndex& of = at.attentions[m];
    attentions_[m].weight_gradients(rows_from(v.z, 0),
                                    {gradient(of.query), gradient(of.memory), gradient(of.bias), gradient(of.score),
                                     gradient(of.location), gradient(of.filter)},
                                    scratch, member, members);
  }
  of_embedding(gradient(at.embedding), member, members);
}

// Rows of the tokens, each the sum over the steps that were fed it. A member sums some columns of all of them.
template <class T>
void DecoderBackward<T>::of_embedding(T* to, int member, int members) const {
  const Index dim = spec().embedding_dim, at = spec().hidden_size + spec().context_size();
  const Share mine = share_of(dim, 16, member, members);
  const Index columns = mine.end - mine.begin;
  Progress progress;
  for (Index token = 0; token < spec().vocab_size; ++token) {
    progress.add(static_cast<double>(columns));
    std::fill_n(to + token * dim + mine.begin, columns, T(0));
  }
  GRU_NATIVE_EXECUTED(add, 2 * time_.rows * columns);
  for (Index i = 0; i < time_.rows; ++i) {
    progress.add(2 * static_cast<double>(columns));
    T* const sum = to + tape_.tokens[static_cast<std::size_t>(i)] * dim;
    const T *const dz = from_row(dz_, i).base + at, *const dx = from_row(dx_[0], i).base;
    for (Index k = mine.begin; k < mine.end; ++k) sum[k] += dz[k] + dx[k];
  }
}

template <class T>
void DecoderBackward<T>::store() {
  for (std::size_t l = 0; l < directions_.size(); ++l) directions_[l].end(io(l));
  const DecoderState<const T>& final = call_.dfinal;
  const DecoderState<T>& to = call_.dinitial;
  const Index contexts = spec().context_size();
  for (Index row = 0; row < time_.batch; ++row) {
    const Index user = time_.user_row(row);
    const bool stands = time_.length_of(row) == 0;
    if (to.context) {
      T* const line = to.context + user * contexts;
      if (stands && final.context) std::copy_n(final.context + user * contexts, contexts, line);
      else if (!stands && feeds()) std::copy_n(from_row(dx_[0], row).base + spec().embedding_dim, contexts, line);
      else std::fill_n(line, contexts, T(0));
    }
    for (std::size_t m = 0; m < to.weights.size(); ++m)
      if (to.weights[m]) attentions_[m].store(row, to.weights[m] + user * tape_.memories[m].seq_len);
  }
}

template class DecoderBackward<float>;
template class DecoderBackward<double>;

template <class T>
void AttentionDecoder<T>::backward(const AttentionDecoderTape<T>& tape_, const DecoderBackwardCall<T>& call) const {
  check(tape_);
  const auto& tape = impl_of(tape_);
  std::vector<std::int64_t> memory_len;
  Index positions = 0;
  for (const EncodedMemory<T>& memory : tape.memories) {
    memory_len.push_back(memory.seq_len);
    positions += memory.seq_len;
  }
  check_call(impl_->spec, call, tape.time.seq_len, tape.time.batch, memory_len, impl_->store.list().size());
  const auto arena = impl_->store.lease();
  tape.packed->transposed();  // by a team of its own
  TeamLease team(useful_threads(impl_->spec, tape.time.rows, tape.time.seq_len, positions),
                 {impl_.get(), tape.time.rows});
  tape.packed->layers->transposed(&team);
  DecoderBackward<T> back(*impl_, tape, call, team.size(), *arena);
  Crew crew(team);
  team.run([&](int rank) {
    const FlushDenormals flush;
    back.run(rank, crew);
  });
  back.store();
}

template void AttentionDecoder<float>::backward(const AttentionDecoderTape<float>&,
                                                const DecoderBackwardCall<float>&) const;
template void AttentionDecoder<double>::backward(const AttentionDecoderTape<double>&,
                                                 const DecoderBackwardCall<double>&) const;

}  // namespace gru_native
