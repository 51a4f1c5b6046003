// The levels of a batch: which rows of one level make those of the next.
#pragma once
#include <cstdint>
#include <vector>

#include "simd/executed.h"
#include "simd/index.h"

namespace gru_native {

// A level holds, sequence by sequence, its positions: length - level of them, if that is positive. All pairs of all
// sequences are then one product, and a pair is two rows that follow each other, read as one row twice as deep.
struct GrConvLevels {
  Index seq_len = 0, batch = 0, count = 0;  // count: the longest length
  std::vector<Index> length;                 // [batch]
  std::vector<Index> first;                  // [count + 1]: where a level's rows begin in a buffer of all levels
  GRU_NATIVE_COUNTING(std::vector<unsigned char> begins_pair;)  // [row of all levels]; others are computed for nobody
  std::vector<std::vector<Index>> left;  // [count]: of each row of a level, its left neighbour's in the one below

  GrConvLevels() = default;
  GrConvLevels(Index seq_len, Index batch, const std::int64_t* lengths);
  Index rows(Index level) const { return first[level + 1] - first[level]; }
  // Calls f(sequence, row of its first position) for the sequences that reach a level.
  template <class F>
  void each(Index level, const F& f) const {
    Index row = 0;
    for (Index b = 0; b < batch; ++b)
      if (length[b] > level) {
        f(b, row);
        row += length[b] - level;
      }
  }
};

}  // namespace gru_native
