// Zoneout (Krueger et al. 2017): s(t) = m s(t-1) + (1 - m) s, s being what the cell makes of the state h or c. In
// training m is 1 with probability p, else 0, each unit by itself; in inference it is p.
#pragma once
#include "engine/sequence/timeline.h"
#include "engine/shares.h"
#include "gru_native/layer.h"

namespace gru_native {

// What a call draws with.
struct Draw {
  bool training = false;
  std::uint64_t seed = 0;
};

class Zoneout {
 public:
  Zoneout() = default;  // p = 0
  Zoneout(double p, Draw draw, std::uint64_t stream) : p_(p), draw_(draw), stream_(stream) {}
  bool active() const { return p_ > 0; }

  // `rows` rows of time t. now = m before + (1 - m) now, for some units.
  template <class T>
  void forward(const Rows<const T>& before, const Rows<T>& now, Index rows, Share units, const Timeline& time,
               Index t) const;
  // kept = m d, which goes back past the cell, and d = (1 - m) d.
  template <class T>
  void backward(Matrix<T> d, Matrix<T> kept, Index rows, Share units, const Timeline& time, Index t) const;

 private:
  template <class T, class F>
  void each(Index rows, Share units, const Timeline& time, Index t, const F& f) const;

  double p_ = 0;
  Draw draw_;
  std::uint64_t stream_ = 0;
};

// Those of one direction of one layer; index: layer * directions + direction.
struct DirectionZoneout {
  Zoneout h, c;
};
DirectionZoneout zoneout_of(const LayerSpec& spec, Index index, Draw draw);

}  // namespace gru_native
