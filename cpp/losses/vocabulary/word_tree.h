// A binary tree whose leaves are words.
#pragma once
#include <vector>

#include "simd/index.h"

namespace gru_native {

class WordTree {
 public:
  // Huffman's tree for these counts, ties in the order of words and then of nodes; without counts a balanced one.
  WordTree(Index words, const std::vector<double>& counts);

  Index nodes() const { return static_cast<Index>(children_.size()); }
  // What lies left and right of a node: another one, whose number is larger, or -1 - word.
  struct Children {
    Index left, right;
  };
  Children children(Index node) const { return children_[static_cast<std::size_t>(node)]; }

  // f(node, whether the way goes left there) from the word up to the root, node 0.
  template <class F>
  void each_node_of(Index word, const F& f) const {
    for (Step s = above_word_[static_cast<std::size_t>(word)]; s.node >= 0;
         s = above_node_[static_cast<std::size_t>(s.node)])
      f(s.node, s.left);
  }

 private:
  struct Step {
    Index node;
    bool left;
  };
  void balanced(Index words);
  void huffman(const std::vector<double>& counts);

  std::vector<Children> children_;
  std::vector<Step> above_word_, above_node_;
};

}  // namespace gru_native
