// Products of any size.
#pragma once
#include "kernels/table.h"
#include "runtime/dispatch.h"
#include "runtime/interruption.h"

namespace gru_native {

// Of a part of a product: whole blocks of rows and whole tiles (kernels/product.h).
inline constexpr Index rows_at_once = 192;

template <class T>
double macs_of_panel(const Product<T>& p) {  // for one row
  return static_cast<double>(p.width) * static_cast<double>(kernels_for<T>().lanes) * static_cast<double>(p.depth + 1);
}
// A product of any size, which can be interrupted.
template <class T>
void multiply(const Product<T>& product) {
  const Kernels<T>& kernels = kernels_for<T>();
  const Index panels = product.panel_end - product.panel_begin, rows = product.row_end - product.row_begin;
  const double panel = macs_of_panel(product), row = panel * static_cast<double>(panels);
  if (row * static_cast<double>(rows) < macs_between_looks) return kernels.product(product);
  Product<T> part = product;
  const auto some_rows = [&](Index begin, Index end) {
    part.row_begin = begin, part.row_end = end;
    kernels.product(part);
  };
  const Index granule = row * static_cast<double>(rows_at_once) < macs_at_once ? rows_at_once : 1;
  in_parts(product.panel_begin, product.panel_end, panel, 1, [&](Index begin, Index end) {
    part.panel_begin = begin, part.panel_end = end;
    in_parts(product.row_begin, product.row_end, panel * static_cast<double>(end - begin), granule, some_rows);
  });
}

}  // namespace gru_native
