// What the classes of layers have whose weights may be of few bits.
#pragma once
#include <string>
#include <type_traits>
#include <utility>

#include "bindings/arrays.h"
#include "bindings/layer.h"
#include "bindings/without_gil.h"
#include "files/stored.h"
#include "spec/names.h"

namespace gru_native::bindings {

// "int8" or "bf16".
inline Precision precision_argument(const std::string& text) {
  if (text != "int8" && text != "bf16")
    throw py::value_error("precision is " + std::string(py::repr(py::str(text))) + "; expected \"int8\" or \"bf16\"");
  return named<Precision>("precision", text, precision_names);
}

// The tensors that a file of the layer has, in new arrays; uint16: bf16.
template <class L>
py::dict stored_tensors(const L& layer) {
  py::dict arrays;
  each_tensor(layer, [&](const std::string& name, const std::vector<std::int64_t>& shape, const auto* data) {
    using Number = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    Array<Number> array = empty_array<Number>(shape);
    std::copy_n(data, array.size(), array.mutable_data());
    arrays[py::str(name)] = array;
  });
  return arrays;
}

// The layer of few bits with a layer's options and these tensors. Raises ValueError.
template <class L>
auto with_tensors(const L& layer, const std::string& precision, const py::dict& arrays) {
  auto spec = layer.spec();
  spec.precision = precision_argument(precision);
  return block_of_few_bits(spec, "", [&](const std::string& name, const std::vector<std::int64_t>& shape, auto* to) {
    using Number = std::remove_pointer_t<decltype(to)>;
    if (!arrays.contains(name)) throw py::value_error("there is no tensor " + name);
    const auto array = py::array::ensure(arrays[py::str(name)], py::array::c_style);
    if (!array || !array.dtype().equal(py::dtype::of<Number>()))
      throw py::value_error(name + " has another dtype than " + dtype_name<Number>);
    Dims dims;
    for (const std::int64_t size : shape) dims.push_back({"size", size});
    check_shape(name.c_str(), array, dims);
    std::copy_n(static_cast<const Number*>(array.data()), array.size(), to);
  });
}

template <class Class>
void def_precision(Class& c) {
  using P = typename Class::type;
  using L = typename decltype(P::layer)::element_type;
  c.def_property_readonly("precision",
                          [](const P& p) { return precision_names[static_cast<int>(p.layer->spec().precision)]; });
  c.def("stored", [](const P& p) { return stored_tensors(*p.layer); });
  c.def(
      "quantize",
      [](const P& p, const std::string& precision) {
        const Precision chosen = precision_argument(precision);
        P made = p;
        without_gil([&] { made.layer = std::make_shared<L>(p.layer->quantize(chosen)); });
        return made;
      },
      py::arg("precision"));
  // Few bits are those of float32.
  using OfFewBits = decltype(with_tensors(std::declval<const L&>(), std::string(), py::dict()));
  if constexpr (std::is_same_v<L, OfFewBits>)
    c.def(
        "with_tensors",
        [](const P& p, const std::string& precision, const py::dict& tensors) {
          P made = p;
          made.layer = std::make_shared<L>(with_tensors(*p.layer, precision, tensors));
          return made;
        },
        py::arg("precision"), py::arg("tensors"));
}

}  // namespace gru_native::bindings
