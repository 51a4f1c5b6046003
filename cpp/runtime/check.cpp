// What a LayerSpec and its kin may be.
#include <limits>
#include <stdexcept>
#include <string>

#include "gru_native/graph.h"
#include "gru_native/grconv.h"
#include "gru_native/layer.h"
#include "gru_native/readout.h"

namespace gru_native {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& value, const std::string& expected) {
  throw std::invalid_argument(name + " is " + value + "; expected " + expected);
}

void check_size(const char* name, std::int64_t value, std::int64_t least) {
  if (value < least) refuse(name, std::to_string(value), "at least " + std::to_string(least));
}

void check_activation(const char* name, Activation f) {
  const int i = static_cast<int>(f);
  if (i < 0 || i > static_cast<int>(Activation::relu)) refuse(name, std::to_string(i), "an Activation");
}

void check_variant(const LayerSpec& s) {
  const LstmVariant& v = s.lstm;
  check_activation("input_activation", v.input_activation);
  check_activation("output_activation", v.output_activation);
  check_activation("candidate_activation", s.candidate_activation);
  if (s.cell != Cell::gru && s.candidate_activation != Activation::tanh)
    throw std::invalid_argument("candidate_activation is an option of the GRU; expected none for another cell");
  if (!(v.cell_clip >= 0 && v.cell_clip <= std::numeric_limits<double>::max()))
    refuse("cell_clip", std::to_string(v.cell_clip), "a limit above 0, or 0 for none");
  if (v.coupled_gates && !(v.input_gate && v.forget_gate))
    refuse("coupled_gates", "True", "both input_gate and forget_gate with it: f = 1 - i");
  if (v.peephole && !(v.input_gate || v.output_gate || v.forget_gate))
    refuse("peephole", "True", "at least one gate that looks through it");
  const bool usual = !v.peephole && !v.coupled_gates && v.input_gate && v.forget_gate && v.output_gate &&
                     v.input_activation == Activation::tanh && v.output_activation == Activation::tanh &&
                     v.cell_clip == 0;
  if (s.cell != Cell::lstm && !usual)
    throw std::invalid_argument("the options of LstmVariant are the LSTM's; expected none for another cell");
}

}  // namespace

void LayerSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("hidden_size", hidden_size, 1);
  check_size("num_layers", num_layers, 1);
  check_size("proj_size", proj_size, 0);
  if (proj_size > 0 && cell != Cell::lstm) refuse("proj_size", std::to_string(proj_size), "0: only the LSTM projects");
  if (proj_size >= hidden_size && proj_size > 0)
    refuse("proj_size", std::to_string(proj_size), "less than hidden_size=" + std::to_string(hidden_size));
  check_size("nonrecurrent_proj_size", nonrecurrent_proj_size, 0);
  if (nonrecurrent_proj_size > 0 && proj_size == 0)
    refuse("nonrecurrent_proj_size", std::to_string(nonrecurrent_proj_size), "0 without a proj_size beside it");
  check_variant(*this);
  if (!(dropout >= 0 && dropout <= 1)) refuse("dropout", std::to_string(dropout), "a probability from 0 to 1");

  // The largest tensor, and all of them, must have sizes that an address can hold, with room for padding.
  const double most = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 1024;
  const double rows = static_cast<double>(gates()) * static_cast<double>(hidden_size);
  const double inner = static_cast<double>(directions()) * static_cast<double>(output_size());
  const double columns = static_cast<double>(input_size) + inner * static_cast<double>(num_layers) * 3;
  if (rows * columns * static_cast<double>(directions()) > most)
    throw std::invalid_argument("input_size=" + std::to_string(input_size) + ", hidden_size=" +
                                std::to_string(hidden_size) + ", num_layers=" + std::to_string(num_layers) +
                                ": the weights would be larger than memory can be; expected smaller sizes");
}

void GraphSpec::validate() const {
  check_size("hidden_size", hidden_size, 1);
  check_size("num_steps", num_steps, 1);
  check_size("num_edge_types", num_edge_types, 1);
  const double most = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 1024;
  const double size = static_cast<double>(hidden_size);
  if ((2 * static_cast<double>(num_edge_types) + 9) * size * size > most)
    throw std::invalid_argument("hidden_size=" + std::to_string(hidden_size) +
                                ", num_edge_types=" + std::to_string(num_edge_types) +
                                ": the weights would be larger than memory can be; expected smaller sizes");
}

void GrConvSpec::validate() const {
  check_size("input_size", input_size, 1);
  check_size("hidden_size", hidden_size, 1);
  const double most = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 1024;
  const double hidden = static_cast<double>(hidden_size);
  if (hidden * (2 * hidden + static_cast<double>(input_size)) > most)
    throw std::invalid_argument("input_size=" + std::to_string(input_size) +
                                ", hidden_size=" + std::to_string(hidden_size) +
                                ": the weights would be larger than memory can be; expected smaller sizes");
}

void ReadoutSpec::validate() const {
  check_size("hidden_size", hidden_size, 1);
  check_size("annotation_size", annotation_size, 1);
  check_size("output_size", output_size, 1);
  const double most = static_cast<double>(std::numeric_limits<std::ptrdiff_t>::max()) / 1024;
  const double columns = static_cast<double>(hidden_size) + static_cast<double>(annotation_size);
  if (2 * columns * static_cast<double>(output_size) > most)
    throw std::invalid_argument("hidden_size=" + std::to_string(hidden_size) + ", annotation_size=" +
                                std::to_string(annotation_size) + ", output_size=" + std::to_string(output_size) +
                                ": the weights would be larger than memory can be; expected smaller sizes");
}

}  // namespace gru_native
