#include "engine/sequence/dropout.h"

#include "engine/sequence/random.h"
#include "runtime/interruption.h"

namespace gru_native {
namespace { constexpr double macs_of_draw = 50; }  // namespace

template <class T>
void Dropout::apply(Matrix<T> m, Index columns, const Timeline& time, Index layer, Index begin, Index end) const {
  const T scale = p_ < 1 ? static_cast<T>(1 / (1 - p_)) : T(0);
  Index t = 0;
  Progress progress;
  for (Index row = begin; row < end; ++row) {
    while (time.first(t + 1) <= row) ++t;
    const RowDraws draws(p_, seed_, static_cast<std::uint64_t>(layer), t, time.user_row(row - time.first(t)));
    T* const at = m.base + row * m.stride;
    progress.add(macs_of_draw * static_cast<double>(columns));
    GRU_NATIVE_EXECUTED(dropout, columns);
    for (Index c = 0; c < columns; ++c) at[c] = draws.hit(c) ? T(0) : at[c] * scale;
  }
}
template void Dropout::apply(Matrix<float>, Index, const Timeline&, Index, Index, Index) const;
template void Dropout::apply(Matrix<double>, Index, const Timeline&, Index, Index, Index) const;

}  // namespace gru_native
