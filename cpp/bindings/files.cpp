#include "bindings/files.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/blocks.h"
#include "bindings/module.h"
#include "bindings/without_gil.h"
#include "files/model_file.h"
#include "files/whole_file.h"

namespace gru_native::bindings {

Path::Path(const py::handle& path) {
  path_ = py::reinterpret_steal<py::object>(PyOS_FSPath(path.ptr()));
  if (!path_) {
    PyErr_Clear();
    throw py::type_error("path is a " + std::string(py::str(py::type::of(path).attr("__name__"))) +
                         "; expected a string or an os.PathLike");
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

template <class T>
py::dict read_tensors(const Bytes& bytes, const Safetensors& file) {
  py::dict arrays;
  std::vector<T*> data;
  for (const auto& [name, tensor] : file.tensors) {
    Array<T> array = empty_array<T>(tensor.shape);
    data.push_back(array.mutable_data());
    arrays[py::str(name)] = array;
  }
  without_gil([&] {
    std::size_t i = 0;
    for (const auto& [name, tensor] : file.tensors) read_tensor(bytes, name, tensor, data[i++]);
  });
  return arrays;
}

py::tuple read_model(const py::object& path_argument, const std::optional<py::list>& description) {
  const Path path(path_argument);
  return path.during([&] {
    const OpenFile bytes(path.name());
    std::vector<BlockSpec> given;
    try {
      if (description) given = blocks_of(*description);
    } catch (const py::type_error& error) {  // of what a value may be: the argument itself is a list of dictionaries
      throw py::value_error(error.what());
    }
    const ModelFile read = read_model_file(bytes, nullptr, description ? &given : nullptr);
    py::dict arrays = read.file.dtype == dtype_name<float> ? read_tensors<float>(bytes, read.file)
                                                           : read_tensors<double>(bytes, read.file);
    return py::make_tuple(list_of(read.blocks), arrays);
  });
}

template <class T>
void write_model(const Path& path, const std::vector<BlockSpec>& blocks, const py::dict& arrays) {
  std::map<std::string, GivenTensor> tensors;
  std::vector<Array<T>> kept;
  for (const auto& [name, value] : arrays) {
    kept.push_back(as_array<T>("tensor", value));
    const Array<T>& array = kept.back();
    tensors.emplace(std::string(py::str(name)), GivenTensor{{array.shape(), array.shape() + array.ndim()},
                                                            array.data(),
                                                            static_cast<std::size_t>(array.nbytes())});
  }
  path.during([&] { without_gil([&] { write_model_file(path.name(), blocks, tensors, dtype_name<T>); }); });
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
  m.def("read_model", &read_model, py::arg("path"), py::arg("description"),
        "The blocks of a model file with all their options, and its tensors by name.\n\n"
        "Without a description the blocks are what the file says, or else what names and shapes say. Raises OSError, "
        "ValueError and TypeError.");
  m.def(
      "write_model",
      [](const py::object& path, const py::list& blocks, const py::dict& tensors, bool single) {
        if (single) write_model<float>(Path(path), blocks_of(blocks), tensors);
        else write_model<double>(Path(path), blocks_of(blocks), tensors);
      },
      py::arg("path"), py::arg("blocks"), py::arg("tensors"), py::arg("single"),
      "Writes such a file, whole or not at all.");
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
