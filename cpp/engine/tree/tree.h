// Tree-LSTM over a forest: height after height from the leaves up, and back down for the gradients.
#pragma once
#include <memory>
#include <vector>

#include "engine/matrix/lazily.h"
#include "engine/matrix/panels.h"
#include "engine/matrix/weights.h"
#include "engine/tree/forest.h"
#include "gru_native/tree.h"
#include "runtime/team.h"

namespace gru_native {

// i g o of a node are one product of 3 gates, the forget gates of its children another of 1.
template <class T>
struct TreePanels {
  PackedMatrix<T> input, input_forget, recurrent, recurrent_forget;
};

template <class T>
struct PackedTree {
  TreePanels<T> w;
  Buffer<T> bias, bias_forget;  // [block][slot][lane]
  int lanes = 0;
  Index blocks = 0;             // of hidden units
  Index slots = 1;              // nary: arity; the rows of recurrent_forget are slots x padded units
  Index padded = 0;             // units in whole panels of four blocks
  Index inner = 0;              // what a node reads of its children: hidden or arity * hidden

  const TreePanels<T>& transposed() const;  // inference never needs it

 private:
  Lazily<TreePanels<T>> transposed_;
};

// Where the tensors lie in the layer's list; -1: not there. nary: hh is weight_hh_iog, and hh_f the other one.
struct TreeWeightIndex {
  int ih = -1, bias = -1, hh = -1, hh_f = -1;
};

// The gates that a slot of the cell comes from, as row blocks: of weight_ih and the bias, and of what holds U.
struct TreeGates {
  int input[3], recurrent[3];
};
TreeGates tree_gates(TreeCell cell);
inline constexpr int tree_forget_gate = 1;

template <class T>
using TreeStore = WeightStore<T, PackedTree<T>>;

// Memory for the weights of such a layer, and the weights into it.
template <class T>
std::shared_ptr<PackedTree<T>> reserve_packed(const TreeSpec& spec, const TreeStore<T>& store);
template <class T>
void pack(PackedTree<T>& packed, const TreeSpec& spec, const TreeStore<T>& store, const TreeWeightIndex& index);

// What one member does of some rows: a share of them, or, where they are few, all of them for a share of the units.
struct Region {
  Index begin, end;
  Share blocks;
  bool by_rows;
};
Region region_of(Index begin, Index end, Index blocks, int member, int members);

// At least, in multiply-adds: many heights of few nodes take long, too.
inline constexpr double macs_of_height = 1e5;
// Of the element-wise part for a node of the region, in multiply-adds.
template <class T>
double macs_of_cell(const PackedTree<T>& weights, const Region& r) {
  return 5 * macs_of_function * static_cast<double>((r.blocks.end - r.blocks.begin) * weights.lanes);
}

// All that a forest's nodes have at the end of forward. Inner nodes, which have children, count from forest.leaves.
template <class T>
struct ForestValues {
  Rows<const T> x;              // [row]
  Matrix<T> gates, h, c;        // [row]; activations i g o
  Matrix<T> s;                  // [inner node]: what it reads of its children's h
  Matrix<T> forget;             // activations f: [edge], or, nary, [inner node][slot][unit]
  const Index* forget_at;       // [edge]: where its f begins in `forget`
};

template <class T>
class ForestForward {
 public:
  ForestForward(const TreeSpec& spec, const PackedTree<T>& weights, const Forest& forest, Rows<const T> x,
                Arena& values, Arena& scratch);
  // On every member; h and c are the user's.
  void run(T* h, T* c, int member, Crew& crew) const;
  const ForestValues<T>& values() const { return v_; }

 private:
  void inputs(int member, int members) const;
  void read_children(const Region& r) const;
  void products(const Region& r) const;
  void cells(const Region& r) const;
  void put(const Matrix<T>& m, T* user, const Region& r) const;

  const TreeSpec& spec_;
  const Kernels<T>& kernels_;
  const PackedTree<T>& weights_;
  const Forest& forest_;
  ForestValues<T> v_;
  Matrix<T> input_forget_;      // [inner node]: W_f x + b_f
  const Index *a_at_, *start_at_, *acc_at_;  // [place in by_slot]: rows of the product into forget gates
};

// Where the gradients of the weights go; null: not wanted.
template <class T>
struct TreeGradients {
  T *ih = nullptr, *bias = nullptr, *hh = nullptr, *hh_f = nullptr;
};

template <class T>
class ForestBackward {
 public:
  ForestBackward(const TreeSpec& spec, const PackedTree<T>& weights, const Forest& forest,
                 const ForestValues<T>& values, Arena& arena, int members);
  // On every member; the user's arrays, or nullptr.
  void run(const T* dh, const T* dc, T* dx, const TreeGradients<T>& dweights, int member, Crew& crew) const;

 private:
  void cells(const T* dh, const T* dc, const Region& r) const;
  void products(const Region& r) const;
  void input_gradient(T* dx, int member, int members) const;
  void weight_gradients(const TreeGradients<T>& g, int member, int members) const;

  const TreeSpec& spec_;
  const Kernels<T>& kernels_;
  const PackedTree<T>& weights_;
  const TreePanels<T>& transposed_;
  const Forest& forest_;
  const ForestValues<T>& v_;
  Matrix<T> dgates_, dc_;       // [row]
  Matrix<T> dforget_, dforget_sum_;  // as forget; [inner node]
  Matrix<T> ds_;                // [inner node], and one of zeros
  Rows<T> dh_;                  // [row], from its parent
  Rows<const T> h_child_{};     // child_sum: h of each edge's child
  Matrix<T> dx_;                // [row]
  T* scratch_;                  // for sums over rows, scratch_size_ elements for each member
  Index scratch_size_;
  GRU_NATIVE_COUNTING(std::vector<unsigned char> exists_;)  // nary: as dforget_; 0: of no child, or padding
  const Index *user_at_, *ds_at_, *dh_at_;  // [row]; [edge]: rows of the parents' ds and of the children's dh
  const T* zeros_;
};

}  // namespace gru_native
