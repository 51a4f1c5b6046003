// The bytes of a model file, wherever they are.
#pragma once
#include <cstddef>
#include <cstring>
#include <string_view>

namespace gru_native {

class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual std::size_t size() const = 0;
  // Copies n bytes from `at` on, which must lie within size(). Throws FileError if they are not there any more.
  virtual void read(std::size_t at, void* to, std::size_t n) const = 0;
};

class BytesInMemory : public Bytes {
 public:
  explicit BytesInMemory(std::string_view bytes) : bytes_(bytes) {}
  std::size_t size() const override { return bytes_.size(); }
  void read(std::size_t at, void* to, std::size_t n) const override {
    if (n > 0) std::memcpy(to, bytes_.data() + at, n);
  }

 private:
  std::string_view bytes_;
};

}  // namespace gru_native
