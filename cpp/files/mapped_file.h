// A file's bytes, mapped and not copied.
#pragma once
#include <cstddef>
#include <string>

namespace gru_native {

class MappedFile {
 public:
  // Throws FileError, without the path, for what cannot be opened or is no regular file.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const char* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gru_native
