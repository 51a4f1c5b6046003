// Sequences of labels that share their beginnings: each is a node, whose parent is the sequence without the last label.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "simd/index.h"

namespace gru_native {

class Prefixes {
 public:
  static constexpr Index none = -1;
  static constexpr Index empty = 0;  // the sequence without labels, which is always there

  Prefixes() { clear(); }
  void clear() {
    nodes_.assign(1, Node());
    free_ = none;
  }
  Index parent(Index node) const { return at(node).parent; }
  Index label(Index node) const { return at(node).label; }
  // Those with a label more that are there: the first, and the next after one of them.
  Index first(Index node) const { return at(node).first; }
  Index sibling(Index node) const { return at(node).sibling; }
  Index holders(Index node) const { return at(node).holders; }
  // Whatever a search knows a sequence by: `none` at first.
  Index& place(Index node) { return at(node).place; }
  Index& state(Index node) { return at(node).state; }

  // The sequence with a label more, which it holds on to.
  Index extended(Index node, Index label) {
    Index next = first(node);
    while (next != none && at(next).label != label) next = sibling(next);
    if (next == none) next = made(node, label);
    hold(next);
    return next;
  }
  void hold(Index node) { ++at(node).holders; }
  // What nobody holds on to and nothing begins with is forgotten.
  void release(Index node) {
    for (--at(node).holders; node != empty && at(node).holders == 0 && at(node).first == none;) {
      const Index parent = at(node).parent;
      Index* link = &at(parent).first;
      while (*link != node) link = &at(*link).sibling;
      *link = at(node).sibling;
      at(node).sibling = free_;
      free_ = node;
      node = parent;
    }
  }

  std::vector<std::int64_t> labels(Index node) const {
    std::vector<std::int64_t> all;
    for (; node != empty; node = parent(node)) all.push_back(label(node));
    std::reverse(all.begin(), all.end());
    return all;
  }

 private:
  struct Node {
    Index parent = none, label = none, first = none, sibling = none, holders = 0, place = none, state = none;
  };
  Node& at(Index node) { return nodes_[static_cast<std::size_t>(node)]; }
  const Node& at(Index node) const { return nodes_[static_cast<std::size_t>(node)]; }
  Index made(Index parent, Index label) {
    Index node = free_;
    if (node == none) {
      node = static_cast<Index>(nodes_.size());
      nodes_.emplace_back();
    } else {
      free_ = at(node).sibling;
    }
    at(node) = {parent, label, none, at(parent).first, 0, none, none};
    at(parent).first = node;
    return node;
  }

  std::vector<Node> nodes_;
  Index free_ = none;  // the first of those to be used again, linked by `sibling`
};

}  // namespace gru_native
