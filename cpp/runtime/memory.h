// Aligned memory, and an arena that hands it out and is used again by the next call.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/locks.h"

namespace gru_native {

// Bytes at a 64-byte boundary; large blocks lie on huge pages where the system has them. Throws std::bad_alloc.
class Block {
 public:
  explicit Block(std::size_t bytes);
  Block(Block&& other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr, other.bytes_ = 0; }
  Block& operator=(Block&& other) noexcept;
  ~Block();
  char* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  char* data_;
  std::size_t bytes_;
};

// A zeroed array of T in a block of its own.
template <class T>
class Buffer {
 public:
  Buffer() : block_(0) {}
  explicit Buffer(std::ptrdiff_t n);
  T* data() const { return reinterpret_cast<T*>(block_.data()); }

 private:
  Block block_;
};

// Hands out arrays until reset() takes all of them back; what it has grown to, it keeps.
class Arena {
 public:
  // Not zeroed. n elements at a 64-byte boundary, with room to read a few vectors past the end.
  template <class T>
  T* take(std::ptrdiff_t n) {
    return static_cast<T*>(take_bytes(static_cast<std::size_t>(n) * sizeof(T) + slack));
  }
  template <class T>
  T* take_zeroed(std::ptrdiff_t n);
  void zero();  // all that it has handed out
  void reset();
  std::size_t capacity() const;

 private:
  static constexpr std::size_t slack = 512;
  void* take_bytes(std::size_t bytes);
  std::vector<Block> blocks_;
  std::size_t used_ = 0;  // of the last block
};

// Arenas that wait for their next call. Shared by a layer and its tapes, which may outlive it.
class ArenaPool : public std::enable_shared_from_this<ArenaPool> {
 public:
  struct Return {
    std::shared_ptr<ArenaPool> pool;
    void operator()(Arena* arena) const;
  };
  ArenaPool();
  using Lease = std::unique_ptr<Arena, Return>;
  Lease lease();

 private:
  BriefLock lock_;
  std::vector<std::unique_ptr<Arena>> free_;
};

}  // namespace gru_native
