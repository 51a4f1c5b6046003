#include "spec/check_graph.h"

#include <stdexcept>
#include <string>

#include "spec/checks.h"

namespace gru_native {

void GraphSpec::validate() const {
  check_enum("aggregate", aggregate, Aggregate::sum, "an Aggregate");
  check_enum("bias", bias, MessageBias::node, "a MessageBias");
  check_enum("precision", precision, Precision::int8, "a Precision");
  check_size("hidden_size", hidden_size, 1);
  check_size("num_steps", num_steps, 1);
  check_size("num_edge_types", num_edge_types, 1);
  const double size = static_cast<double>(hidden_size);
  check_fits("the weights", (2 * double(num_edge_types) + 9) * size * size,
             {{"hidden_size", hidden_size}, {"num_edge_types", num_edge_types}});
}

template <class T>
void check_call(const GraphSpec& spec, const GraphForwardCall<T>& call) {
  const auto wrong = [](const std::string& text) { throw std::invalid_argument(text); };
  if (call.nodes < 1) wrong("annotations has " + std::to_string(call.nodes) + " nodes; expected at least one");
  if (call.annotation_size < 1 || call.annotation_size > spec.hidden_size)
    wrong("annotations has " + std::to_string(call.annotation_size) +
          " columns; expected 1 to hidden_size=" + std::to_string(spec.hidden_size));
  if (call.edges < 0) wrong("edge_index has " + std::to_string(call.edges) + " edges; expected 0 or more");
  if (call.adjacency && (call.graphs < 1 || call.nodes % call.graphs != 0))
    wrong("adjacency is of " + std::to_string(call.graphs) + " graphs; expected a divisor of " +
          std::to_string(call.nodes) + " nodes");
  const double columns = double(spec.kinds()) * double(spec.hidden_size) + 1024;
  const double rows = double(spec.num_steps) * double(call.nodes);
  check_fits("the states", rows * columns, {{"num_steps", spec.num_steps}, {"nodes", call.nodes}});
  check_there("annotations", call.annotations);
  check_there("h", call.h);
  if (call.adjacency || call.edges == 0) return;
  check_there("source", call.source);
  check_there("target", call.target);
}

void ReadoutSpec::validate() const {
  check_enum("kind", kind, ReadoutKind::graph_sum, "a ReadoutKind");
  check_enum("precision", precision, Precision::int8, "a Precision");
  check_size("hidden_size", hidden_size, 1);
  check_size("annotation_size", annotation_size, 1);
  check_size("output_size", output_size, 1);
  const double columns = static_cast<double>(hidden_size) + static_cast<double>(annotation_size);
  check_fits("the weights", 2 * columns * double(output_size),
             {{"hidden_size", hidden_size}, {"annotation_size", annotation_size}, {"output_size", output_size}});
}

template <class T>
void check_call(const ReadoutSpec& spec, const ReadoutForwardCall<T>& call) {
  const auto text = [](std::int64_t n) { return std::to_string(n); };
  if (call.nodes < 1) throw std::invalid_argument("h has " + text(call.nodes) + " nodes; expected at least one");
  if (call.graphs < 1 || double(call.graphs) * double(spec.output_size + 1024) > most_elements)
    throw std::invalid_argument("num_graphs is " + text(call.graphs) +
                                "; expected at least 1, and no more than memory");
  for (std::int64_t v = 0; call.graph && v < call.nodes; ++v)
    if (call.graph[v] < 0 || call.graph[v] >= call.graphs)
      throw std::invalid_argument("graph[" + text(v) + "] is " + text(call.graph[v]) + "; expected 0 to " +
                                  text(call.graphs - 1) + " (num_graphs=" + text(call.graphs) + ")");
  check_there("h", call.h);
  check_there("annotations", call.annotations);
  check_there("y", call.y);
}

template void check_call(const GraphSpec&, const GraphForwardCall<float>&);
template void check_call(const GraphSpec&, const GraphForwardCall<double>&);
template void check_call(const ReadoutSpec&, const ReadoutForwardCall<float>&);
template void check_call(const ReadoutSpec&, const ReadoutForwardCall<double>&);

}  // namespace gru_native
