// A model: a chain of recurrent and dense layers, and its file.
//
//   auto model = gru_native::Model::load("amp.safetensors");   // shared, immutable
//   gru_native::Stream stream(model);                          // see stream.h
#pragma once
#include <stdexcept>
#include <variant>

#include "gru_native/dense.h"
#include "gru_native/layer.h"

namespace gru_native {

// A file that cannot be read or written, or does not hold what it should: the text names file and tensor.
class GRU_NATIVE_API FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class T>
using ModelBlock = std::variant<std::shared_ptr<const Layer<T>>, std::shared_ptr<const Dense<T>>>;

// Describes one block of a model file: its tensors are named `prefix` + "weight_ih_l0" and so on.
struct BlockSpec {
  std::string prefix;
  std::variant<LayerSpec, DenseSpec> spec;
  bool batch_first = false;  // an option of the Python classes: here the caller's strides say it
};

// From JSON, as model files have it (cpp/files/description.h). Throws FileError.
GRU_NATIVE_API std::vector<BlockSpec> parse_description(const std::string& json);

template <class T>
struct ModelCall {
  std::int64_t seq_len = 0, batch = 0;
  Sequences<const T> x;                   // input_size() columns
  const std::int64_t* lengths = nullptr;  // [batch], each 0..seq_len; nullptr: all seq_len
  const T* initial = nullptr;             // [state_size(batch)]; nullptr: zeros
  Sequences<T> y;                         // output_size() columns; 0 past a sequence's end
  T* final = nullptr;                     // [state_size(batch)]; nullptr: not wanted
};

template <class T>
class GRU_NATIVE_API BasicModel {
 public:
  // Model({lstm, dense}) of shared pointers; calls see weights as they are committed then, streams as they were when
  // made. Throws std::invalid_argument, naming the block, if there is none, one is null or sizes do not match.
  explicit BasicModel(std::vector<ModelBlock<T>> blocks);
  ~BasicModel();
  BasicModel(BasicModel&& other) noexcept;
  BasicModel& operator=(BasicModel&& other) noexcept;

  // Reads a safetensors file with tensors of T: one that save() or gru_native.save in Python wrote, or a state_dict
  // from PyTorch, whose blocks are taken from names and shapes where these say enough, else from `description`.
  // The file is mapped, and must not be shortened meanwhile. Throws FileError; std::bad_alloc.
  static std::shared_ptr<const BasicModel> load(const std::string& path);
  static std::shared_ptr<const BasicModel> load(const std::string& path, const std::vector<BlockSpec>& description);
  // Writes such a file, whole or not at all. Throws FileError.
  void save(const std::string& path) const;

  const std::vector<ModelBlock<T>>& blocks() const;
  std::int64_t input_size() const;
  std::int64_t output_size() const;
  // Numbers in the state of `batch` sequences: for each recurrent block in turn h, then (LSTM) c, each
  // [num_layers * directions][batch][size].
  std::int64_t state_size(std::int64_t batch) const;

  // Inference over whole sequences. Throws std::invalid_argument, std::bad_alloc.
  void forward(const ModelCall<T>& call) const;

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

using Model = BasicModel<float>;
using Model64 = BasicModel<double>;

}  // namespace gru_native
