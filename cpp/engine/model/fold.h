// A product with the batch normalisation behind it; see folded() in model.h.
#pragma once
#include <memory>

#include "gru_native/dense.h"
#include "gru_native/operation.h"

namespace gru_native {

// Null where it is none, has a function, or its outputs are not what is normalised.
template <class T>
std::shared_ptr<Dense<T>> folded(const Dense<T>& product, const Operation<T>& norm);
template <class T>
std::shared_ptr<Operation<T>> folded(const Operation<T>& product, const Operation<T>& norm);

}  // namespace gru_native
