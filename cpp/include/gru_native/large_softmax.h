/// \file
/// Softmax layers over large vocabularies, whose training does not look at every word.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gru_native/edit.h"
#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// From which distribution q words are drawn.
enum class Proposal {
  uniform,      ///< q = 1 / vocab_size.
  log_uniform,  ///< q(w) = log((w + 2) / (w + 1)) / log(vocab_size + 1): for words in the order of their frequency.
  counts        ///< In proportion to given counts.
};

/// Importance sampling (Bengio and Senecal 2008; Jean, Cho, Memisevic and Bengio 2015): the softmax of the target and
/// of S, the words that are among num_samples draws, with s_v - log Q(v) for the score s_v of word v, where Q(v) = 1 -
/// (1 - q(v))^num_samples is the probability that v is in S. A target that was drawn, too, counts once. As many samples
/// as words are all words, which is the full softmax.
struct SampledSoftmax {
  std::int64_t num_samples = 0;
  Proposal proposal = Proposal::log_uniform;
  std::vector<double> counts;  ///< [vocab_size], above 0; for Proposal::counts only.
};

/// Noise-contrastive estimation (Mnih and Teh 2012): target w against k = num_samples draws v,
///   -log sigmoid(s_w - log(k q(w))) - sum of log(1 - sigmoid(s_v - log(k q(v)))).
/// As in the paper the noise may hold a word twice, and the target.
struct NoiseContrastive {
  std::int64_t num_samples = 0;
  Proposal proposal = Proposal::log_uniform;
  std::vector<double> counts;  ///< [vocab_size], above 0; for Proposal::counts only.
};

/// Two levels (Goodman 2001): p(w | x) = p(class of w | x) p(w | class, x), a softmax each.
struct ClassSoftmax {
  std::vector<std::int64_t> classes;  ///< [vocab_size], each word's class; none may be left out. Empty: about
                                      ///< sqrt(vocab_size) classes of words that follow each other.
};

/// A binary tree with the words as leaves (Morin and Bengio 2005): p(w | x) is the product over the nodes n on the way
/// to w of sigmoid(s_n) where it goes left and sigmoid(-s_n) where it goes right.
struct TreeSoftmax {
  std::vector<double> counts;  ///< [vocab_size], 0 or more: Huffman's tree, with short ways to frequent words. Empty: a
                               ///< balanced tree.
};

/// What such a layer computes.
struct LargeSoftmaxSpec {
  std::int64_t input_size = 0;
  std::int64_t vocab_size = 0;  ///< At least 2.
  bool bias = true;
  std::variant<SampledSoftmax, NoiseContrastive, ClassSoftmax, TreeSoftmax> kind;

  /// Throws std::invalid_argument, naming the field, unless such a layer can be made.
  GRU_NATIVE_API void validate() const;
};

/// Rows of features with their targets.
template <class T>
struct LargeSoftmaxCall {
  std::int64_t rows = 0;
  const T* x = nullptr;  ///< [rows][input_size]
  const std::int64_t* targets = nullptr;  ///< [rows], each 0 to vocab_size - 1, or `ignore`.
  std::optional<std::int64_t> ignore;  ///< Rows with this target count for nothing; their x is not read.
  std::uint64_t seed = 0;  ///< What samples are drawn from, and nothing else.
};

/// Null: not wanted.
template <class T>
struct LargeSoftmaxBackwardCall {
  double dloss = 1;  ///< The gradient of the loss.
  T* dx = nullptr;  ///< [rows][input_size], written; 0 in rows that were ignored.
  std::vector<T*> dweights;  ///< Of each of weights(), written: of "weight" and "bias" only the rows of
                             ///< LargeSoftmaxTape::rows(), in that order. Empty: of none.
};

/// Logarithms of probabilities.
template <class T>
struct LogProbabilityCall {
  std::int64_t rows = 0;
  const T* x = nullptr;  ///< [rows][input_size]
  const std::int64_t* ids = nullptr;  ///< [rows][num_ids], words; null: all words, in their order.
  std::int64_t num_ids = 0;
  T* log_p = nullptr;  ///< [rows][num_ids or vocab_size], written.
};

