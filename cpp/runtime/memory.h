// Aligned memory, and an arena that hands it out and is used again by the next call.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "runtime/locks.h"

namespace gru_native {

// Bytes at a 64-byte boundary; large blocks lie on huge pages where the system has them. Throws std::bad_alloc, with
// the size in its text.
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
  void touch();  // every page, so that none comes into being later
  void reset();
  std::size_t capacity() const;

 private:
  static constexpr std::size_t slack = 512;
  void* take_bytes(std::size_t bytes);
  std::vector<Block> blocks_;
  std::size_t used_ = 0;  // of the last block
};

// Objects that an arena has room for: made one by one, never moved, and gone with this.
template <class U>
class InArena {
 public:
  InArena(Arena& arena, std::ptrdiff_t most)
      : first_(reinterpret_cast<U*>(arena.take<char>(most * static_cast<std::ptrdiff_t>(sizeof(U))))) {
    static_assert(alignof(U) <= 64);
  }
  InArena(const InArena&) = delete;
  InArena& operator=(const InArena&) = delete;
  ~InArena() {
    while (size_ > 0) first_[--size_].~U();
  }
  template <class... Arguments>
  U& emplace_back(Arguments&&... arguments) {
    U* const made = new (first_ + size_) U(std::forward<Arguments>(arguments)...);
    ++size_;
    return *made;
  }
  std::ptrdiff_t size() const { return size_; }
  U* begin() { return first_; }
  U* end() { return first_ + size_; }
  const U* begin() const { return first_; }
  const U* end() const { return first_ + size_; }
  U& operator[](std::ptrdiff_t i) { return first_[i]; }
  const U& operator[](std::ptrdiff_t i) const { return first_[i]; }
  const U& back() const { return first_[size_ - 1]; }

 private:
  U* const first_;
  std::ptrdiff_t size_ = 0;
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
