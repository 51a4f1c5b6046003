#include "engine/grconv/levels.h"

#include <algorithm>

namespace gru_native {

GrConvLevels::GrConvLevels(Index seq_len, Index batch, const std::int64_t* lengths)
    : seq_len(seq_len), batch(batch), length(static_cast<std::size_t>(batch), seq_len) {
  if (lengths) std::copy_n(lengths, batch, length.begin());
  count = *std::max_element(length.begin(), length.end());
  first.assign(static_cast<std::size_t>(count + 1), 0);
  left.resize(static_cast<std::size_t>(count));
  for (Index level = 0; level < count; ++level) {
    Index below = 0, rows = 0;
    for (const Index n : length) {
      if (level > 0)
        for (Index j = 0; j < n - level; ++j) left[level].push_back(below + j);
      below += std::max<Index>(0, n - level + 1);
      rows += std::max<Index>(0, n - level);
    }
    first[level + 1] = first[level] + rows;
  }
#if defined(GRU_NATIVE_COUNT)
  begins_pair.assign(static_cast<std::size_t>(first[count]), 0);
  for (Index level = 1; level < count; ++level)
    for (const Index row : left[level]) begins_pair[first[level - 1] + row] = 1;
#endif
}

}  // namespace gru_native
