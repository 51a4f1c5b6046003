// Hypotheses as Python has them.
#pragma once
#include <algorithm>
#include <vector>

#include "bindings/arrays.h"
#include "gru_native/decoding.h"

namespace gru_native::bindings {

inline Array<std::int64_t> ids_array(const std::vector<std::int64_t>& ids) {
  Array<std::int64_t> array = empty_array<std::int64_t>({static_cast<std::int64_t>(ids.size())});
  std::copy(ids.begin(), ids.end(), array.mutable_data());
  return array;
}

// Pairs of ids and score.
inline py::list python_hypotheses(const Hypotheses& hypotheses) {
  py::list all;
  for (const Hypothesis& h : hypotheses) all.append(py::make_tuple(ids_array(h.ids), h.score));
  return all;
}

// Their list for each sequence, or without a batch that of the one; and whether there is a batch.
inline py::tuple by_sequence(const std::vector<Hypotheses>& sequences, bool batched) {
  if (!batched) return py::make_tuple(python_hypotheses(sequences.front()), false);
  py::list all;
  for (const Hypotheses& hypotheses : sequences) all.append(python_hypotheses(hypotheses));
  return py::make_tuple(all, true);
}

}  // namespace gru_native::bindings
