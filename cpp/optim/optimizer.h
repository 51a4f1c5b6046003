// A step of an optimizer in two parts.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "gru_native/optim.h"

namespace gru_native {

// Checks a step, whose gradients have these names in errors if they have names of their own, and takes all that it
// needs; throws what Optimizer::step does. What is returned makes the step, once: it needs no memory and takes no
// lock, so it can run where an edit ends (see end_together). It may throw what TeamLease::run does, and nothing is
// changed then.
template <class T>
std::function<void()> prepared_step(Optimizer<T>& optimizer, const std::vector<Weight<T>>& weights,
                                    const std::vector<WeightGradient<T>>& gradients,
                                    const std::vector<std::string>& names = {});

}  // namespace gru_native
