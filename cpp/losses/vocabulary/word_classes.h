// Words in classes, a softmax over classes and one over the words of each.
#pragma once
#include <cstdint>
#include <vector>

#include "simd/index.h"

namespace gru_native {

class WordClasses {
 public:
  // Without `classes`: words that follow each other, about as many in a class as there are classes.
  WordClasses(Index words, const std::vector<std::int64_t>& classes);

  Index count() const { return static_cast<Index>(begins_.size()) - 1; }
  Index class_of(Index word) const { return class_of_[static_cast<std::size_t>(word)]; }
  Index place_of(Index word) const { return place_of_[static_cast<std::size_t>(word)]; }  // in its class
  Index size_of(Index c) const { return at(begins_, c + 1) - at(begins_, c); }
  const Index* words_of(Index c) const { return members_.data() + at(begins_, c); }  // increasing
  Index largest() const { return largest_; }

 private:
  static Index at(const std::vector<Index>& v, Index i) { return v[static_cast<std::size_t>(i)]; }
  std::vector<Index> class_of_, place_of_, begins_, members_;
  Index largest_ = 0;
};

}  // namespace gru_native
