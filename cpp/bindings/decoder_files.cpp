#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/files.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/without_gil.h"
#include "files/decoder_file.h"

namespace gru_native::bindings {
namespace {

template <class T>
py::dict read_tensors(const Bytes& bytes, const DecoderFile& read) {
  py::dict arrays;
  std::vector<std::pair<std::string, T*>> targets;
  each_name(read.spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    Array<T> array = empty_array<T>(shape);
    targets.emplace_back(name, array.mutable_data());
    arrays[py::str(name)] = array;
  });
  without_gil([&] {
    for (const auto& [name, to] : targets) read_tensor(bytes, read.file, name, to);
  });
  return arrays;
}

py::object read_decoder(const py::object& path_argument) {
  const Path path(path_argument);
  return path.during([&]() -> py::object {
    const OpenFile bytes(path.name());
    const std::optional<DecoderFile> read = read_decoder_file(bytes, nullptr);
    if (!read) return py::none();
    py::dict options;
    AttentionDecoderSpec spec = read->spec;
    each_option(spec, [&](const char* name, auto& value) { options[name] = py::cast(value); });
    const bool single = read->file.dtype == dtype_name<float>;
    return py::make_tuple(options, single,
                          single ? read_tensors<float>(bytes, *read) : read_tensors<double>(bytes, *read));
  });
}

template <class T>
void give_arrays(const py::dict& arrays, std::vector<py::array>& kept, std::vector<GivenTensor>& tensors) {
  for (const auto& [key, value] : arrays) {
    const std::string name = py::str(key);
    const Array<T> array = as_array<T>(name.c_str(), value);
    tensors.push_back({name,
                       dtype_name<T>,
                       {array.shape(), array.shape() + array.ndim()},
                       array.data(),
                       static_cast<std::size_t>(array.nbytes())});
    kept.push_back(array);
  }
}

void write_decoder(const py::object& path_argument, const py::dict& options, const py::dict& arrays, bool single) {
  const Path path(path_argument);
  const auto spec = spec_of<AttentionDecoderSpec>(py::kwargs(options), "AttentionDecoder");
  std::vector<GivenTensor> tensors;
  std::vector<py::array> kept;
  if (single) give_arrays<float>(arrays, kept, tensors);
  else give_arrays<double>(arrays, kept, tensors);
  path.during([&] { without_gil([&] { write_decoder_file(path.name(), spec, std::move(tensors)); }); });
}

}  // namespace

void register_decoder_files(py::module_& m) {
  m.def("read_decoder", &read_decoder, py::arg("path"),
        "Of a decoder's file its options, whether it is of float32 rather than float64, and its tensors by name; None "
        "for a file that does not say that it is one. Raises OSError and ValueError.");
  m.def("write_decoder", &write_decoder, py::arg("path"), py::arg("options"), py::arg("tensors"), py::arg("single"),
        "Writes such a file, whole or not at all.");
}

}  // namespace gru_native::bindings
