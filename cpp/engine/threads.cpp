#include "engine/threads.h"

#include <algorithm>
#include <cmath>

#include "gru_native/dense.h"
#include "gru_native/layer.h"
#include "gru_native/output_rnn.h"
#include "gru_native/readout.h"
#include "gru_native/tree.h"
#include "runtime/dispatch.h"
#include "runtime/interruption.h"
#include "spec/limits.h"

namespace gru_native {
namespace {

constexpr double call_macs = 200e3;     // about 10 microseconds on one core: waking another one pays from there on
constexpr double handover_macs = 3e3;   // a barrier costs every member about this for each of the others
constexpr Index copied_numbers = 32768;  // from here on a copy is worth sharing out
constexpr double most_bytes_by_rows = 512 * 1024;  // of weights: half of a second-level cache, which keeps them
constexpr Index least_rows = 4;          // of a member: with fewer, a weight that is read is used too seldom
constexpr Index fewest_rows = 2;         // the same, where there are not units enough for all members
constexpr Index most_panels = 48;        // of which one more than others have is worth a share of its rows

int at_most(double threads) { return static_cast<int>(std::min<double>(most_threads, threads)); }

}  // namespace

int useful_threads(double macs) { return at_most(std::max(1.0, macs / call_macs)); }

int useful_threads(double macs, double step, Index crews) {
  if (macs < call_macs) return 1;
  // step / m + handover * m is least at the root of step / handover.
  const double members = std::max(1.0, std::sqrt(step / handover_macs));
  return at_most(static_cast<double>(crews) * members);
}

namespace {

double recurrent_macs(const LayerSpec& spec) {  // of one layer and direction
  return double(spec.gates()) * double(spec.hidden_size) * double(spec.recurrent_size()) +
         double(spec.recurrent_gates()) * double(spec.recurrent_gates());
}

}  // namespace

double macs_of_row(const LayerSpec& spec) {
  const double input = double(spec.gates()) * double(spec.hidden_size) * double(spec.input_size);
  return (recurrent_macs(spec) + input) * double(spec.directions() * spec.num_layers);
}

double macs_of_row(const DenseSpec& spec) { return double(spec.input_size) * double(spec.output_size); }

namespace {

double bytes_of_weight(Precision precision) {
  switch (precision) {
    case Precision::int8: return 1;
    case Precision::bf16: return 2;
    case Precision::full: break;
  }
  return sizeof(float);
}

}  // namespace

bool shares_rows(const LayerSpec& spec, Index batch, int members) {
  if (members < 2 || batch < fewest_rows * members || spec.layer_norm || spec.zoneout > 0 || spec.zoneout_cell > 0)
    return false;
  const double weights = macs_of_row(spec) / double(spec.directions() * spec.num_layers);
  if (weights * bytes_of_weight(spec.precision) > most_bytes_by_rows) return false;
  return batch >= least_rows * members || spec.hidden_size <= kernels_for<float>().lanes * (members - 1);
}

PanelShare share_of_panels(Index blocks, Index granule, Index batch, int member, int members) {
  const Index panels = divide_up(blocks, granule), each = panels / members * granule;
  const bool pays = panels % members != 0 && each > 0 && panels <= most_panels && batch >= least_rows * members;
  if (!pays) return {share_of(blocks, granule, member, members), {blocks, blocks}};
  return {{member * each, (member + 1) * each}, {members * each, blocks}};
}

bool recurs_alone(const LayerSpec& spec, Index rows, Index steps) {
  return !spec.layer_norm && double(rows) * recurrent_macs(spec) < 4 * handover_macs * double(steps);
}

namespace {

// How many times the multiply-adds of the gates are made of their columns, with what pads these to whole vectors.
double padding_of(const LayerSpec& spec) {
  const double columns = double(spec.gates()) * double(spec.hidden_size), lanes = kernels_for<float>().lanes;
  return std::ceil(columns / lanes) * lanes / columns;
}

}  // namespace

int useful_threads(const LayerSpec& spec, Index rows, Index steps) {
  if (steps < 1) return 1;
  const double recurrent = recurrent_macs(spec), macs = double(rows) * macs_of_row(spec);
  const double barriers = spec.layer_norm ? spec.has_c() ? 3 : 2 : 1;  // of a step
  const Index batch = (rows + steps - 1) / steps, crews = spec.directions();
  int by_units = useful_threads(macs, double(rows) / double(steps) * recurrent / barriers, crews);
  const double padding = padding_of(spec);
  if (recurs_alone(spec, rows, steps)) {
    const double inputs = double(spec.gates()) * double(spec.hidden_size) * double(spec.input_size);
    by_units = std::max(by_units, at_most(double(crews) * useful_threads(padding * double(rows) * inputs)));
  }
  const double functions = double(rows * crews * spec.num_layers * spec.gates() * spec.hidden_size) * macs_of_function;
  Index members = std::min<Index>(useful_threads(padding * macs + functions) / crews, batch / fewest_rows);
  while (members > 1 && !shares_rows(spec, batch, static_cast<int>(members))) --members;
  return members < 2 ? by_units : std::max(by_units, static_cast<int>(crews * members));
}

int useful_threads(const DenseSpec& spec, Index rows) { return useful_threads(double(rows) * macs_of_row(spec)); }

int useful_threads(const OutputRnnSpec& spec, Index rows, Index batch, bool forced) {
  const double columns = double(spec.input_size + 2 * spec.output_size);
  const int useful = useful_threads(double(rows) * double(spec.hidden_size) * columns);
  return forced ? useful : static_cast<int>(std::min<Index>(useful, batch));
}

int useful_threads(const ReadoutSpec& spec, Index nodes) {
  const double columns = double(spec.hidden_size + spec.annotation_size);
  return useful_threads(2.0 * double(nodes) * columns * double(spec.output_size));
}

int useful_threads(const TreeSpec& spec, Index nodes, Index leaves, Index edges, Index heights) {
  const double slots = spec.cell == TreeCell::nary ? double(spec.arity) : 1, hidden = double(spec.hidden_size);
  const double inner = double(nodes - leaves);
  const double input = (3 * double(nodes) + inner) * hidden * double(spec.input_size);
  const double macs = input + (3 * inner + double(edges)) * slots * hidden * hidden;
  return useful_threads(macs, macs / double(heights) / 3);  // as many barriers a height
}

int useful_threads_to_copy(Index numbers) { return numbers < copied_numbers ? 1 : most_threads; }

}  // namespace gru_native
