// A file's bytes, mapped and not copied: whoever shortens the file meanwhile stops the process (SIGBUS).
#pragma once
#include "files/system_file.h"

namespace gru_native {

class MappedFile : public Bytes {
 public:
  // Throws FileFault.
  explicit MappedFile(const std::string& path);
  ~MappedFile() override;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::size_t size() const override { return size_; }
  void read(std::size_t at, void* to, std::size_t n) const override;

 private:
  const char* data_ = nullptr;
  std::size_t size_;
};

}  // namespace gru_native
