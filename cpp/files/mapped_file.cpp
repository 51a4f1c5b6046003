#include "files/mapped_file.h"

#include <sys/mman.h>

#include <cstring>

namespace gru_native {

MappedFile::MappedFile(const std::string& path) {
  const OpenFile file(path);
  size_ = file.size();
  if (size_ == 0) return;
  void* const p = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (p == MAP_FAILED) throw system_fault();
  data_ = static_cast<const char*>(p);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), size_);
}

void MappedFile::read(std::size_t at, void* to, std::size_t n) const {
  if (n > 0) std::memcpy(to, data_ + at, n);
}

}  // namespace gru_native
