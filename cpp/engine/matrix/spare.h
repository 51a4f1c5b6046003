// Packed weights that nobody computes with any more, to write the next ones into: making room anew takes longer than
// the packing.
#pragma once
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "runtime/locks.h"

namespace gru_native {

// Whether a Packed can be filled again: then it says so by forgetting what was derived from its weights.
template <class Packed, class = void>
inline constexpr bool can_be_refilled = false;
template <class Packed>
inline constexpr bool can_be_refilled<Packed, std::void_t<decltype(std::declval<Packed&>().forget_transposed())>> =
    true;

// Of a layer. Tapes may outlive it, so it is shared with them.
template <class Packed>
class Spare {
 public:
  std::shared_ptr<Packed> take() {
    const std::lock_guard<BriefLock> lock(lock_);
    return std::move(one_);
  }
  // What returns to `spare` when the last one lets go of it.
  static std::shared_ptr<Packed> share(std::shared_ptr<Packed> packed, const std::shared_ptr<Spare>& spare) {
    Packed* const shared = packed.get();
    return {shared, [spare, own = std::move(packed)](Packed*) mutable {
              const std::shared_ptr<Packed> unused = spare->exchange(std::move(own));  // dies after the lock
            }};
  }

 private:
  std::shared_ptr<Packed> exchange(std::shared_ptr<Packed> packed) {
    const std::lock_guard<BriefLock> lock(lock_);
    one_.swap(packed);
    return packed;
  }

  BriefLock lock_;
  std::shared_ptr<Packed> one_;
};

}  // namespace gru_native
