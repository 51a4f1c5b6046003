#include "losses/vocabulary/draws.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/sequence/random.h"

namespace gru_native {

WordDraws::WordDraws(Proposal proposal, const std::vector<double>& counts, Index words)
    : proposal_(proposal), words_(words), counts_(counts), ends_(counts.size()) {
  std::partial_sum(counts.begin(), counts.end(), ends_.begin());
}

Index WordDraws::operator()(std::uint64_t seed, Index i) const {
  const std::uint64_t bits = mix(mix(seed) + static_cast<std::uint64_t>(i));
  const double u = static_cast<double>(bits >> 11) * 0x1p-53;  // 0 to below 1
  const double words = static_cast<double>(words_);
  Index word = 0;
  switch (proposal_) {
    case Proposal::uniform: word = static_cast<Index>(u * words); break;
    case Proposal::log_uniform:  // the sum of q up to word w is log(w + 2) / log(words + 1)
      word = static_cast<Index>(std::expm1(u * std::log1p(words)));
      break;
    case Proposal::counts: word = std::upper_bound(ends_.begin(), ends_.end(), u * ends_.back()) - ends_.begin(); break;
  }
  return std::min(word, words_ - 1);
}

double WordDraws::probability(Index word) const {
  const double w = static_cast<double>(word), words = static_cast<double>(words_);
  switch (proposal_) {
    case Proposal::uniform: return 1 / words;
    case Proposal::log_uniform: return std::log1p(1 / (w + 1)) / std::log1p(words);
    case Proposal::counts:  // its logarithm must be finite
      return std::max(counts_[static_cast<std::size_t>(word)] / ends_.back(), std::numeric_limits<double>::min());
  }
  return 0;
}

}  // namespace gru_native
