#include "spec/options.h"

namespace gru_native {

const char* type_of(const BlockSpec& block) {
  const auto* s = std::get_if<LayerSpec>(&block.spec);
  return !s ? "Dense" : s->cell == Cell::lstm ? "LSTM" : s->cell == Cell::gru ? "GRU" : "RNN";
}

BlockSpec block_of_type(const std::string& type) {
  BlockSpec block;
  LayerSpec s;
  constexpr const char* types[] = {"RNN", "LSTM", "GRU", "Dense"};
  switch (place_of("type", type, types, std::size(types))) {
    case 0: s.cell = Cell::rnn_tanh; break;
    case 1: s.cell = Cell::lstm; break;
    case 2: s.cell = Cell::gru; break;
    default: block.spec = DenseSpec{}; return block;
  }
  block.spec = s;
  return block;
}

}  // namespace gru_native
