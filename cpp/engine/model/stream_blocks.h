// What a model at work is made of, for those who take it to another process.
#pragma once
#include <memory>
#include <variant>
#include <vector>

#include "engine/model/stages.h"
#include "gru_native/stream.h"

namespace gru_native {

template <class T>
using NewBlock = std::variant<std::shared_ptr<Layer<T>>, std::shared_ptr<Dense<T>>, std::shared_ptr<Operation<T>>>;

// New layers with these weights, but for biases, which may be the sums of two. Null for a layer of few bits, whose
// weights never change.
template <class T>
std::vector<NewBlock<T>> blocks_of(const std::vector<BlockWeights<T>>& weights);
template <class T>
std::vector<NewBlock<T>> blocks_of(const Stream<T>& stream);

}  // namespace gru_native
