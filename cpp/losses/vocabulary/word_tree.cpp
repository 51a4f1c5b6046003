#include "losses/vocabulary/word_tree.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace gru_native {

WordTree::WordTree(Index words, const std::vector<double>& counts) {
  children_.reserve(static_cast<std::size_t>(words) - 1);
  if (counts.empty()) balanced(words);
  else huffman(counts);
  above_word_.resize(static_cast<std::size_t>(words));
  above_node_.assign(children_.size(), {-1, false});
  for (Index n = 0; n < nodes(); ++n)
    for (const bool left : {true, false}) {
      const Index child = left ? children(n).left : children(n).right;
      (child >= 0 ? above_node_[static_cast<std::size_t>(child)]
                  : above_word_[static_cast<std::size_t>(-1 - child)]) = {n, left};
    }
}

// Node after node of each height, so that those above have the lower numbers.
void WordTree::balanced(Index words) {
  struct Part {
    Index begin, end;
  };
  std::queue<Part> parts;
  parts.push({0, words});
  Index next = 1;
  while (!parts.empty()) {
    const auto [begin, end] = parts.front();
    parts.pop();
    const auto child = [&](Index b, Index e) {
      if (e - b == 1) return -1 - b;
      parts.push({b, e});
      return next++;
    };
    const Index middle = begin + (end - begin + 1) / 2;
    const Index left = child(begin, middle);
    children_.push_back({left, child(middle, end)});
  }
}

void WordTree::huffman(const std::vector<double>& counts) {
  // (count, when made): the least is joined first. Made are the words, then the nodes, the root last.
  using Item = std::pair<double, Index>;
  const auto words = static_cast<Index>(counts.size());
  std::priority_queue<Item, std::vector<Item>, std::greater<Item>> items;
  for (Index w = 0; w < words; ++w) items.push({counts[static_cast<std::size_t>(w)], w});
  const Index root = words - 2;
  const auto child = [&](Index made) { return made < words ? -1 - made : root - (made - words); };
  while (items.size() > 1) {
    const Item right = items.top();
    items.pop();
    const Item left = items.top();
    items.pop();
    items.push({left.first + right.first, words + static_cast<Index>(children_.size())});
    children_.push_back({child(left.second), child(right.second)});
  }
  std::reverse(children_.begin(), children_.end());
}

}  // namespace gru_native
