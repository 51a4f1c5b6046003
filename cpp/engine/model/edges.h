// Windows over sequences of one length that lie evenly. Only those that reach over an end need zeros: the steps that
// they read are copied, and all others read x where it lies.
#pragma once
#include <algorithm>

#include "engine/matrix/matrices.h"
#include "engine/matrix/narrow.h"
#include "spec/convolution.h"

namespace gru_native {

struct Edges {
  Edges(const Windows& windows, Index seq_len, Index outputs) : w(windows), seq_len(seq_len), outputs(outputs) {
    first_whole = std::min(outputs, divide_up(w.left, w.stride));
    const Index last = w.left + seq_len - 1 - span_of(w);  // where the last whole window begins
    end_whole = std::max(first_whole, std::min(outputs, last < 0 ? Index(0) : last / w.stride + 1));
  }
  const Windows w;
  const Index seq_len, outputs;
  Index first_whole, end_whole;  // windows: those before, and those from the end on, reach over it

  // Steps that windows of a share read, with the zeros among them.
  Index steps(Share windows) const {
    return windows.begin < windows.end ? (windows.end - windows.begin - 1) * w.stride + span_of(w) + 1 : 0;
  }
  // Those of the first batch * columns numbers of each, which lie as x's do.
  template <class T>
  void copy(Share windows, Rows<const T> x, Index batch, Index columns, T* image) const {
    const Index count = steps(windows);
    for (Index i = 0; i < count; ++i) {
      const Index step = windows.begin * w.stride + i - w.left;
      for (Index row = 0; row < batch; ++row) {
        T* const to = image + (i * batch + row) * x.stride;
        if (step < 0 || step >= seq_len) std::fill_n(to, columns, T(0));
        else copy_row(row_at(x, step * batch + row), columns, to);
      }
    }
  }
};

}  // namespace gru_native
