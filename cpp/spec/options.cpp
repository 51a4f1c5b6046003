#include "spec/options.h"

#include <utility>

namespace gru_native {
namespace {

constexpr const char* operation_names[] = {"Activation", "LayerNorm", "Embedding",   "Conv1d", "Pool",    "MaxPool1d",
                                           "AvgPool1d",  "Branch",    "BatchNorm1d", "Image",  "Columns", "Conv2d",
                                           "MaxPool2d",  "AvgPool2d", "BatchNorm2d"};  // in the order of the variant
constexpr std::size_t operation_kinds = std::variant_size_v<decltype(OperationSpec::kind)>;
static_assert(sizeof(operation_names) / sizeof(*operation_names) == operation_kinds);

template <std::size_t... i>
void set_kind(OperationSpec& spec, std::size_t kind, std::index_sequence<i...>) {
  ((kind == i ? void(spec.kind.emplace<i>()) : void()), ...);
}

}  // namespace

const char* type_of(const OperationSpec& spec) { return operation_names[spec.kind.index()]; }

const char* type_of(const BlockSpec& block) {
  if (std::holds_alternative<DenseSpec>(block.spec)) return "Dense";
  if (const auto* const operation = std::get_if<OperationSpec>(&block.spec)) return type_of(*operation);
  const LayerSpec& s = std::get<LayerSpec>(block.spec);
  return s.cell == Cell::lstm ? "LSTM" : s.cell == Cell::gru ? "GRU" : "RNN";
}

BlockSpec block_of_type(const std::string& type) {
  std::vector<const char*> names{"RNN", "LSTM", "GRU", "Dense"};
  const int layers = static_cast<int>(names.size());
  names.insert(names.end(), operation_names, operation_names + operation_kinds);
  BlockSpec block;
  LayerSpec s;
  switch (const int place = place_of("type", type, names.data(), names.size())) {
    case 0: s.cell = Cell::rnn_tanh; break;
    case 1: s.cell = Cell::lstm; break;
    case 2: s.cell = Cell::gru; break;
    case 3: block.spec = DenseSpec{}; return block;
    default:
      set_kind(block.spec.emplace<OperationSpec>(), static_cast<std::size_t>(place - layers),
               std::make_index_sequence<operation_kinds>());
      return block;
  }
  block.spec = s;
  return block;
}

}  // namespace gru_native
