// The tensors of a softmax over a large vocabulary: names and shapes.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>

#include "gru_native/large_softmax.h"

namespace gru_native {

// Where the weights stand in the layer's list; -1: not there.
struct VocabularyWeights {
  int weight = -1, bias = -1, class_weight = -1, class_bias = -1;
};

// Without classes of the user's: about as many words in each as there are classes.
inline std::int64_t words_in_class(std::int64_t vocab_size) {
  return static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(vocab_size))));
}
inline std::int64_t num_classes(const ClassSoftmax& s, std::int64_t vocab_size) {
  if (!s.classes.empty()) return *std::max_element(s.classes.begin(), s.classes.end()) + 1;
  const std::int64_t in_class = words_in_class(vocab_size);
  return (vocab_size + in_class - 1) / in_class;
}

// add(name, shape), one after the other, returns the place of each.
template <class Add>
VocabularyWeights each_weight(const LargeSoftmaxSpec& s, const Add& add) {
  using Shape = std::vector<std::int64_t>;
  VocabularyWeights at;
  const std::int64_t rows = s.vocab_size - (std::holds_alternative<TreeSoftmax>(s.kind) ? 1 : 0);  // words or nodes
  at.weight = add("weight", Shape{rows, s.input_size});
  if (s.bias) at.bias = add("bias", Shape{rows});
  const auto* const two_levels = std::get_if<ClassSoftmax>(&s.kind);
  if (!two_levels) return at;
  const std::int64_t classes = num_classes(*two_levels, s.vocab_size);
  at.class_weight = add("class_weight", Shape{classes, s.input_size});
  if (s.bias) at.class_bias = add("class_bias", Shape{classes});
  return at;
}

// f(name, shape)
template <class F>
void each_name(const LargeSoftmaxSpec& spec, const F& f) {
  each_weight(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) { return f(name, shape), 0; });
}

}  // namespace gru_native
