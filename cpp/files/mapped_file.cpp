#include "files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gru_native/model.h"

namespace gru_native {

MappedFile::MappedFile(const std::string& path) {
  // Without O_NONBLOCK a named pipe would wait for its writer.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw FileError(std::strerror(errno));
  struct stat info{};
  const char* trouble = nullptr;
  if (fstat(file, &info) != 0) trouble = std::strerror(errno);
  else if (!S_ISREG(info.st_mode)) trouble = "is no regular file";
  size_ = static_cast<std::size_t>(info.st_size);
  if (!trouble && size_ > 0) {
    void* const p = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (p == MAP_FAILED) trouble = std::strerror(errno);
    else data_ = static_cast<const char*>(p);
  }
  close(file);
  if (trouble) throw FileError(trouble);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), size_);
}

}  // namespace gru_native
