#include "engine/sequence/zoneout.h"

#include "engine/matrix/matrices.h"
#include "engine/sequence/random.h"

namespace gru_native {

// f(row, unit, m)
template <class T, class F>
void Zoneout::each(Index rows, Share units, const Timeline& time, Index t, const F& f) const {
  for (Index row = 0; row < rows; ++row) {
    const RowDraws draws(p_, draw_.seed, stream_, t, time.user_row(row));
    for (Index k = units.begin; k < units.end; ++k)
      f(row, k, draw_.training ? T(p_ >= 1 || draws.hit(k)) : static_cast<T>(p_));
  }
}

template <class T>
void Zoneout::forward(const Rows<const T>& before, const Rows<T>& now, Index rows, Share units, const Timeline& time,
                      Index t) const {
#if defined(GRU_NATIVE_COUNT)
  const Index all = rows * (units.end - units.begin), mixed = draw_.training || p_ >= 1 ? 0 : all;
  GRU_NATIVE_EXECUTED(zoneout, draw_.training ? all : 0);
  GRU_NATIVE_EXECUTED(multiply, 2 * mixed);
  GRU_NATIVE_EXECUTED(add, 2 * mixed);
#endif
  each<T>(rows, units, time, t, [&](Index row, Index k, T m) {
    T& s = row_at(now, row)[k];
    const T old = row_at(before, row)[k];
    // Apart, so that a unit that is kept keeps its bits, whatever the other term is.
    s = m == T(1) ? old : m == T(0) ? s : m * old + (T(1) - m) * s;
  });
}

template <class T>
void Zoneout::backward(Matrix<T> d, Matrix<T> kept, Index rows, Share units, const Timeline& time, Index t) const {
  GRU_NATIVE_EXECUTED(multiply, 2 * rows * (units.end - units.begin));
  GRU_NATIVE_EXECUTED(add, rows * (units.end - units.begin));
  each<T>(rows, units, time, t, [&](Index row, Index k, T m) {
    T& ds = d.base[row * d.stride + k];
    kept.base[row * kept.stride + k] = m * ds;
    ds *= T(1) - m;
  });
}

// Streams of their own: those of dropout are the layers.
DirectionZoneout zoneout_of(const LayerSpec& spec, Index index, Draw draw) {
  const std::uint64_t stream = (static_cast<std::uint64_t>(index) + 1) << 32;
  return {{spec.zoneout, draw, stream}, {spec.zoneout_cell, draw, stream + 1}};
}

template void Zoneout::forward(const Rows<const float>&, const Rows<float>&, Index, Share, const Timeline&,
                               Index) const;
template void Zoneout::forward(const Rows<const double>&, const Rows<double>&, Index, Share, const Timeline&,
                               Index) const;
template void Zoneout::backward(Matrix<float>, Matrix<float>, Index, Share, const Timeline&, Index) const;
template void Zoneout::backward(Matrix<double>, Matrix<double>, Index, Share, const Timeline&, Index) const;

}  // namespace gru_native
