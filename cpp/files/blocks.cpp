#include "files/blocks.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "engine/matrix/quantization.h"
#include "spec/chain_width.h"
#include "spec/names.h"

namespace gru_native {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument(text); }

std::string shape_text(const std::vector<std::int64_t>& shape) {
  if (shape.size() > 8) return "of " + std::to_string(shape.size()) + " dimensions";
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::int64_t input_of(const BlockSpec& b) {
  return std::visit([](const auto& s) { return input_size(s); }, b.spec);
}
std::int64_t output_of(const BlockSpec& b) {
  return std::visit([](const auto& s) { return output_size(s, input_size(s), 0); }, b.spec);
}
bool is_dense(const BlockSpec& b) { return std::holds_alternative<DenseSpec>(b.spec); }

Precision precision_of(const BlockSpec& b) {
  return std::visit([](const auto& s) { return s.precision; }, b.spec);
}

// Tensors of one prefix, by the rest of their names.
using Group = std::map<std::string, std::vector<std::int64_t>>;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The k of "..._l{k}" or "..._l{k}_reverse"; -1: no such name.
std::int64_t layer_number(std::string name) {
  if (ends_with(name, "_reverse")) name.resize(name.size() - 8);
  const std::size_t at = name.rfind("_l");
  if (at == std::string::npos || at + 2 == name.size() || name.size() - at > 8) return -1;
  if (!std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at) + 2, name.end(),
                   [](char c) { return c >= '0' && c <= '9'; }))
    return -1;
  return std::stoll(name.substr(at + 2));
}

const std::vector<std::int64_t>& matrix(const std::string& prefix, const Group& group, const std::string& name) {
  const auto found = group.find(name);
  if (found == group.end()) refuse("there is no tensor " + shown(prefix + name) + "; give a description of the blocks");
  if (found->second.size() != 2 || found->second[0] < 1 || found->second[1] < 1)
    refuse("tensor " + shown(prefix + name) + " has shape " + shape_text(found->second) + "; expected a matrix");
  return found->second;
}

EmbeddingSpec embedding_of(const std::vector<std::int64_t>& weight) {
  EmbeddingSpec embedding;
  embedding.num_embeddings = weight[0];
  embedding.embedding_dim = weight[1];
  return embedding;
}

// Whether the module's name says so: "embedding.", "encoder.word_embeddings.", "emb.".
bool is_named_embedding(const std::string& prefix) {
  const std::size_t dot = prefix.size() > 1 ? prefix.rfind('.', prefix.size() - 2) : std::string::npos;
  const std::string own = prefix.substr(dot == std::string::npos ? 0 : dot + 1);
  return own.find("embed") != std::string::npos || own == "emb.";
}

BlockSpec infer_block(const std::string& prefix, const Group& group) {
  BlockSpec block;
  block.prefix = prefix;
  const auto vector = [&](const char* name) -> std::int64_t {
    const auto found = group.find(name);
    return found != group.end() && found->second.size() == 1 ? found->second[0] : 0;
  };
  if (const std::int64_t columns = vector("running_mean")) {
    BatchNorm1dSpec norm;
    norm.num_features = columns;
    norm.affine = group.count("weight") > 0;
    block.spec.emplace<OperationSpec>().kind = norm;
    return block;
  }
  if (const std::int64_t columns = vector("weight")) {
    LayerNormSpec norm;
    norm.normalized_shape = columns;
    norm.bias = group.count("bias") > 0;
    block.spec.emplace<OperationSpec>().kind = norm;
    return block;
  }
  if (const auto found = group.find("weight"); found != group.end() && found->second.size() == 3) {
    Conv1dSpec conv;  // with PyTorch's usual options
    conv.out_channels = found->second[0];
    conv.in_channels = found->second[1];
    conv.kernel_size = found->second[2];
    conv.padding.kind = Padding::valid;
    conv.bias = group.count("bias") > 0;
    block.spec.emplace<OperationSpec>().kind = conv;
    return block;
  }
  if (const auto found = group.find("weight"); found != group.end() && found->second.size() == 4) {
    Conv2dSpec conv;
    conv.out_channels = found->second[0];
    conv.in_channels = found->second[1];
    conv.kernel_size = {found->second[2], found->second[3]};
    conv.bias = group.count("bias") > 0;
    block.spec.emplace<OperationSpec>().kind = conv;
    return block;
  }
  if (group.count("weight") && !group.count("bias") && is_named_embedding(prefix)) {
    block.spec.emplace<OperationSpec>().kind = embedding_of(matrix(prefix, group, "weight"));
    return block;
  }
  if (group.count("weight")) {
    DenseSpec dense;
    const auto& weight = matrix(prefix, group, "weight");
    dense.output_size = weight[0];
    dense.input_size = weight[1];
    dense.bias = group.count("bias") > 0;
    block.spec = dense;
    return block;
  }
  LayerSpec s;
  for (const auto& [name, shape] : group) {
    const std::int64_t layer = layer_number(name);
    if (layer < 0)
      refuse("tensor " + shown(prefix + name) +
             " belongs to no recurrent or dense layer; give a description of the blocks");
    s.num_layers = std::max(s.num_layers, layer + 1);
    if (ends_with(name, "_reverse")) s.bidirectional = true;
  }
  const auto& ih = matrix(prefix, group, "weight_ih_l0");
  const auto& hh = matrix(prefix, group, "weight_hh_l0");
  const bool projects = group.count("weight_hr_l0") > 0;
  s.input_size = ih[1];
  s.hidden_size = projects ? matrix(prefix, group, "weight_hr_l0")[1] : hh[1];
  s.proj_size = projects ? hh[1] : 0;
  s.bias = group.count("bias_ih_l0") > 0;
  s.learn_initial_state = group.count("h0_l0") > 0;
  const std::int64_t gates = hh[0] % s.hidden_size == 0 ? hh[0] / s.hidden_size : 0;
  if (gates == 4) s.cell = Cell::lstm;
  else if (gates == 3) s.cell = Cell::gru;
  else if (gates == 1) s.cell = Cell::rnn_tanh;
  else
    refuse("tensor " + shown(prefix + "weight_hh_l0") + " has " + std::to_string(hh[0]) +
           " rows; expected 4 (LSTM), 3 (GRU) or 1 "
           "(RNN) times the hidden size " +
           std::to_string(s.hidden_size));
  block.spec = s;
  return block;
}

