// How messages travel in a graph: what each node takes from its neighbours, and what it gives back.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/shares.h"
#include "runtime/memory.h"

namespace gru_native {

// m has a row for each node and `hidden` columns for each kind of edge, side by side; a has one or two times `hidden`:
// what comes along edges, and from `against` on what comes against them. `start`: where a's sums begin, a bias or
// zeros.
struct Messages {
  Index hidden, types, against;
};

// By lists of edges. A node sums over its edges by their index, first those into it.
class EdgeLists {
 public:
  EdgeLists() = default;
  // Throws std::invalid_argument for a node or a type that does not exist.
  EdgeLists(Index nodes, Index types, Index edges, const std::int64_t* source, const std::int64_t* target,
            const std::int64_t* type);

  // a(v) = start + messages of v's neighbours, for nodes [nodes.begin, nodes.end).
  template <class T>
  void gather(const Messages& shape, Matrix<const T> m, const T* start, Matrix<T> a, Share nodes) const;
  // dm(v) = gradients of the a that v's messages went into.
  template <class T>
  void scatter(const Messages& shape, Matrix<const T> da, Matrix<T> dm, Share nodes) const;

 private:
  struct End {
    Index node, type;  // the other end of an edge
  };
  struct Side {
    std::vector<Index> first;  // [nodes + 1]
    std::vector<End> ends;
  };
  static Side side_of(Index nodes, Index edges, const std::int64_t* own, const std::int64_t* other,
                      const std::int64_t* type);
  Index degree(Index v) const { return in_.first[v + 1] - in_.first[v] + out_.first[v + 1] - out_.first[v]; }
  Side in_, out_;
};

// By matrices [graph][v][kind * V + u].
template <class T>
class EdgeMatrices {
 public:
  EdgeMatrices() = default;
  EdgeMatrices(Index graphs, Index nodes, const T* adjacency) : graphs_(graphs), nodes_(nodes), adjacency_(adjacency) {}
  Index graphs() const { return graphs_; }

  // As above. Rows of start, a and dm must have room for whole panels of 4 vectors past their last kind.
  void gather(const Messages& shape, Matrix<const T> m, const T* start, Matrix<T> a, Share nodes) const;
  void scatter(const Messages& shape, Matrix<const T> da, Matrix<T> dm, Share nodes, const T* zeros) const;

 private:
  Index graphs_ = 0, nodes_ = 0;  // nodes of one graph
  const T* adjacency_ = nullptr;
};

}  // namespace gru_native
