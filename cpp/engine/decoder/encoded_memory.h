// A memory of a batch as attention reads it.
#pragma once
#include "engine/decoder/weights.h"
#include "runtime/team.h"

namespace gru_native {

// Positions of all sequences one after the other, those past a length left out: what lies there is never read.
template <class T>
struct EncodedMemory {
  Index seq_len = 0, batch = 0, positions = 0;
  Index key_size = 0;
  Index *first = nullptr, *length = nullptr;  // of each sequence
  Matrix<T> h{};     // [position][memory_size]
  Matrix<T> keys{};  // [position][key_size]: U h + b, W h, or h itself
  Matrix<T> across{};  // keys once more, [sequence][column][position], zero past a length: where scores are products

  Matrix<T> rows_of(Matrix<T> m, Index b) const { return from_row(m, first[b]); }
  Matrix<T> across_of(Matrix<T> m, Index b, Index columns) const { return from_row(m, b * columns); }
};

// The numbers of a memory as they were given, zeros past the lengths.
template <class T>
struct GivenMemory {
  Index seq_len, batch, size;
  std::vector<T> h;  // [seq_len][batch][size]
  std::vector<std::int64_t> lengths;

  explicit GivenMemory(const EncodedMemory<T>& memory, Index size);
  DecoderMemory<const T> view() const { return {seq_len, {h.data(), batch * size, size}, lengths.data()}; }
};

// Its shape, with the memory that it takes.
template <class T>
EncodedMemory<T> reserve_memory(const AttentionDecoderSpec& spec, const DecoderMemory<const T>& from, Index batch,
                                Arena& arena);

// The keys, once for all steps; called by every member, who then waits for the others.
template <class T>
void encode(const AttentionDecoderSpec& spec, const PackedAttention<T>& w, const DecoderMemory<const T>& from,
            const EncodedMemory<T>& to, int member, Crew& crew);

// m once more with columns for rows, for a share of the sequences.
template <class T>
void lay_across(const EncodedMemory<T>& memory, Matrix<T> m, Index columns, Matrix<T> to, Share sequences);
template <class T>
Matrix<T> take_across(const EncodedMemory<T>& memory, Index columns, Arena& arena) {
  return take_zeroed_matrix<T>(arena, memory.batch * columns, memory.seq_len);
}

}  // namespace gru_native
