// The products of many steps' inputs.
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/sequence/direction_forward.h"

namespace gru_native {

// Whether one member has so many more rows than another that the input products had better be shared out evenly.
template <class T>
bool DirectionForward<T>::is_uneven(int members) const {
  return !time_.ragged() && time_.batch % members != 0 && time_.batch < 8 * members;
}

// a = b + W x for some rows.
template <class T>
void DirectionForward<T>::input_product(Rows<const T> x, Index rows, Rows<T> gates, Share blocks) const {
  if (weights_.dense_input.panels > 0) return dense_input_product(x, rows, gates);
  Product<T> p = input_;
  p.panel_begin = weights_.input.panel_begin(blocks.begin);
  p.panel_end = weights_.input.panel_end(blocks.end);
  p.row_end = rows;
  p.a = x;
  p.start = {weights_.bias.data(), 0, nullptr};
  p.acc = gates;
  multiply(p);

  // A slot that only the recurrent product fills begins at its bias.
  Progress progress;
  for (int slot = cell_.input.first + cell_.input.count; slot < cell_.slots; ++slot)
    for (Index row = 0; row < rows; ++row) {
      progress.add(macs_of_copy * static_cast<double>((blocks.end - blocks.begin) * lanes_));
      for (Index block = blocks.begin; block < blocks.end; ++block) {
        const Index at = (block * cell_.slots + slot) * lanes_;
        std::copy_n(weights_.bias.data() + at, lanes_, row_at(gates, row) + at);
      }
    }
}

// The same of few units, without what pads the vectors of their gates. Each sum is as it is with that padding: from the
// bias, over k in turn. The sums lie side by side at first, at the beginning of each row of gates: gate g's units from
// g * hidden on. What then pads the last block of a gate is the next gate's, which nobody reads.
template <class T>
void DirectionForward<T>::dense_input_product(Rows<const T> x, Index rows, Rows<T> gates) const {
  Product<T> p = product_of(weights_.dense_input, lanes_, weights_.dense_input.gates, 0);
  const Index hidden = spec_.hidden_size, columns = weights_.dense_input.columns();
  alignas(64) T sums[most_dense_columns + most_lanes] = {};
  p.row_end = rows;
  p.a = x;
  p.start = {weights_.dense_bias.data(), 0, nullptr};
  p.acc = gates;
  multiply(p);
  Progress progress;
  for (Index row = 0; row < rows; ++row) {
    progress.add(macs_of_copy * static_cast<double>(blocks_ * cell_.slots * lanes_));
    T* const to = row_at(gates, row);
    std::copy_n(to, columns, sums);
    for (Index block = 0; block < blocks_; ++block)
      for (int slot = 0; slot < cell_.slots; ++slot) {
        const int gate = slot - cell_.input.first;
        const Index at = (block * cell_.slots + slot) * lanes_;
        const bool of_input = gate >= 0 && gate < cell_.input.count;  // others begin at their bias
        std::copy_n(of_input ? sums + gate * hidden + block * lanes_ : weights_.bias.data() + at, lanes_, to + at);
      }
  }
}

#define GRU_NATIVE_MEMBERS(T)                              \
  template bool DirectionForward<T>::is_uneven(int) const; \
  template void DirectionForward<T>::input_product(Rows<const T>, Index, Rows<T>, Share) const;
GRU_NATIVE_MEMBERS(float)
GRU_NATIVE_MEMBERS(double)

}  // namespace gru_native
