#include "spec/check_tree.h"

#include <stdexcept>

#include "spec/checks.h"

namespace gru_native {

void TreeSpec::validate() const {
  check_enum("cell", cell, TreeCell::nary, "a TreeCell");
  check_enum("precision", precision, Precision::int8, "a Precision");
  check_size("input_size", input_size, 1);
  check_size("hidden_size", hidden_size, 1);
  const bool nary = cell == TreeCell::nary;
  if (nary) check_size("arity", arity, 1);
  const double hidden = double(hidden_size), inner = hidden * (nary ? double(arity) : 1);
  const double elements = 4 * hidden * double(input_size) + (3 * hidden + inner) * inner;
  if (nary)
    check_fits("the weights", elements, {{"input_size", input_size}, {"hidden_size", hidden_size}, {"arity", arity}});
  else check_fits("the weights", elements, {{"input_size", input_size}, {"hidden_size", hidden_size}});
}

template <class T>
void check_call(const TreeSpec& spec, const TreeForwardCall<T>& call) {
  if (spec.cell == TreeCell::nary && !call.slots)
    throw std::invalid_argument("slots is null; expected one number for each node");
  if (call.nodes < 1) return;  // which Forest refuses
  check_there("x", call.x);
  check_there("parents", call.parents);
  check_there("h", call.h);
  check_there("c", call.c);
}

template void check_call(const TreeSpec&, const TreeForwardCall<float>&);
template void check_call(const TreeSpec&, const TreeForwardCall<double>&);

}  // namespace gru_native