// All orders in which each block's output is the next one's input, as far as two that are alike in `heads_last`.
class Orders {
 public:
  explicit Orders(const std::vector<BlockSpec>& blocks) : blocks_(blocks), used_(blocks.size()) { extend(); }
  // Dense blocks behind all others, if there is such an order; otherwise any.
  const std::vector<std::vector<std::size_t>>& best() const { return heads_last_.empty() ? others_ : heads_last_; }

 private:
  void extend() {
    if (order_.size() == blocks_.size()) {
      const bool heads_last = std::is_sorted(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        return is_dense(blocks_[a]) < is_dense(blocks_[b]);
      });
      auto& list = heads_last ? heads_last_ : others_;
      if (list.size() < 2) list.push_back(order_);
      return;
    }
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (used_[i] || (!order_.empty() && output_of(blocks_[order_.back()]) != input_of(blocks_[i]))) continue;
      used_[i] = true;
      order_.push_back(i);
      extend();
      order_.pop_back();
      used_[i] = false;
    }
  }
  const std::vector<BlockSpec>& blocks_;
  std::vector<bool> used_;
  std::vector<std::size_t> order_;
  std::vector<std::vector<std::size_t>> heads_last_, others_;
};

bool is_number(const std::string& prefix) {
  return prefix.size() > 1 && prefix.size() < 9 && prefix.back() == '.' &&
         std::all_of(prefix.begin(), prefix.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
}

// Beside convolutions of images, normalisations are of channels: nothing with weights leads out of images.
void normalise_images(std::vector<BlockSpec>& blocks) {
  const auto kind_of = [](BlockSpec& b) {
    auto* operation = std::get_if<OperationSpec>(&b.spec);
    return operation ? &operation->kind : nullptr;
  };
  if (std::none_of(blocks.begin(), blocks.end(), [&](BlockSpec& b) {
        const auto* kind = kind_of(b);
        return kind && std::holds_alternative<Conv2dSpec>(*kind);
      }))
    return;
  for (BlockSpec& b : blocks) {
    auto* kind = kind_of(b);
    if (!kind || !std::holds_alternative<BatchNorm1dSpec>(*kind)) continue;
    const BatchNorm1dSpec norm = std::get<BatchNorm1dSpec>(*kind);
    static_cast<BatchNorm1dSpec&>(kind->emplace<BatchNorm2dSpec>()) = norm;
  }
}

// A matrix without bias that only as a table of rows fits to what is behind it.
void begin_with_embedding(std::vector<BlockSpec>& blocks) {
  const auto* dense = std::get_if<DenseSpec>(&blocks[0].spec);
  const std::int64_t wanted = input_of(blocks[1]);
  if (!dense || dense->bias || dense->output_size == wanted || dense->input_size != wanted) return;
  const EmbeddingSpec embedding = embedding_of({dense->output_size, dense->input_size});
  blocks[0].spec.emplace<OperationSpec>().kind = embedding;
}

}  // namespace

