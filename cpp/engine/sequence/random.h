// Random choices that are functions of their arguments alone, so that backward finds them again, and neither batch nor
// threads matter.
#pragma once
#include <cstdint>

#include "engine/sequence/timeline.h"

namespace gru_native {

// splitmix64 (Steele, Lea, Flood 2014): a bijection whose outputs look random for consecutive inputs.
inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// What one sequence draws at one step: unit k is hit with probability p.
class RowDraws {
 public:
  RowDraws(double p, std::uint64_t seed, std::uint64_t stream, Index t, Index user_row)
      : threshold_(p * 18446744073709551616.0),  // 2^64
        key_(mix(mix(mix(seed + stream) + static_cast<std::uint64_t>(t)) + static_cast<std::uint64_t>(user_row))) {}
  bool hit(Index unit) const { return static_cast<double>(mix(key_ + static_cast<std::uint64_t>(unit))) < threshold_; }

 private:
  double threshold_;
  std::uint64_t key_;
};

}  // namespace gru_native
