// Paths, and what the system says of files, between Python and C++.
#pragma once
#include <pybind11/pybind11.h>

#include <string>

#include "files/system_file.h"

namespace gru_native::bindings {

class Path {
 public:
  // A string, bytes or os.PathLike. Raises TypeError for anything else, ValueError for a zero byte.
  explicit Path(const pybind11::handle& path);
  const std::string& name() const { return name_; }  // as the system has it

  // f(), with what is no FileFault as ValueError and else as the OSError that Python has for it, with the path.
  template <class F>
  auto during(const F& f) const {
    try {
      return f();
    } catch (const FileFault& fault) {
      raise(fault);
    } catch (const FileError& error) {
      throw pybind11::value_error(error.what());
    }
  }

 private:
  [[noreturn]] void raise(const FileFault& fault) const;
  pybind11::object path_;
  std::string name_;
};

}  // namespace gru_native::bindings
