/// \file
/// A model: a chain of recurrent layers, dense layers and operations, and its file.
///
///     auto model = gru_native::Model::load("amp.safetensors");  // shared, never changed
///     gru_native::Stream stream(model);                         // see stream.h
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "gru_native/dense.h"
#include "gru_native/layer.h"
#include "gru_native/operation.h"

namespace gru_native {

/// A file that cannot be read or written, or does not hold what it should. The text names the file and the tensor.
class GRU_NATIVE_API FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A layer or operation of a model.
template <class T>
using ModelBlock =
    std::variant<std::shared_ptr<const Layer<T>>, std::shared_ptr<const Dense<T>>, std::shared_ptr<const Operation<T>>>;

/// Describes one block of a model file.
struct BlockSpec {
  std::string prefix;  ///< Its tensors are named prefix + "weight_ih_l0" and so on.
  std::variant<LayerSpec, DenseSpec, OperationSpec> spec;
  bool batch_first = false;  ///< An option of the Python classes; in C++ the strides of a call say it.
};

/// What becomes of weights of few bits when a file is loaded.
enum class LoadAs {
  stored,  ///< They stay what they are: the layers are for inference (see Precision).
  full     ///< They become the floats that they stand for, in layers that can be trained and edited.
};

/// Descriptions from JSON, as model files have it:
///
///     {"version": 1, "blocks": [{"type": "LSTM", "prefix": "0.", "input_size": 1, "hidden_size": 16, ...}, ...]}
///
/// The options are those of the classes in Python. One that is left out has its default. Throws FileError.
GRU_NATIVE_API std::vector<BlockSpec> parse_description(const std::string& json);

/// One call of a model.
template <class T>
struct ModelCall {
  std::int64_t seq_len = 0;               ///< Steps, at least 1.
  std::int64_t batch = 0;                 ///< Sequences, at least 1.
  Sequences<const T> x;                   ///< input_size() columns.
  const std::int64_t* lengths = nullptr;  ///< [batch], each 0 to seq_len; null: all seq_len.
  const T* initial = nullptr;             ///< [state_size(batch)]; null: zeros.
  Sequences<T> y;  ///< output_size() columns and output_len(seq_len) steps, written; 0 past the
                   ///< end of a sequence.
  T* final = nullptr;  ///< [state_size(batch)], written; null: not wanted.
};

/// Layers one after the other. Any number of threads may call it at once. After a move it may only be assigned to or
/// destroyed.
template <class T>
class GRU_NATIVE_API BasicModel {
 public:
  /// A model of layers that it shares: `Model({lstm, dense})` with std::shared_ptr. Calls see the weights that the
  /// layers then have, streams those of the moment at which they were made. Throws std::invalid_argument, naming the
  /// block, if there is none, one is null, the size of one is not that of the one before, or ids are wanted behind the
  /// first one; and std::bad_alloc.
  explicit BasicModel(std::vector<ModelBlock<T>> blocks);
  ~BasicModel();
  BasicModel(BasicModel&& other) noexcept;
  BasicModel& operator=(BasicModel&& other) noexcept;

  /// Reads a safetensors file whose tensors are of T, or for float of fewer bits: one that save() or gru_native.save in
  /// Python wrote, or a state_dict from PyTorch. Of the latter the blocks are taken from names, shapes and dtypes,
  /// where these say enough. The file is mapped, and must not be shortened meanwhile. Throws FileError and
  /// std::bad_alloc.
  static std::shared_ptr<const BasicModel> load(const std::string& path, LoadAs as = LoadAs::stored);
  /// The same with the blocks as described, whatever the file says.
  static std::shared_ptr<const BasicModel> load(const std::string& path, const std::vector<BlockSpec>& description,
                                                LoadAs as = LoadAs::stored);

  /// Writes such a file, whole or not at all; weights of few bits as they are. Throws FileError.
  void save(const std::string& path) const;

  /// The layers, in the order of the data.
  const std::vector<ModelBlock<T>>& blocks() const;
  std::int64_t input_size() const;  ///< Columns of the input.
  std::int64_t output_size() const;  ///< Columns of the output.
  /// Steps of the output, for sequences of so many. Below 1: such sequences are too short. Throws std::invalid_argument
  /// where paths of a branch would have different ones.
  std::int64_t output_len(std::int64_t seq_len) const;

  /// Numbers in the state of `batch` sequences: of each recurrent layer in turn h, then, for the LSTM, c, each
  /// [num_layers * directions][batch][columns]; see States. Throws std::invalid_argument for a batch below 1 or larger
  /// than memory.
  std::int64_t state_size(std::int64_t batch) const;

  /// Inference over whole sequences. Throws std::invalid_argument, naming the field of the call that is wrong, and
  /// std::bad_alloc.
  void forward(const ModelCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

/// Blocks for a model's list: each path reads the same x, and one y is made of theirs; a path without blocks hands x
/// on, so that parallel({{}, path}, BranchSpec::add) is a residual connection. Throws std::invalid_argument if there is
/// no path or no join.
template <class T>
GRU_NATIVE_API std::vector<ModelBlock<T>> parallel(const std::vector<std::vector<ModelBlock<T>>>& paths,
                                                   BranchSpec::Mark join);

/// The same blocks for inference: a batch normalisation right behind a dense layer, a Conv1d or a Conv2d (of images)
/// without a function becomes part of it, as a new block, and costs nothing more. Others stay, and are shared. Results
/// differ by rounding. Throws std::invalid_argument for a null block, and std::bad_alloc.
template <class T>
GRU_NATIVE_API std::vector<ModelBlock<T>> folded(const std::vector<ModelBlock<T>>& blocks);

using Model = BasicModel<float>;  ///< Of float32.
using Model64 = BasicModel<double>;  ///< Of float64.

}  // namespace gru_native
