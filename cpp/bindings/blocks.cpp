#include "bindings/blocks.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/reading.h"
#include "files/blocks.h"
#include "spec/check_model.h"

namespace gru_native::bindings {
std::vector<BlockSpec> blocks_of(const py::list& list) {
  std::vector<BlockSpec> blocks;
  std::vector<bool> says_layout;
  for (const py::handle entry : list) {
    const std::string place = "block " + std::to_string(blocks.size()) + ": ";
    if (!py::isinstance<py::dict>(entry))
      throw py::type_error(place + "it is " + a_type(entry) + "; expected a dictionary");
    try {
      const auto options = py::reinterpret_borrow<py::dict>(entry);
      blocks.push_back(block_of(options));
      says_layout.push_back(options.contains("batch_first"));
    } catch (...) {
      throw_from(place);
    }
  }
  complete_layouts(blocks, says_layout);
  return blocks;
}

py::list list_of(const std::vector<BlockSpec>& blocks) {
  py::list list;
  for (const BlockSpec& block : blocks) list.append(dict_of(block));
  return list;
}

void register_blocks(py::module_& m) {
  m.def(
      "check_block",
      [](const py::dict& block) { std::visit([](const auto& spec) { spec.validate(); }, block_of(block).spec); },
      py::arg("block"), "Raises what the constructor of a block's class would, and makes no weights.");
  m.def(
      "check_lengths",
      [](std::int64_t seq_len, std::int64_t batch, const py::object& lengths) {
        check_extent(seq_len, batch);
        return lengths_argument(lengths, {seq_len, batch, true, false});
      },
      py::arg("seq_len"), py::arg("batch"), py::arg("lengths"),
      "The lengths as a list, or None; raises what a call of a layer would.");
}

}  // namespace gru_native::bindings
