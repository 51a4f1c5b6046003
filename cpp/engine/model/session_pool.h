// Pools of sessions for those who hold on to weights themselves.
#pragma once
#include <vector>

#include "engine/model/stages.h"
#include "gru_native/session_pool.h"

namespace gru_native {

template <class T>
SessionPool<T> pool_of(const std::vector<BlockWeights<T>>& blocks, Index capacity, int threads);

}  // namespace gru_native
