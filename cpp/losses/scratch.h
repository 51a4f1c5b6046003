// Memory for the lattice of one sequence: arrays in one block, which is as large as the largest sequence needs.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>

#include "engine/shares.h"

namespace gru_native {

inline constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

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

// Rows of log probabilities i = -1 .. width, whole vectors between the first and the last, which are -infinity.
class PaddedRows {
 public:
  PaddedRows(Scratch& scratch, Index rows, Index least_width, Index lanes)
      : rows_(rows),
        width_(round_up(least_width, lanes)),
        lanes_(lanes),
        stride_(width_ + 2 * lanes),
        base_(scratch.take<double>(rows * stride_)) {}
  double* operator[](Index row) const { return base_ + row * stride_ + lanes_; }
  void close() const {
    for (Index row = 0; row < rows_; ++row) (*this)[row][-1] = (*this)[row][width_] = minus_infinity;
  }
  void clear(Index row) const { std::fill_n((*this)[row] - 1, width_ + 2, minus_infinity); }
  void clear() const {
    for (Index row = 0; row < rows_; ++row) clear(row);
  }

 private:
  Index rows_, width_, lanes_, stride_;
  double* base_;
};

}  // namespace gru_native
