/// \file
/// Losses of logits (numbers before a softmax) and their exact gradients, on all cores.
#pragma once
#include <cstdint>
#include <optional>

#include "gru_native/export.h"

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

}  // namespace gru_native
