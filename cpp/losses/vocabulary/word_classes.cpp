#include "losses/vocabulary/word_classes.h"

#include <algorithm>
#include <numeric>

#include "spec/vocabulary_tensors.h"

namespace gru_native {

WordClasses::WordClasses(Index words, const std::vector<std::int64_t>& classes)
    : class_of_(classes.begin(), classes.end()), place_of_(static_cast<std::size_t>(words)) {
  if (classes.empty()) {
    const Index in_class = words_in_class(words);
    for (Index w = 0; w < words; ++w) class_of_.push_back(w / in_class);
  }
  begins_.assign(static_cast<std::size_t>(*std::max_element(class_of_.begin(), class_of_.end())) + 2, 0);
  for (Index w = 0; w < words; ++w)
    place_of_[static_cast<std::size_t>(w)] = begins_[static_cast<std::size_t>(class_of(w)) + 1]++;
  largest_ = *std::max_element(begins_.begin(), begins_.end());
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  members_.resize(static_cast<std::size_t>(words));
  for (Index w = 0; w < words; ++w) members_[static_cast<std::size_t>(at(begins_, class_of(w)) + place_of(w))] = w;
}

}  // namespace gru_native
