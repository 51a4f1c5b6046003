// What LargeSoftmax and its tapes keep behind their public face.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/matrix/lazily.h"
#include "engine/matrix/weights.h"
#include "gru_native/large_softmax.h"
#include "losses/vocabulary/draws.h"
#include "losses/vocabulary/word_classes.h"
#include "losses/vocabulary/word_tree.h"
#include "losses/vocabulary/words.h"
#include "spec/vocabulary_tensors.h"

namespace gru_native {

// All words, for who needs the scores of all. Training never does, and an edit makes none: so it costs nothing.
template <class T>
struct AllWords {
  PackedMatrix<T> weight, class_weight;
  Buffer<T> bias, class_bias;
};
template <class T>
struct PackedVocabulary {
  Lazily<AllWords<T>> all;
};

template <class T>
struct LargeSoftmax<T>::Impl {
  explicit Impl(const LargeSoftmaxSpec& spec);

  LargeSoftmaxSpec spec;
  VocabularyWeights at;
  std::optional<WordDraws> draws;      // of SampledSoftmax and NoiseContrastive
  std::optional<WordClasses> classes;  // of ClassSoftmax
  std::optional<WordTree> tree;        // of TreeSoftmax
  mutable WeightStore<T, PackedVocabulary<T>> store;

  Index num_samples() const;
  bool contrastive() const { return std::holds_alternative<NoiseContrastive>(spec.kind); }
  Index weight_rows() const { return store.list()[static_cast<std::size_t>(at.weight)].shape[0]; }
  std::shared_ptr<PackedVocabulary<T>> reserve() const { return std::make_shared<PackedVocabulary<T>>(); }
  void fill(PackedVocabulary<T>&) const {}

  // Throws std::invalid_argument for a row without a softmax.
  std::unique_ptr<ImplOf<LargeSoftmaxTape<T>>> learn(const LargeSoftmaxCall<T>& call) const;
  // f(row, log p of all words) for every row, by several threads.
  template <class F>
  void each_row(const T* x, Index rows, const F& f) const;
};

template <class T>
struct LargeSoftmaxTape<T>::Impl : TapeOf<PackedVocabulary<T>> {
  explicit Impl(TapeOf<PackedVocabulary<T>> base) : TapeOf<PackedVocabulary<T>>(std::move(base)) {}

  Index num_rows = 0;
  std::vector<Index> counted;        // those of the call that are not ignored: rows of what follows
  Matrix<T> x{};
  std::vector<double> losses;        // of each
  double loss = 0, scale = 0;        // scale: 1 / how many
  std::vector<std::int64_t> rows;    // of the weight, increasing
  Words<T> words;                    // these, in an order of their own:
  std::vector<Index> place;          // word i is rows[place[i]]
  std::vector<Group<T>> groups;      // whose words come first
  Index grouped = 0;                 // so many
  Pairs<T> pairs;
  Words<T> class_words;
  std::optional<Group<T>> head;      // over class_words
};

// The mean of the losses of these rows of a call. Throws std::invalid_argument if one is NaN.
double mean_loss(const std::vector<double>& losses, const std::vector<Index>& rows);

}  // namespace gru_native
