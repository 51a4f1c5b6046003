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
// A product of any size, which can be interrupted. Rows are cut before panels, as in the kernels: so a part writes to
// few pages.
template <class T>
void multiply(const Product<T>& product) {
  const Kernels<T>& kernels = kernels_for<T>();
  const Index panels = product.panel_end - product.panel_begin, rows = product.row_end - product.row_begin;
  const double macs = macs_of_panel(product) * static_cast<double>(panels) * static_cast<double>(rows);
  if (macs < macs_between_looks) return kernels.product(product);
  const double panel = product.width * kernels.lanes * (static_cast<double>(product.depth) + macs_of_new_number);
  Product<T> part = product;
  in_parts(product.row_begin, product.row_end, panel * static_cast<double>(panels), rows_at_once,
           [&](Index row_begin, Index row_end) {
             part.row_begin = row_begin, part.row_end = row_end;
             in_parts(product.panel_begin, product.panel_end, panel * static_cast<double>(row_end - row_begin), 1,
                      [&](Index begin, Index end) {
                        part.panel_begin = begin, part.panel_end = end;
                        kernels.product(part);
                      });
           });
}

}  // namespace gru_native
