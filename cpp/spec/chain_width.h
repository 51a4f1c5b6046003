// The columns between the blocks of a chain.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#include "gru_native/dense.h"
#include "gru_native/layer.h"
#include "gru_native/operation.h"
#include "spec/check_operation.h"

namespace gru_native {

// Of a block's input, 0: any; and of its output for such an input.
inline std::int64_t input_size(const LayerSpec& s) { return s.input_size; }
inline std::int64_t input_size(const DenseSpec& s) { return s.input_size; }
inline std::int64_t input_size(const OperationSpec& s) { return s.input_size(); }
inline std::int64_t output_size(const LayerSpec& s, std::int64_t) { return s.directions() * s.output_size(); }
inline std::int64_t output_size(const DenseSpec& s, std::int64_t) { return s.output_size; }
inline std::int64_t output_size(const OperationSpec& s, std::int64_t input) { return s.output_size(input); }

// Steps of a block's output.
inline std::int64_t output_len(const LayerSpec&, std::int64_t seq_len) { return seq_len; }
inline std::int64_t output_len(const DenseSpec&, std::int64_t seq_len) { return seq_len; }
inline std::int64_t output_len(const OperationSpec& s, std::int64_t seq_len) { return s.output_len(seq_len); }

template <class Spec>
bool wants_ids(const Spec&) {
  return false;
}
inline bool wants_ids(const OperationSpec& s) { return std::holds_alternative<EmbeddingSpec>(s.kind); }

// Whether a block reads steps as such, and whether it leaves none.
inline bool reads_steps(const LayerSpec&) { return true; }
inline bool reads_steps(const DenseSpec&) { return false; }
inline bool reads_steps(const OperationSpec& s) { return is_over_time(s); }
template <class Spec>
bool ends_time(const Spec&) {
  return false;
}

// Blocks that take any width hand it on, so that of the first one with a width of its own is the chain's.
class ChainWidth {
 public:
  // The next block, which `name` stands for in errors. Throws std::invalid_argument unless it can follow.
  template <class Spec>
  void add(const std::string& name, const Spec& spec) {
    const std::int64_t own = gru_native::input_size(spec);
    if (any_ && wants_ids(spec))
      throw std::invalid_argument(name + " reads ids; expected to be the first block, or another kind");
    any_ = true;
    if (ended_ && reads_steps(spec))
      throw std::invalid_argument(name + " reads steps; expected another kind: a Pool before it leaves none");
    ended_ = ended_ || ends_time(spec);
    if (own && width_ && own != width_)
      throw std::invalid_argument(name + " has input_size " + std::to_string(own) + "; expected " +
                                  std::to_string(width_) + ", the output size of the block before it");
    if (!first_) first_ = own;
    width_ = gru_native::output_size(spec, own ? own : width_);
  }
  // Of the whole chain. Throws std::invalid_argument if no block has a width of its own.
  std::int64_t checked_input_size() const {
    if (!first_) throw std::invalid_argument("blocks is without a block that has a size of its own; expected one");
    return first_;
  }

 private:
  std::int64_t first_ = 0, width_ = 0;
  bool any_ = false, ended_ = false;
};

}  // namespace gru_native
