// The weights of a model's blocks, whatever kind of blocks they are.
#pragma once
#include "engine/matrix/moment.h"
#include "engine/model/dense.h"
#include "engine/model/operation.h"
#include "engine/sequence/layer_impl.h"
#include "gru_native/model.h"

namespace gru_native {

template <class Block>
const AnyStore& store_of(const Block& block) {
  return impl_of(block).store;
}

template <class T>
std::vector<const AnyStore*> stores_of(const std::vector<ModelBlock<T>>& blocks) {
  std::vector<const AnyStore*> stores;
  for (const ModelBlock<T>& block : blocks)
    stores.push_back(std::visit([](const auto& b) { return &store_of(*b); }, block));
  return stores;
}

}  // namespace gru_native
