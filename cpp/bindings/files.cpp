#include "bindings/files.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/blocks.h"
#include "bindings/layer.h"
#include "bindings/module.h"
#include "bindings/reading.h"
#include "bindings/without_gil.h"
#include "files/model_file.h"
#include "files/whole_file.h"

namespace gru_native::bindings {

Path::Path(const py::handle& path) {
  path_ = py::reinterpret_steal<py::object>(PyOS_FSPath(path.ptr()));
  if (!path_) {
    py::error_already_set error;
    if (!error.matches(PyExc_TypeError)) throw error;
    raise_from(error, PyExc_TypeError, "path is " + a_type(path) + "; expected a string or an os.PathLike");
  }
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path_.ptr(), static_cast<void*>(&bytes)))
    throw py::error_already_set();  // a zero byte: ValueError
  name_ = py::reinterpret_steal<py::bytes>(bytes);
}

void Path::raise(const FileFault& fault) const {
  PyErr_SetObject(PyExc_OSError, py::make_tuple(fault.code(), fault.what(), path_).ptr());
  throw py::error_already_set();
}

namespace {

// The weights of the blocks of full precision, by name.
template <class T>
py::dict read_tensors(const Bytes& bytes, const ModelFile& read) {
  py::dict arrays;
  std::vector<std::pair<std::string, T*>> targets;
  for (const BlockSpec& block : read.blocks)
    std::visit(
        [&](const auto& spec) {
          if (spec.precision != Precision::full) return;
          each_name(spec, [&](const std::string& name, const std::vector<std::int64_t>& shape) {
            Array<T> array = empty_array<T>(shape);
            targets.emplace_back(block.prefix + name, array.mutable_data());
            arrays[py::str(targets.back().first)] = array;
          });
        },
        block.spec);
  without_gil([&] {
    for (const auto& [name, to] : targets) read_tensor(bytes, read.file, name, to);
  });
  return arrays;
}

// The layers of few bits, at their blocks' places; None: not of few bits.
py::list read_layers(const Bytes& bytes, const ModelFile& read) {
  py::list layers;
  for (const BlockSpec& block : read.blocks)
    std::visit(
        [&](const auto& spec) {
          constexpr bool may_be = !std::is_same_v<std::decay_t<decltype(spec)>, OperationSpec>;
          bool full = true;
          if constexpr (may_be) full = spec.precision == Precision::full;
          if (full) return layers.append(py::none());
          if constexpr (may_be) {
            std::unique_ptr<decltype(read_few_bits(bytes, read.file, spec, block.prefix))> made;
            without_gil([&] {
              made = std::make_unique<typename decltype(made)::element_type>(
                  read_few_bits(bytes, read.file, spec, block.prefix));
            });
            layers.append(python_layer(std::move(*made), block.batch_first));
          }
        },
        block.spec);
  return layers;
}

py::tuple read_model(const py::object& path_argument, const std::optional<py::list>& description, bool full,
                     const std::string& prefix, const std::vector<std::string>& ignore) {
  const Path path(path_argument);
  return path.during([&] {
    const OpenFile bytes(path.name());
    std::vector<BlockSpec> given;
    try {
      if (description) given = blocks_of(*description);
    } catch (const py::type_error& error) {  // of what a value may be: the argument itself is a list of dictionaries
      throw py::value_error(error.what());
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_TypeError)) throw;
      raise_from(error, PyExc_ValueError, py::str(error.value()));
    }
    const ModelFile read = read_model_file(bytes, nullptr, description ? &given : nullptr,
                                           full ? LoadAs::full : LoadAs::stored, {prefix, ignore});
    const bool single = read.file.dtype != dtype_name<double>;  // a model may have no tensors
    py::dict arrays = single ? read_tensors<float>(bytes, read) : read_tensors<double>(bytes, read);
    return py::make_tuple(list_of(read.blocks), single, arrays, read_layers(bytes, read));
  });
}

template <class T>
bool give_array(const std::string& name, const py::array& array, std::vector<GivenTensor>& tensors) {
  if (!array.dtype().equal(py::dtype::of<T>())) return false;
  tensors.push_back({name,
                     dtype_name<T>,
                     {array.shape(), array.shape() + array.ndim()},
                     array.data(),
                     static_cast<std::size_t>(array.nbytes())});
  return true;
}

void write_model(const py::object& path_argument, const py::list& blocks, const py::dict& arrays) {
  const Path path(path_argument);
  const std::vector<BlockSpec> specs = blocks_of(blocks);
  std::vector<GivenTensor> tensors;
  std::vector<py::array> kept;
  for (const auto& [key, value] : arrays) {
    const std::string name = py::str(key);
    kept.push_back(py::array::ensure(value, py::array::c_style));
    const py::array& array = kept.back();
    if (!array || !(give_array<float>(name, array, tensors) || give_array<double>(name, array, tensors) ||
                    give_array<std::int8_t>(name, array, tensors) || give_array<std::uint16_t>(name, array, tensors)))
      throw py::type_error(name + " has another dtype than float32, float64, int8 and uint16 (bf16)");
  }
  path.during([&] { without_gil([&] { write_model_file(path.name(), specs, std::move(tensors)); }); });
}

py::bytes read_file(const py::object& path_argument) {
  const Path path(path_argument);
  return path.during([&] {
    const OpenFile file(path.name());
    auto content =
        py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(file.size())));
    if (!content) throw py::error_already_set();
    char* const to = PyBytes_AS_STRING(content.ptr());
    without_gil([&] { file.read(0, to, file.size()); });
    return content;
  });
}

void write_file(const py::object& path_argument, const py::bytes& content) {
  const Path path(path_argument);
  const std::string_view bytes(content);
  path.during([&] {
    without_gil([&] {
      WholeFile file(path.name());
      file.write(bytes.data(), bytes.size());
      file.finish();
    });
  });
}

}  // namespace

void register_files(py::module_& m) {
  m.def(
      "read_model", &read_model, py::arg("path"), py::arg("description"), py::arg("full"), py::arg("prefix") = "",
      py::arg("ignore") = std::vector<std::string>(),
      "The blocks of a model file with all their options, whether it is of float32 rather than float64, and by name "
      "the tensors of blocks of full precision; for the others layers, at their places in a list.\n\n"
      "Without a description the blocks are what the file says, or else what names, shapes and dtypes say. `full`: "
      "all blocks are made of full precision. Only tensors whose names begin with `prefix`, which is cut off, and are "
      "not among `ignore` count. Raises OSError, ValueError and TypeError.");
  m.def("write_model", &write_model, py::arg("path"), py::arg("blocks"), py::arg("tensors"),
        "Writes such a file, whole or not at all. Arrays of uint16 are bf16.");
  m.def("write_file", &write_file, py::arg("path"), py::arg("content"), "Writes a file, whole or not at all.");
  m.def("read_file", &read_file, py::arg("path"), "All of a file; raises OSError also for what is no regular file.");
  m.def(
      "check_regular",
      [](const py::object& path_argument) {
        const Path path(path_argument);
        path.during([&] { OpenFile(path.name()); });
      },
      py::arg("path"), "Raises OSError for what cannot be read, be it because it is no regular file.");
}

}  // namespace gru_native::bindings