std::vector<BlockSpec> infer_blocks(const std::vector<NamedTensor>& tensors) {
  std::set<std::string> scales;
  for (const NamedTensor& t : tensors)
    if (t.dtype == "I8") scales.insert(scale_name(t.name));
  std::map<std::string, Group> groups;
  std::map<std::string, Precision> precisions;
  for (const NamedTensor& t : tensors) {
    if (scales.count(t.name)) continue;
    const std::size_t dot = t.name.rfind('.');
    const std::size_t cut = dot == std::string::npos ? 0 : dot + 1;
    const std::string prefix = t.name.substr(0, cut);
    groups[prefix][t.name.substr(cut)] = t.shape;
    if (t.dtype == "I8") precisions[prefix] = Precision::int8;
    else if (t.dtype == "BF16" && t.shape.size() == 2) precisions.emplace(prefix, Precision::bf16);
  }
  if (groups.empty()) refuse("there are no tensors");
  std::vector<BlockSpec> blocks;
  for (const auto& [prefix, group] : groups) {
    blocks.push_back(infer_block(prefix, group));
    if (const auto found = precisions.find(prefix); found != precisions.end())
      std::visit([&](auto& s) { s.precision = found->second; }, blocks.back().spec);
  }
  if (blocks.size() == 1) return blocks;
  normalise_images(blocks);

  if (std::all_of(blocks.begin(), blocks.end(), [](const BlockSpec& b) { return is_number(b.prefix); })) {
    std::stable_sort(blocks.begin(), blocks.end(), [](const BlockSpec& a, const BlockSpec& b) {
      return std::stoll(a.prefix) < std::stoll(b.prefix);
    });
    begin_with_embedding(blocks);
    return blocks;
  }
  constexpr std::size_t most = 8;
  if (blocks.size() > most)
    refuse(std::to_string(blocks.size()) + " blocks have names that are no numbers; give a description of the blocks");
  const Orders orders(blocks);
  if (orders.best().size() != 1)
    refuse(std::string("the blocks' sizes match in ") + (orders.best().empty() ? "no order" : "more than one order") +
           "; give a description of the blocks");
  std::vector<BlockSpec> ordered;
  for (const std::size_t i : orders.best()[0]) ordered.push_back(blocks[i]);
  return ordered;
}

namespace {

// The dtypes that a tensor of a block may have.
bool is_allowed(const std::string& dtype, Precision precision, bool is_matrix, bool any_precision) {
  const bool is_full = dtype == "F32" || dtype == "F64";
  if (any_precision) return is_full || dtype == "BF16" || is_matrix;
  if (precision == Precision::full) return is_full;
  if (!is_matrix) return is_full || (dtype == "BF16" && precision == Precision::bf16);
  return dtype == (precision == Precision::int8 ? "I8" : "BF16");
}

std::string expected_dtype(Precision precision, bool is_matrix) {
  if (precision == Precision::full || !is_matrix) return "F32 or F64";
  return precision == Precision::int8 ? "I8" : "BF16";
}

}  // namespace

void match_blocks(const std::vector<BlockSpec>& blocks, const std::vector<NamedTensor>& tensors, bool any_precision) {
  std::map<std::string, const NamedTensor*> left;
  for (const NamedTensor& t : tensors) left[t.name] = &t;
  if (blocks.empty()) refuse("there are no blocks");
  ChainWidth width;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const BlockSpec& block = blocks[i];
    const std::string place = "block " + std::to_string(i) + " (" + type_of(block) + ")";
    try {
      std::visit([](const auto& s) { s.validate(); }, block.spec);
    } catch (const std::invalid_argument& error) {
      refuse(place + ": " + error.what());
    }
    std::visit([&](const auto& spec) { width.add(place, spec); }, block.spec);
    if (block.batch_first != blocks[0].batch_first)
      refuse(place + " has another batch_first than block 0; expected the same in all");
    const Precision precision = precision_of(block);
    const auto take = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
      const auto found = left.find(block.prefix + name);
      if (found == left.end())
        refuse("there is no tensor " + shown(block.prefix + name) + ", which " + place + " needs");
      const NamedTensor& tensor = *found->second;
      if (tensor.shape != shape)
        refuse("tensor " + shown(tensor.name) + " has shape " + shape_text(tensor.shape) + "; expected " +
               shape_text(shape) + " for " + place);
      left.erase(found);
      return tensor.dtype;
    };
    const auto take_weight = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
      const std::string dtype = take(name, shape);
      const bool is_matrix = shape.size() == 2;
      if (!is_allowed(dtype, precision, is_matrix, any_precision))
        refuse("tensor " + shown(block.prefix + name) + " has dtype " + dtype + "; expected " +
               expected_dtype(precision, is_matrix) + " for " + place + " with precision \"" +
               precision_names[static_cast<int>(precision)] + "\"");
      if (dtype != "I8") return;
      const std::string scales = scale_name(name);
      if (const std::string own = take(scales, {shape[0]}); own != "F32")
        refuse("tensor " + shown(block.prefix + scales) + " has dtype " + own + "; expected F32");
    };
    std::visit([&](const auto& s) { each_name(s, take_weight); }, block.spec);
  }
  width.check_joined();
  if (!left.empty()) refuse("tensor " + shown(left.begin()->first) + " belongs to no block");
}

void complete_layouts(std::vector<BlockSpec>& blocks, const std::vector<bool>& said) {
  const bool batch_first =
      std::any_of(blocks.begin(), blocks.end(), [](const BlockSpec& block) { return block.batch_first; });
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (!std::holds_alternative<LayerSpec>(blocks[i].spec) && !said[i]) blocks[i].batch_first = batch_first;
}

}  // namespace gru_native
