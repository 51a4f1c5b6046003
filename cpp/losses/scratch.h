// Arrays in one block of memory, which is as large as the largest sequence needs.
#pragma once
#include <cstddef>

#include "engine/matrix/shares.h"

namespace gru_native {

// Hands out arrays at 64-byte boundaries. Without a block it only adds up what they need.
class Scratch {
 public:
  explicit Scratch(char* block = nullptr) : block_(block) {}
  template <class T>
  T* take(Index n) {
    T* const array = block_ ? reinterpret_cast<T*>(block_ + used_) : nullptr;
    used_ += round_up(n * static_cast<Index>(sizeof(T)), 64);
    return array;
  }
  Index used() const { return used_; }

 private:
  char* block_;
  Index used_ = 0;
};

}  // namespace gru_native