/// The most probable words of each row, the first first; of equal ones that with the lower number.
template <class T>
struct TopWordsCall {
  std::int64_t rows = 0;
  const T* x = nullptr;  ///< [rows][input_size]
  std::int64_t k = 0;  ///< 1 to vocab_size.
  std::int64_t* ids = nullptr;  ///< [rows][k], written.
  T* log_p = nullptr;  ///< [rows][k], written; null: not wanted.
};

/// What one forward call keeps for backward; see Tape.
template <class T>
class GRU_NATIVE_API LargeSoftmaxTape {
 public:
  ~LargeSoftmaxTape();
  LargeSoftmaxTape(LargeSoftmaxTape&& other) noexcept;
  LargeSoftmaxTape& operator=(LargeSoftmaxTape&& other) noexcept;

  double loss() const;  ///< What is to be learnt to be small: a mean over rows.
  std::int64_t num_rows() const;  ///< Of the call.
  const std::vector<std::int64_t>& rows() const;  ///< Rows of "weight" and "bias" that have a gradient, increasing.

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  GRU_NATIVE_HIDDEN explicit LargeSoftmaxTape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A softmax layer over a large vocabulary. A training step costs what the words cost that it looks at: their rows are
/// all that it reads, that has a gradient, and that an Optimizer changes (see WeightGradient). An edit copies nothing.
/// Any number of threads may call it at once; but calls use the weights where they are, so writing to them must not run
/// beside calls of other threads. After a move it may only be assigned to or destroyed.
template <class T>
class GRU_NATIVE_API LargeSoftmax {
 public:
  /// A layer whose weights are 0. Throws std::invalid_argument, as LargeSoftmaxSpec::validate, and std::bad_alloc.
  explicit LargeSoftmax(const LargeSoftmaxSpec& spec);
  ~LargeSoftmax();
  LargeSoftmax(LargeSoftmax&& other) noexcept;
  LargeSoftmax& operator=(LargeSoftmax&& other) noexcept;

  /// Reads a safetensors file that save(), or gru_native.save in Python, wrote of a layer of T. Throws FileError (see
  /// model.h) and std::bad_alloc.
  static LargeSoftmax load(const std::string& path);
  /// Writes such a file, whole or not at all. Throws FileError.
  void save(const std::string& path) const;

  const LargeSoftmaxSpec& spec() const;

  /// All weights, to be read: weight (words, input_size) and, with bias, bias (words,), with TreeSoftmax of its
  /// vocab_size - 1 nodes instead of words; with ClassSoftmax also class_weight (classes, input_size) and class_bias
  /// (classes,).
  const std::vector<Weight<const T>>& weights() const;

  /// All weights, to be written. Throws std::bad_alloc.
  [[nodiscard]] WeightEdit<T> edit();

  /// The mean of -log p(target | x), exact for every kind. Throws std::invalid_argument, naming the field of the call
  /// that is wrong or the row whose x has no softmax, and std::bad_alloc.
  double forward(const LargeSoftmaxCall<T>& call) const;

  /// The loss of training, and what backward needs of it. Throws as forward does.
  std::shared_ptr<const LargeSoftmaxTape<T>> forward_with_tape(const LargeSoftmaxCall<T>& call) const;

  /// Throws std::invalid_argument for the tape of another layer.
  void check(const LargeSoftmaxTape<T>& tape) const;

  /// Gradients of the call that made the tape, with the weights of that call. A tape may be used again. Throws as
  /// forward and check do.
  void backward(const LargeSoftmaxTape<T>& tape, const LargeSoftmaxBackwardCall<T>& call) const;

  /// Exact for every kind. Of all words, or with SampledSoftmax and NoiseContrastive of any, it needs the scores of
  /// all: for these a packed copy of the weights is made by the first call after an edit.
  void log_probability(const LogProbabilityCall<T>& call) const;
  void top_words(const TopWordsCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
