#include "spec/check_layer.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {
namespace {

std::string text_of(const ActivationFunction& f) {
  std::string text = std::string("\"") + function_names[static_cast<int>(f.kind)] + "\"";
  const double numbers[2] = {f.alpha, f.beta};
  for (int k = 0; k < numbers_of(f.kind); ++k) text += ", " + shown(numbers[k]);
  return "(" + text + ")";
}

}  // namespace

void check_function(const char* name, const ActivationFunction& f) {
  check_enum(name, f.kind, Activation::hard_sigmoid, "an Activation");
  if (!std::isfinite(f.alpha) || !std::isfinite(f.beta)) refuse(name, text_of(f), "finite numbers with it");
}

void check_slope(const char* name, const ActivationFunction& f) {
  if ((f.kind == Activation::leaky_relu || f.kind == Activation::elu) && f.alpha < 0)
    refuse(name, text_of(f), "an alpha of at least 0 for training: the slope must follow from the output");
}

namespace {

void check_layer_norm(const LayerSpec& s) {
  const auto needs = [](const char* expected) { refuse("layer_norm", "True", expected); };
  if (s.cell != Cell::lstm && s.cell != Cell::gru) needs("False: the LSTM and the GRU can have it");
  if (s.cell == Cell::gru && !s.reset_after)
    needs("reset_after=True with it: U h- is normalised over all gates, so it must be one product");
}

void check_probability(const char* name, double p) {
  if (!(p >= 0 && p <= 1)) refuse(name, shown(p), "a probability from 0 to 1");
}

void check_clip(const char* name, double clip) {
  if (!(clip >= 0 && clip <= std::numeric_limits<double>::max()))
    refuse(name, shown(clip), "a limit above 0, or 0 for none");
}

void check_variant(const LayerSpec& s) {
  const LstmVariant& v = s.lstm;
  check_function("input_activation", v.input_activation);
  check_function("output_activation", v.output_activation);
  check_function("candidate_activation", s.candidate_activation);
  check_function("gate_activation", s.gate_activation);
  check_function("nonlinearity", s.nonlinearity);
  check_clip("activation_clip", s.activation_clip);
  if (s.cell != Cell::gru && s.cell != Cell::lstm && s.gate_activation != Activation::sigmoid)
    throw std::invalid_argument("gate_activation is an option of LSTM and GRU; expected none for another cell");
  if (s.cell != Cell::rnn && s.nonlinearity != Activation::tanh)
    throw std::invalid_argument("nonlinearity is an option of Cell::rnn; expected none for another cell");
  if (s.cell != Cell::gru && s.candidate_activation != Activation::tanh)
    throw std::invalid_argument("candidate_activation is an option of the GRU; expected none for another cell");
  check_clip("cell_clip", v.cell_clip);
  if (v.coupled_gates && !(v.input_gate && v.forget_gate))
    refuse("coupled_gates", "True", "both input_gate and forget_gate with it: f = 1 - i");
  if (v.peephole && !(v.input_gate || v.output_gate || v.forget_gate))
    refuse("peephole", "True", "at least one gate that looks through it");
  if (v.gate_recurrence && !(v.input_gate && v.forget_gate && v.output_gate && !v.coupled_gates))
    refuse("gate_recurrence", "True", "all three gates with it, uncoupled: each sees the others");
  if (s.layer_norm) check_layer_norm(s);
  const bool usual = !v.peephole && !v.gate_recurrence && !v.coupled_gates && v.input_gate && v.forget_gate &&
                     v.output_gate && v.input_activation == Activation::tanh &&
                     v.output_activation == Activation::tanh && v.cell_clip == 0;
  if (s.cell != Cell::lstm && !usual)
    throw std::invalid_argument("the options of LstmVariant are the LSTM's; expected none for another cell");
}

}  // namespace

void check_trainable(const LayerSpec& s) {
  check_slope("input_activation", s.lstm.input_activation);
  check_slope("output_activation", s.lstm.output_activation);
  check_slope("candidate_activation", s.candidate_activation);
  check_slope("gate_activation", s.gate_activation);
  check_slope("nonlinearity", s.nonlinearity);
}

void LayerSpec::validate() const {
  check_enum("cell", cell, Cell::rnn, "a Cell");
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
  check_probability("dropout", dropout);
  check_probability("zoneout", zoneout);
  check_probability("zoneout_cell", zoneout_cell);
  if (zoneout_cell > 0 && cell != Cell::lstm)
    throw std::invalid_argument("zoneout_cell is an option of the LSTM; expected none for another cell");

  // The largest tensor, and all of them, must have sizes that an address can hold, with room for padding.
  const double rows = double(gates()) * double(hidden_size);
  const double outputs = double(recurrent_size()) + double(nonrecurrent_proj_size);
  const double inner = double(directions()) * outputs;
  const double columns =
      double(input_size) + inner * double(num_layers) * 3 + (lstm.gate_recurrence ? 3 * double(hidden_size) : 0);
  check_fits("the weights", rows * columns * double(directions()),
             {{"input_size", input_size}, {"hidden_size", hidden_size}, {"num_layers", num_layers}});
}

void check_rtrl(const LayerSpec& spec, std::int64_t batch) {
  check_size("batch_size", batch, 1);
  if (spec.num_layers != 1) refuse("num_layers", std::to_string(spec.num_layers), "1: RTRL is for a single layer");
  if (spec.bidirectional) refuse("bidirectional", "True", "False: RTRL goes forward in time only");
  check_trainable(spec);
  if (spec.learn_initial_state) refuse("learn_initial_state", "True", "False for RTRL");
  if (spec.zoneout > 0) refuse("zoneout", shown(spec.zoneout), "0 for RTRL");
  if (spec.zoneout_cell > 0) refuse("zoneout_cell", shown(spec.zoneout_cell), "0 for RTRL");
  if (spec.lstm.gate_recurrence) refuse("gate_recurrence", "True", "False for RTRL");
  if (spec.layer_norm) refuse("layer_norm", "True", "False for RTRL");
}

template <class T>
void check_call(const LayerSpec& spec, const ForwardCall<T>& call) {
  const std::int64_t outputs = spec.directions() * spec.output_size();
  check_calls_size(call.seq_len, call.batch, spec.input_size + spec.directions() * spec.gates() * spec.hidden_size);
  check_rows("x", call.x, call.seq_len, call.batch, spec.input_size);
  if (call.y.data) check_rows("y", call.y, call.seq_len, call.batch, outputs);
  if (call.mask.data) check_rows("mask", call.mask, call.seq_len, call.batch, 1);
  check_enum("masked_output", call.masked_output, MaskedOutput::hold, "a MaskedOutput");
  check_lengths("lengths", call.lengths, call.batch, "seq_len", call.seq_len);
}

template <class T>
void check_call(const LayerSpec& spec, const BackwardCall<T>& call, std::int64_t seq_len, std::int64_t batch,
                std::size_t weights) {
  if (call.dy.data) check_rows("dy", call.dy, seq_len, batch, spec.directions() * spec.output_size());
  if (call.dx.data) check_rows("dx", call.dx, seq_len, batch, spec.input_size);
  check_dweights(call.dweights.size(), weights);
}

template void check_call(const LayerSpec&, const ForwardCall<float>&);
template void check_call(const LayerSpec&, const ForwardCall<double>&);
template void check_call(const LayerSpec&, const BackwardCall<float>&, std::int64_t, std::int64_t, std::size_t);
template void check_call(const LayerSpec&, const BackwardCall<double>&, std::int64_t, std::int64_t, std::size_t);

}  // namespace gru_native
