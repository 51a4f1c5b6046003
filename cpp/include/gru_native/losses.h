/// \file
/// Losses of logits (numbers before a softmax) and their exact gradients, on all cores.
#pragma once
#include <cstdint>
#include <optional>

#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// -log softmax(logits)[target], a mean over rows; with label_smoothing e the target is 1 - e of that class and
/// e / classes of every class (Szegedy et al. 2016). As torch.nn.functional.cross_entropy.
template <class T>
struct CrossEntropyCall {
  std::int64_t rows = 0;
  std::int64_t classes = 0;
  const T* logits = nullptr;              ///< [rows][classes]; -infinity rules a class out.
  const std::int64_t* targets = nullptr;  ///< [rows], each 0 to classes - 1, or `ignore`.
  std::optional<std::int64_t> ignore;     ///< Rows with this target count for nothing; their logits are not read.
  double label_smoothing = 0;             ///< 0 to 1.
  T* dlogits = nullptr;  ///< [rows][classes], the gradient of the mean; may be `logits`; null: not wanted.
};

/// Returns the mean over the rows that count, 0 if there is none. Throws std::invalid_argument, naming the field. What
/// has no softmax (NaN, +infinity, a row without any number above -infinity) is found on the way: dlogits then holds
/// nothing of use.
template <class T>
GRU_NATIVE_API double cross_entropy(const CrossEntropyCall<T>& call);

/// Connectionist temporal classification (Graves, Fernandez, Gomez and Schmidhuber 2006): -log of the probability that
/// a softmax at every step gives the labels, when repeated symbols are taken as one and blanks left out.
template <class T>
struct CtcCall {
  std::int64_t seq_len = 0;
  std::int64_t batch = 0;
  std::int64_t classes = 0;    ///< Symbols, the blank among them.
  Sequences<const T> logits;   ///< `classes` numbers a step.
  const std::int64_t* targets = nullptr;  ///< The labels, each a class other than `blank`.
  std::int64_t target_stride =
      0;  ///< Labels of sequence b begin at targets[b * target_stride]; 0: one after the other.
  const std::int64_t* input_lengths = nullptr;   ///< [batch], 0 to seq_len; null: all seq_len.
  const std::int64_t* target_lengths = nullptr;  ///< [batch]
  std::int64_t blank = 0;
  T* losses = nullptr;  ///< [batch], written; infinite where no path gives the labels.
  Sequences<T> dlogits;  ///< Gradient of the sum of losses; 0 past a sequence's end and where the loss is infinite; may
                         ///< be `logits`; null: not wanted.
};

/// Throws std::invalid_argument, naming the field; see cross_entropy for logits that have no softmax.
template <class T>
GRU_NATIVE_API void ctc(const CtcCall<T>& call);

/// The transducer (Graves 2012): -log of the probability that the labels come out when the softmax of step t and u
/// labels gives either the next label or a blank, which leads to the next step. A last blank ends the sequence.
template <class T>
struct TransducerCall {
  std::int64_t seq_len = 0;
  std::int64_t batch = 0;
  std::int64_t labels = 0;  ///< Of the longest sequence.
  std::int64_t classes = 0;  ///< Symbols, the blank among them.
  const T* logits = nullptr;  ///< [batch][seq_len][labels + 1][classes]
  const std::int64_t* targets = nullptr;  ///< [batch][labels], each a class other than `blank`.
  const std::int64_t* input_lengths = nullptr;  ///< [batch], 0 to seq_len; null: all seq_len.
  const std::int64_t* target_lengths = nullptr;  ///< [batch], 0 to labels; null: all `labels`.
  std::int64_t blank = 0;
  T* losses = nullptr;  ///< [batch], written; infinite where there are labels but no steps, or no way to the end.
  T* dlogits = nullptr;  ///< As logits: gradient of the sum of losses, 0 at nodes that are not of a sequence; may be
                         ///< `logits`; null: not wanted.
};

/// Throws std::invalid_argument, naming the field; see cross_entropy for logits that have no softmax.
template <class T>
GRU_NATIVE_API void transducer(const TransducerCall<T>& call);

}  // namespace gru_native
