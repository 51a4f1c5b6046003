// Files of the system. Only regular ones: a named pipe would wait for its other end, and a device may never end.
#pragma once
#include <sys/stat.h>

#include <string>

#include "files/bytes.h"
#include "gru_native/model.h"

namespace gru_native {

// What the system says of a file, or what it is in place of a regular file; without its path.
class FileFault : public FileError {
 public:
  FileFault(int code, const std::string& text) : FileError(text), code_(code) {}
  int code() const { return code_; }  // as errno has it

 private:
  int code_;
};

// The fault that errno stands for.
FileFault system_fault();

// Throws FileFault for a name that C functions would see only the beginning of.
void check_name(const std::string& path);
// Throws FileFault, which says what it is, for all but regular files.
void check_regular(const struct stat& info);

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  bool close();  // false, and errno: what was written may not be there

 private:
  int number_;
};

// A regular file, open for reading. Throws FileFault.
class OpenFile : public Bytes {
 public:
  explicit OpenFile(const std::string& path);
  int descriptor() const { return file_.get(); }
  std::size_t size() const override { return size_; }  // when it was opened
  void read(std::size_t at, void* to, std::size_t n) const override;

 private:
  Descriptor file_;
  std::size_t size_;
};

}  // namespace gru_native
