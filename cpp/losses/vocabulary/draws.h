// Words drawn at random.
#pragma once
#include <cstdint>
#include <vector>

#include "gru_native/large_softmax.h"
#include "simd/index.h"

namespace gru_native {

// Draws i = 0, 1, .. of a proposal q; each is a function of seed and i alone.
class WordDraws {
 public:
  WordDraws(Proposal proposal, const std::vector<double>& counts, Index words);
  Index operator()(std::uint64_t seed, Index i) const;
  double probability(Index word) const;  // q

 private:
  Proposal proposal_;
  Index words_;
  std::vector<double> counts_, ends_;  // ends: the sum up to each word, itself included
};

}  // namespace gru_native
