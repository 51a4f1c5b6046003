// What lies between the blocks of a chain: columns, and steps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "gru_native/dense.h"
#include "gru_native/layer.h"
#include "gru_native/operation.h"
#include "spec/check_operation.h"

namespace gru_native {

// Of a block's input, 0: any; and of its output for such an input.
inline std::int64_t input_size(const LayerSpec& s) { return s.input_size; }
inline std::int64_t input_size(const DenseSpec& s) { return s.input_size; }
inline std::int64_t input_size(const OperationSpec& s) { return s.input_size(); }
inline std::int64_t output_size(const LayerSpec& s, std::int64_t, std::int64_t) {
  return s.directions() * s.output_size();
}
inline std::int64_t output_size(const DenseSpec& s, std::int64_t, std::int64_t) { return s.output_size; }
inline std::int64_t output_size(const OperationSpec& s, std::int64_t input, std::int64_t channels) {
  return s.output_size(input, channels);
}

// Channels of images behind a block; 0: there are none.
template <class Spec>
std::int64_t output_channels(const Spec&, std::int64_t) {
  return 0;
}
inline std::int64_t output_channels(const OperationSpec& s, std::int64_t channels) {
  return s.output_channels(channels);
}

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
template <class Spec>
bool changes_height(const Spec&) {
  return false;
}

// What a block can read: rows of numbers, images, or both; of images its channels, 0: any.
struct ReadsImages {
  bool must, may;
  std::int64_t channels;
};
template <class Spec>
ReadsImages reads_images_of(const Spec&) {
  return {false, false, 0};
}
inline ReadsImages reads_images_of(const OperationSpec& s) {
  return {reads_images(s), may_read_images(s), input_channels(s)};
}

// Null: it is no branch.
template <class Spec>
const BranchSpec* branch_of(const Spec&) {
  return nullptr;
}
inline const BranchSpec* branch_of(const OperationSpec& s) { return std::get_if<BranchSpec>(&s.kind); }
inline bool is_join(BranchSpec::Mark mark) { return mark != BranchSpec::fork && mark != BranchSpec::next; }

[[noreturn]] void refuse_end(const std::string& name);  // of a path that has not begun

// What goes through blocks that branch: one Value, which paths begin with and join. In errors a block is called `name`.
template <class Value>
class Branches {
 public:
  bool open() const { return !forks_.empty(); }
  // join(values at the ends of all paths): the value behind them.
  template <class Join>
  void pass(const std::string& name, BranchSpec::Mark mark, Value& value, const Join& join) {
    if (mark == BranchSpec::fork) return forks_.push_back({value, {}});
    if (forks_.empty()) refuse_end(name);
    Fork& fork = forks_.back();
    fork.ends.push_back(value);
    if (mark == BranchSpec::next) {
      value = fork.begin;
      return;
    }
    value = join(fork.ends);
    forks_.pop_back();
  }
  template <class F>
  void each(const F& f) {
    for (Fork& fork : forks_) {
      f(fork.begin);
      for (Value& end : fork.ends) f(end);
    }
  }

 private:
  struct Fork {
    Value begin;
    std::vector<Value> ends;  // of the paths that are behind
  };
  std::vector<Fork> forks_;
};

// Columns, and channels of images. Blocks that take any width hand it on, so that of the first one with a width of its
// own is the chain's, unless images of unknown height have become others before it.
class ChainWidth {
 public:
  explicit ChainWidth(std::int64_t known = 0) : first_(known), now_{known, -1, false, false} {}

  // The next block. Throws std::invalid_argument unless it can follow.
  template <class Spec>
  void add(const std::string& name, const Spec& spec) {
    if (const BranchSpec* const branch = branch_of(spec)) mark(name, branch->mark);
    else
      add(name, gru_native::input_size(spec), wants_ids(spec), reads_steps(spec), ends_time(spec),
          reads_images_of(spec));
    if (!branch_of(spec)) {
      const std::int64_t before = now_.columns;
      now_.columns = gru_native::output_size(spec, before, channels());
      if (before > 0 && now_.columns < 1) refuse_low(name, before / channels());
      now_.unknown = now_.columns == 0 && (now_.unknown || changes_height(spec));
      if (now_.channels >= 0) now_.channels = gru_native::output_channels(spec, now_.channels);
    }
    any_ = true;
  }
  std::int64_t width() const { return now_.columns; }  // behind the last block
  std::int64_t channels() const { return now_.channels > 0 ? now_.channels : 0; }  // of images there; 0: of rows
  bool open() const { return branches_.open(); }  // whether that is in a path
  // Of the whole chain. Throws std::invalid_argument if no block has a width of its own, or a fork has no join.
  std::int64_t checked_input_size() const;
  void check_joined() const;

 private:
  struct Rows {
    std::int64_t columns;  // 0: those of the chain's input, which are not known yet
    std::int64_t channels;  // of images; 0: these are rows; -1: what the chain's input is, which is not known yet
    bool ended;  // whether they are no steps
    bool unknown;  // 0 columns: others than those of the chain's input
  };
  void add(const std::string& name, std::int64_t own, bool ids, bool steps, bool ends, const ReadsImages& images);
  void settle_images(const std::string& name, const ReadsImages& images);
  [[noreturn]] static void refuse_low(const std::string& name, std::int64_t height);
  void mark(const std::string& name, BranchSpec::Mark mark);

  std::int64_t first_;
  Rows now_;
  Branches<Rows> branches_;
  bool any_ = false;
};

// Steps of a sequence.
class ChainSteps {
 public:
  explicit ChainSteps(std::int64_t steps) : steps_(steps) {}
  // Throws std::invalid_argument for paths that join with different ones.
  template <class Spec>
  void add(const std::string& name, const Spec& spec) {
    if (const BranchSpec* const branch = branch_of(spec)) mark(name, branch->mark);
    else steps_ = steps_ > 0 ? gru_native::output_len(spec, steps_) : 0;
  }
  std::int64_t steps() const { return steps_; }

 private:
  void mark(const std::string& name, BranchSpec::Mark mark);

  std::int64_t steps_;
  Branches<std::int64_t> branches_;
};

}  // namespace gru_native
