#include "runtime/memory.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "runtime/free_memory.h"
#include "runtime/interruption.h"
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gru_native {
namespace {
constexpr std::size_t cache_line = 64;
constexpr std::size_t huge_page = std::size_t(2) << 20;
constexpr std::size_t idle_arenas = 4;  // kept for the next calls; more only while more calls run at once

// Can be interrupted: pages come into being by it, which takes long.
void clear(void* p, std::size_t bytes) {
  if (bytes == 0) return;
  in_parts(0, static_cast<Index>(bytes), macs_of_new_number / sizeof(float), 64, [&](Index begin, Index end) {
    std::memset(static_cast<char*>(p) + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
}  // namespace

Block::Block(std::size_t bytes) : data_(nullptr), bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes > std::size_t(-1) / 2) throw_no_memory(bytes);
  check_memory(bytes);
  // From half a huge page on, a whole one costs little and saves the misses of its 512 small ones.
  const bool huge = bytes >= huge_page / 2;
  const std::size_t alignment = huge ? huge_page : cache_line;
  void* p = std::aligned_alloc(alignment, round_up(bytes, alignment));
  if (!p) throw_no_memory(bytes);
#if defined(__linux__)
  if (huge) madvise(p, round_up(bytes, alignment), MADV_HUGEPAGE);
#endif
  data_ = static_cast<char*>(p);
}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Block::~Block() { std::free(data_); }

template <class T>
Buffer<T>::Buffer(std::ptrdiff_t n) : block_(static_cast<std::size_t>(n) * sizeof(T)) {
  clear(block_.data(), block_.size());
}
template class Buffer<float>;
template class Buffer<double>;

void* Arena::take_bytes(std::size_t bytes) {
  bytes = round_up(bytes, cache_line);
  if (blocks_.empty() || used_ + bytes > blocks_.back().size()) {
    blocks_.emplace_back(bytes);
    used_ = 0;
  }
  char* p = blocks_.back().data() + used_;
  used_ += bytes;
  return p;
}

template <class T>
T* Arena::take_zeroed(std::ptrdiff_t n) {
  T* p = take<T>(n);
  clear(p, static_cast<std::size_t>(n) * sizeof(T));
  return p;
}
template float* Arena::take_zeroed<float>(std::ptrdiff_t);
template double* Arena::take_zeroed<double>(std::ptrdiff_t);

void Arena::touch() {
  constexpr std::size_t page = 4096;
  for (const Block& block : blocks_)
    for (std::size_t at = 0; at < block.size(); at += page) {
      volatile char* const p = block.data() + at;
      *p = *p;
    }
}

std::size_t Arena::capacity() const {
  std::size_t sum = 0;
  for (const Block& block : blocks_) sum += block.size();
  return sum;
}

void Arena::reset() {
  if (blocks_.size() > 1) {  // the next call of this size finds one block
    const std::size_t all = capacity();
    blocks_.clear();
    blocks_.emplace_back(all);
  }
  used_ = 0;
}

ArenaPool::ArenaPool() { free_.reserve(idle_arenas); }

ArenaPool::Lease ArenaPool::lease() {
  std::unique_ptr<Arena> arena;
  {
    const std::lock_guard<BriefLock> lock(lock_);
    if (!free_.empty()) {
      arena = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!arena) arena = std::make_unique<Arena>();
  return Lease(arena.release(), Return{shared_from_this()});
}

void ArenaPool::Return::operator()(Arena* arena) const {
  std::unique_ptr<Arena> owner(arena);
  try {
    owner->reset();
  } catch (const std::bad_alloc&) {
    return;  // no memory to keep it: let it go
  }
  const std::lock_guard<BriefLock> lock(pool->lock_);
  if (pool->free_.size() < idle_arenas) pool->free_.push_back(std::move(owner));
}

}  // namespace gru_native
