// Which tensors a chain of blocks has, and which chain some tensors are. No JSON here.
#pragma once
#include "gru_native/model.h"
#include "spec/options.h"
#include "spec/tensors.h"

namespace gru_native {

struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string dtype;  // as safetensors has it
};

// The chain that a plain state_dict holds, from its names and shapes. Tensors are grouped by the part of the name
// before the last dot; weight_ih_l0 and so on are an LSTM, a GRU (reset after) or an RNN (tanh) with 4, 3 or 1 times
// hidden_size rows, "weight" and "bias" a dense layer without activation. Prefixes that are numbers ("0.", "1.") give
// the order; else it is the one in which sizes match, dense layers last if there is a choice. A block with a matrix of
// few bits has that precision. Throws std::invalid_argument if there is no such chain, or more than one.
std::vector<BlockSpec> infer_blocks(const std::vector<NamedTensor>& tensors);

// Throws std::invalid_argument unless the tensors are exactly those of the blocks, by name, shape and dtype, and the
// blocks fit one another. A block of int8 has matrices of I8, each with scales (rows,); one of bf16 matrices of BF16,
// and vectors of it where it likes. any_precision: each tensor may have any dtype. Asks for no more memory than
// `tensors` has, whatever sizes the blocks claim.
void match_blocks(const std::vector<BlockSpec>& blocks, const std::vector<NamedTensor>& tensors, bool any_precision);

// Blocks other than recurrent layers that do not say batch_first have that of the others, as in files from before they
// could say it. said[i]: whether block i does.
void complete_layouts(std::vector<BlockSpec>& blocks, const std::vector<bool>& said);

}  // namespace gru_native
