#include "engine/decoder/encoded_memory.h"

#include <algorithm>

namespace gru_native {

template <class T>
GivenMemory<T>::GivenMemory(const EncodedMemory<T>& m, Index size)
    : seq_len(m.seq_len),
      batch(m.batch),
      size(size),
      h(static_cast<std::size_t>(m.seq_len * m.batch * size)),
      lengths(m.length, m.length + m.batch) {
  for (Index b = 0; b < batch; ++b)
    for (Index j = 0; j < m.length[b]; ++j)
      std::copy_n(from_row(m.h, m.first[b] + j).base, size, h.data() + (j * batch + b) * size);
}

template <class T>
EncodedMemory<T> reserve_memory(const AttentionDecoderSpec& spec, const DecoderMemory<const T>& from, Index batch,
                                Arena& arena) {
  EncodedMemory<T> m;
  m.seq_len = from.seq_len;
  m.batch = batch;
  m.first = arena.take<Index>(batch);
  m.length = arena.take<Index>(batch);
  for (Index b = 0; b < batch; ++b) {
    m.first[b] = m.positions;
    m.length[b] = from.lengths ? from.lengths[b] : from.seq_len;
    m.positions += m.length[b];
  }
  m.h = take_zeroed_matrix<T>(arena, m.positions, spec.memory_size);
  m.keys = m.h;
  switch (spec.attention) {
    case Attention::none: return m;
    case Attention::additive:
    case Attention::location: m.key_size = spec.score_size(); break;
    case Attention::general: m.key_size = spec.hidden_size; break;
    case Attention::dot: m.key_size = spec.memory_size; break;
  }
  if (spec.attention != Attention::dot) m.keys = take_zeroed_matrix<T>(arena, m.positions, m.key_size);
  if (spec.attention == Attention::dot || spec.attention == Attention::general)
    m.across = take_across(m, m.key_size, arena);
  return m;
}

template <class T>
void encode(const AttentionDecoderSpec& spec, const PackedAttention<T>& w, const DecoderMemory<const T>& from,
            const EncodedMemory<T>& to, int member, Crew& crew) {
  const Share mine = share_of(to.positions, 1, member, crew.size());
  Progress progress;
  for (Index b = 0; b < to.batch; ++b) {
    const Index begin = std::max(mine.begin, to.first[b]), end = std::min(mine.end, to.first[b] + to.length[b]);
    for (Index position = begin; position < end; ++position) {
      const Index j = position - to.first[b];
      progress.add(macs_of_copy * static_cast<double>(spec.memory_size));
      std::copy_n(from.h.data + j * from.h.step_stride + b * from.h.batch_stride, spec.memory_size,
                  from_row(to.h, position).base);
    }
  }
  if (w.memory.panels > 0 && mine.begin < mine.end)
    multiply(w.memory, rows_from(to.h, 0), {w.bias.data(), 0, nullptr}, to.keys, mine);
  crew.barrier(member);
  if (!to.across.base) return;
  lay_across(to, to.keys, to.key_size, to.across, share_of(to.batch, 1, member, crew.size()));
  crew.barrier(member);
}

template <class T>
void lay_across(const EncodedMemory<T>& memory, Matrix<T> m, Index columns, Matrix<T> to, Share sequences) {
  Progress progress;
  for (Index b = sequences.begin; b < sequences.end; ++b) {
    const Matrix<T> rows = memory.rows_of(m, b), lines = memory.across_of(to, b, columns);
    progress.add(macs_of_copy * static_cast<double>(columns * memory.length[b]));
    for (Index c = 0; c < columns; ++c)
      for (Index j = 0; j < memory.length[b]; ++j) lines.base[c * lines.stride + j] = rows.base[j * rows.stride + c];
  }
}

#define GRU_NATIVE_ENCODED_MEMORY(T)                                                                                   \
  template struct GivenMemory<T>;                                                                                      \
  template EncodedMemory<T> reserve_memory(const AttentionDecoderSpec&, const DecoderMemory<const T>&, Index, Arena&); \
  template void encode(const AttentionDecoderSpec&, const PackedAttention<T>&, const DecoderMemory<const T>&,          \
                       const EncodedMemory<T>&, int, Crew&);                                                           \
  template void lay_across(const EncodedMemory<T>&, Matrix<T>, Index, Matrix<T>, Share);
GRU_NATIVE_ENCODED_MEMORY(float)
GRU_NATIVE_ENCODED_MEMORY(double)

}  // namespace gru_native
