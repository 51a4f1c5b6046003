#include "engine/tree/forest.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace gru_native {
namespace {

using std::to_string;

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument(text); }

std::string element(const char* name, Index node, std::int64_t value) {
  return std::string(name) + "[" + to_string(node) + "] is " + to_string(value);
}

// begin[k] is where key k's things begin once they are sorted by key; one more at the end.
template <class Key>
std::vector<Index> begins(Index things, Index keys, const Key& key) {
  std::vector<Index> begin(static_cast<std::size_t>(keys + 1), 0);
  for (Index i = 0; i < things; ++i)
    if (const Index k = key(i); k >= 0) ++begin[k + 1];
  for (Index k = 0; k < keys; ++k) begin[k + 1] += begin[k];
  return begin;
}

// The smallest node of a cycle, given that going up from `node` never ends.
Index on_cycle(Index node, Index nodes, const std::int64_t* parents) {
  for (Index i = 0; i < nodes; ++i) node = parents[node];
  Index smallest = node;
  for (Index at = parents[node]; at != node; at = parents[at]) smallest = std::min(smallest, at);
  return smallest;
}

// [node]: the longest way down to a leaf.
std::vector<Index> heights_of(Index nodes, const std::int64_t* parents, std::vector<Index> waiting) {
  std::vector<Index> height(static_cast<std::size_t>(nodes), 0), ready;
  ready.reserve(static_cast<std::size_t>(nodes));
  for (Index n = 0; n < nodes; ++n)
    if (waiting[n] == 0) ready.push_back(n);
  for (std::size_t at = 0; at < ready.size(); ++at) {
    const Index n = ready[at], p = parents[n];
    if (p < 0) continue;
    height[p] = std::max(height[p], height[n] + 1);
    if (--waiting[p] == 0) ready.push_back(p);
  }
  if (static_cast<Index>(ready.size()) == nodes) return height;
  const Index stuck = std::find_if(waiting.begin(), waiting.end(), [](Index n) { return n > 0; }) - waiting.begin();
  refuse("parents has a cycle through node " + to_string(on_cycle(stuck, nodes, parents)) + "; expected trees");
}

void check(Index nodes, const std::int64_t* parents, const std::int64_t* slots, Index arity) {
  for (Index n = 0; n < nodes; ++n) {
    const std::int64_t p = parents[n];
    if (p < -1 || p >= nodes)
      refuse(element("parents", n, p) + "; expected a node from 0 to " + to_string(nodes - 1) + ", or -1 for a root");
    if (p == n) refuse(element("parents", n, p) + ", the node itself; expected another node, or -1 for a root");
    if (slots && p >= 0 && (slots[n] < 0 || slots[n] >= arity))
      refuse(element("slots", n, slots[n]) + "; expected 0 to arity-1=" + to_string(arity - 1));
  }
}

}  // namespace

Forest::Forest(Index nodes, const std::int64_t* parents, const std::int64_t* slots, Index arity) : rows(nodes) {
  if (nodes < 1) refuse("a forest has " + to_string(nodes) + " nodes; expected at least 1");
  check(nodes, parents, slots, arity);

  // The children of every node, by number.
  const std::vector<Index> first = begins(nodes, nodes, [&](Index n) { return Index(parents[n]); });
  std::vector<Index> children(static_cast<std::size_t>(first.back())), next(first), count(next.size() - 1);
  for (Index n = 0; n < nodes; ++n) {
    count[n] = first[n + 1] - first[n];
    if (parents[n] >= 0) children[next[parents[n]]++] = n;
  }

  const std::vector<Index> height = heights_of(nodes, parents, std::move(count));
  const Index most = *std::max_element(height.begin(), height.end());
  height_begin = begins(nodes, most + 1, [&](Index n) { return height[n]; });
  leaves = height_begin[1];
  node.resize(static_cast<std::size_t>(nodes));
  std::vector<Index> row(node.size());
  next = height_begin;
  for (Index n = 0; n < nodes; ++n) node[row[n] = next[height[n]]++] = n;

  child_begin.reserve(node.size() + 1);
  child.reserve(children.size()), parent.reserve(children.size()), slot.reserve(children.size());
  for (Index r = 0; r < nodes; ++r) {
    const Index n = node[r];
    child_begin.push_back(edges());
    if (parents[n] < 0) roots.push_back(r);
    const auto begin = children.begin() + first[n], end = children.begin() + first[n + 1];
    if (slots) {
      std::sort(begin, end, [&](Index a, Index b) { return slots[a] != slots[b] ? slots[a] < slots[b] : a < b; });
      const auto twin = std::adjacent_find(begin, end, [&](Index a, Index b) { return slots[a] == slots[b]; });
      if (twin != end)
        refuse(element("slots", twin[1], slots[*twin]) + ", where node " + to_string(n) + " has its child " +
               to_string(*twin) + " already; expected one child in a slot");
    }
    for (auto k = begin; k != end; ++k) {
      child.push_back(row[*k]);
      parent.push_back(r);
      slot.push_back(slots ? Index(slots[*k]) : 0);
    }
  }
  child_begin.push_back(edges());

  slot_begin = begins(edges(), slots ? arity : 1, [&](Index e) { return slot[e]; });
  by_slot.resize(child.size());
  next = slot_begin;
  for (Index e = 0; e < edges(); ++e) by_slot[next[slot[e]]++] = e;
}

Share Forest::edges_of(Index s, Index begin, Index end) const {
  const auto first = by_slot.begin() + slot_begin[s], last = by_slot.begin() + slot_begin[s + 1];
  const auto at = [&](Index row) {
    return std::partition_point(first, last, [&](Index e) { return parent[e] < row; }) - by_slot.begin();
  };
  return {at(begin), at(end)};
}

}  // namespace gru_native
