// In what order the nodes of many trees are computed: by height, so that all nodes of one height are one batch.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/shares.h"

namespace gru_native {

// Rows are the nodes by height (a leaf's is 0) and then by the user's number, so children lie before their parents and
// leaves before all others. An edge is a child with its parent; edges are ordered by the parent's row, then by slot,
// or without slots by the child's number: no sum over children depends on what else is in the forest.
struct Forest {
  Index rows = 0, leaves = 0;
  std::vector<Index> node;                 // [row]: the user's number
  std::vector<Index> height_begin;         // [height]: its first row; one more at the end
  std::vector<Index> child_begin;          // [row]: its first edge; one more at the end
  std::vector<Index> child, parent, slot;  // [edge]: rows of its ends; slot 0 without slots
  std::vector<Index> roots;                // rows
  std::vector<Index> by_slot, slot_begin;  // edges by slot and then by parent; [slot]: its first in by_slot

  // Checks all of parents and, unless null, slots: std::invalid_argument names the node.
  Forest(Index nodes, const std::int64_t* parents, const std::int64_t* slots, Index arity);

  Index heights() const { return static_cast<Index>(height_begin.size()) - 1; }
  Index edges() const { return static_cast<Index>(child.size()); }
  // Those of one slot whose parents are rows [begin, end), as places in by_slot.
  Share edges_of(Index slot, Index begin, Index end) const;
};

}  // namespace gru_native
