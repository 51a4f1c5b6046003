// Which tensors a chain of blocks has, and which chain some tensors are. No JSON here.
#pragma once
#include "gru_native/model.h"
#include "spec/names.h"
#include "spec/tensors.h"

namespace gru_native {

struct NamedShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

// The chain that a plain state_dict holds, from its names and shapes. Tensors are grouped by the part of the name
// before the last dot; weight_ih_l0 and so on are an LSTM, a GRU (reset after) or an RNN (tanh) with 4, 3 or 1 times
// hidden_size rows, "weight" and "bias" a dense layer without activation. Prefixes that are numbers ("0.", "1.") give
// the order; else it is the one in which sizes match, dense layers last if there is a choice.
// Throws std::invalid_argument if there is no such chain, or more than one.
std::vector<BlockSpec> infer_blocks(const std::vector<NamedShape>& tensors);

// Throws std::invalid_argument unless the tensors are exactly those of the blocks, by name and shape, and the blocks
// fit one another. Asks for no more memory than `tensors` has, whatever sizes the blocks claim.
void match_blocks(const std::vector<BlockSpec>& blocks, const std::vector<NamedShape>& tensors);

// Dense blocks that do not say batch_first have that of the others, as in files from before they could say it.
// said[i]: whether block i does.
void complete_layouts(std::vector<BlockSpec>& blocks, const std::vector<bool>& said);

// Every option of a block's class in Python, once: f(name, value), where value may be changed. Texts that stand for
// a choice throw std::invalid_argument if f sets them to what is none.
template <class F>
void each_option(BlockSpec& block, const F& f);

const char* type_of(const BlockSpec& block);        // "RNN", "LSTM", "GRU", "Dense"
BlockSpec block_of_type(const std::string& type);   // throws std::invalid_argument

namespace detail {

template <class Enum, std::size_t n, class F>
void choice(const char* option, Enum& value, const char* const (&names)[n], const F& f) {
  std::string text = names[static_cast<int>(value)];
  f(option, text);
  value = named<Enum>(option, text, names);
}

// The two functions that have a Cell of their own keep it.
inline void set_rnn_function(LayerSpec& s, const ActivationFunction& f) {
  s.cell = f == Activation::tanh ? Cell::rnn_tanh : f == Activation::relu ? Cell::rnn_relu : Cell::rnn;
  s.nonlinearity = s.cell == Cell::rnn ? f : ActivationFunction(Activation::tanh);
}

}  // namespace detail

template <class F>
void each_option(BlockSpec& block, const F& f) {
  if (auto* dense = std::get_if<DenseSpec>(&block.spec)) {
    f("input_size", dense->input_size);
    f("output_size", dense->output_size);
    f("bias", dense->bias);
    detail::choice("activation", dense->activation, dense_activation_names, f);
    f("batch_first", block.batch_first);
    return;
  }
  LayerSpec& s = std::get<LayerSpec>(block.spec);
  f("input_size", s.input_size);
  f("hidden_size", s.hidden_size);
  f("num_layers", s.num_layers);
  if (s.cell == Cell::rnn_tanh || s.cell == Cell::rnn_relu || s.cell == Cell::rnn) {
    ActivationFunction function = s.rnn_function();
    f("nonlinearity", function);
    detail::set_rnn_function(s, function);
  }
  f("bias", s.bias);
  f("batch_first", block.batch_first);
  f("dropout", s.dropout);
  f("zoneout", s.zoneout);
  f("bidirectional", s.bidirectional);
  if (s.cell == Cell::lstm) {
    f("proj_size", s.proj_size);
    f("nonrecurrent_proj_size", s.nonrecurrent_proj_size);
    f("peephole", s.lstm.peephole);
    f("coupled_gates", s.lstm.coupled_gates);
    f("input_gate", s.lstm.input_gate);
    f("forget_gate", s.lstm.forget_gate);
    f("output_gate", s.lstm.output_gate);
    f("input_activation", s.lstm.input_activation);
    f("output_activation", s.lstm.output_activation);
    f("cell_clip", s.lstm.cell_clip);
    f("gate_recurrence", s.lstm.gate_recurrence);
    f("zoneout_cell", s.zoneout_cell);
  }
  if (s.cell == Cell::lstm || s.cell == Cell::gru) f("layer_norm", s.layer_norm);
  if (s.cell == Cell::gru) {
    f("reset_after", s.reset_after);
    f("candidate_activation", s.candidate_activation);
  }
  if (s.cell == Cell::lstm || s.cell == Cell::gru) f("gate_activation", s.gate_activation);
  f("activation_clip", s.activation_clip);
}

}  // namespace gru_native
