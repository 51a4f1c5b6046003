#pragma once
#include <atomic>
#include <cstdint>

namespace gru_native {

// The number of an object that no other has, not even one that comes to its address later. A copy has its own.
struct Serial {
  Serial() : number(next()) {}
  Serial(const Serial&) : Serial() {}
  Serial& operator=(const Serial&) { return *this; }
  std::uint64_t number;

 private:
  static std::uint64_t next() {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }
};

}  // namespace gru_native
