// The products of many steps' inputs, and how members share out what cannot be cut into equal parts.
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/sequence/direction_forward.h"
#include "engine/sequence/step_parts.h"
#include "engine/threads.h"

namespace gru_native {

// Whether one member has so many more rows than another that the input products had better be shared out evenly.
template <class T>
bool DirectionForward<T>::is_uneven(int members) const {
  return !time_.ragged() && time_.batch % members != 0 && time_.batch < 8 * members;
}

// Where panels are an odd number, one member would have one more than the other: of those that are over, each gets some
// rows.
template <class T>
void DirectionForward<T>::leave_rest(Part& mine, int members) const {
  if (wide_ || norm_ || zoneout_.h.active() || zoneout_.c.active()) return;
  const PanelShare share = share_of_panels(blocks_, granule_, time_.batch, mine.member, members);
  if (share.over.begin == share.over.end) return;
  mine.blocks = share.own;
  mine.units = units_of(mine.blocks, lanes_, spec_.hidden_size);
  if (!projects_) mine.output_blocks = mine.blocks;
  mine.rest = share.over;
}

template <class T>
Step<T> DirectionForward<T>::rest_of(const Step<T>& s, const Part& mine, int members) const {
  const Share rows = share_of(s.rows, 1, mine.member, members);
  Step<T> rest = rows_of(s, rows.begin, rows.end);
  rest.product.panel_begin = weights_.recurrent.panel_begin(mine.rest.begin);
  rest.product.panel_end = weights_.recurrent.panel_end(mine.rest.end);
  rest.block_end = mine.rest.end;
  return rest;
}

// a = b + W x for some rows.
template <class T>
void DirectionForward<T>::input_product(Rows<const T> x, Index rows, Rows<T> gates, Share blocks) const {
  if (weights_.dense_input.panels > 0) {
    dense_input_product(x, rows, gates);
  } else {
    Product<T> p = input_;
    p.panel_begin = weights_.input.panel_begin(blocks.begin);
    p.panel_end = weights_.input.panel_end(blocks.end);
    p.row_end = rows;
    p.a = x;
    p.start = {weights_.bias.data(), 0, nullptr};
    p.acc = gates;
    multiply(p);
  }

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
    progress.add(macs_of_copy * static_cast<double>(blocks_ * cell_.input.count * lanes_));
    T* const to = row_at(gates, row);
    std::copy_n(to, columns, sums);
    for (Index block = 0; block < blocks_; ++block)
      for (int gate = 0; gate < cell_.input.count; ++gate)
        std::copy_n(sums + gate * hidden + block * lanes_, lanes_,
                    to + (block * cell_.slots + cell_.input.first + gate) * lanes_);
  }
}

#define GRU_NATIVE_MEMBERS(T)                                                            \
  template bool DirectionForward<T>::is_uneven(int) const;                               \
  template void DirectionForward<T>::leave_rest(Part&, int) const;                       \
  template Step<T> DirectionForward<T>::rest_of(const Step<T>&, const Part&, int) const; \
  template void DirectionForward<T>::input_product(Rows<const T>, Index, Rows<T>, Share) const;
GRU_NATIVE_MEMBERS(float)
GRU_NATIVE_MEMBERS(double)

}  // namespace gru_native
