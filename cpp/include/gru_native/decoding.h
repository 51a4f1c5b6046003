/// \file
/// From the outputs of networks to labels: the likeliest labellings, on all cores.
#pragma once
#include <cstdint>
#include <vector>

#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// What a sequence may be taken for.
struct Hypothesis {
  std::vector<std::int64_t> ids;  ///< The labels.
  double score = 0;               ///< Log-probability, in nats.
};

/// Those of one sequence, the best first.
using Hypotheses = std::vector<Hypothesis>;

/// Connectionist temporal classification (Graves, Fernandez, Gomez and Schmidhuber 2006): a softmax at every step, each
/// for itself, gives a symbol; symbols that repeat are taken as one, and blanks are left out.
template <class T>
struct CtcDecodingCall {
  std::int64_t seq_len = 0;
  std::int64_t batch = 0;
  std::int64_t classes = 0;    ///< Symbols, the blank among them.
  Sequences<const T> logits;   ///< `classes` numbers a step; -infinity rules a class out.
  const std::int64_t* lengths = nullptr;  ///< [batch], 0 to seq_len; null: all seq_len.
  std::int64_t blank = 0;
};

/// The labels of the likeliest path, which takes the best symbol of every step, of equals the first. A hypothesis for
/// each sequence; its score is that of this one path, no more than that of its labels. Throws std::invalid_argument,
/// naming the field, also for logits that have no softmax (NaN, +infinity, a step without any number above -infinity),
/// and std::bad_alloc.
template <class T>
GRU_NATIVE_API Hypotheses ctc_greedy(const CtcDecodingCall<T>& call);

/// Prefix beam search: the `beam_size` likeliest beginnings are followed from step to step, and a beginning's
/// probability is the sum of all paths to it that go through such beginnings only. Up to beam_size hypotheses for each
/// sequence, without any whose probability is 0. Of equals those come first that are no longer than a step before, in
/// the order of that step; then those whose beginning was better a step before; then those whose last label is better,
/// or of equal labels smaller. Throws as ctc_greedy, and for a beam_size below 1.
template <class T>
GRU_NATIVE_API std::vector<Hypotheses> ctc_beam(const CtcDecodingCall<T>& call, std::int64_t beam_size = 16);

}  // namespace gru_native
