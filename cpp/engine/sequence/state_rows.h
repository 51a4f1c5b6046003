// Where the states of a batch's rows lie: in a call's own buffers, or in the block of a pool of sessions.
#pragma once
#include "kernels/table.h"

namespace gru_native {

template <class T>
struct StateRows {
  Rows<T> h[2];  // h(t-1) and h(t) in turn: what even steps read, and what odd ones do
  Rows<T> c;     // in place; base is null if the cell has none
};
struct StateWidth {
  Index h, c;    // elements from row to row
};

}  // namespace gru_native
