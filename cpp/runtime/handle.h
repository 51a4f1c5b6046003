// How the engine reaches what is behind a public class, and makes those that users are only given.
#pragma once
#include <memory>
#include <utility>

#include "gru_native/export.h"

namespace gru_native {
namespace detail {

struct Access {
  template <class Handle>
  struct Behind {
    using Impl = typename Handle::Impl;
  };
  template <class Handle>
  static const auto& impl(const Handle& handle) {
    return *handle.impl_;
  }
  template <class Handle>
  static auto take(Handle& handle) {
    return std::move(handle.impl_);
  }
  template <class Handle, class Impl>
  static Handle open(std::unique_ptr<Impl> impl) {
    return Handle(std::move(impl));
  }
  template <class Handle, class Impl>
  static std::shared_ptr<const Handle> make(std::unique_ptr<Impl> impl) {
    return std::shared_ptr<const Handle>(new Handle(std::move(impl)));
  }
};

}  // namespace detail

template <class Handle>
using ImplOf = typename detail::Access::Behind<Handle>::Impl;
template <class Handle>
const auto& impl_of(const Handle& handle) {
  return detail::Access::impl(handle);
}
template <class Handle>
std::unique_ptr<ImplOf<Handle>> take_impl(Handle& handle) {
  return detail::Access::take(handle);
}
template <class Handle, class Impl>
Handle open_handle(std::unique_ptr<Impl> impl) {
  return detail::Access::open<Handle>(std::move(impl));
}
template <class Handle, class Impl>
std::shared_ptr<const Handle> make_handle(std::unique_ptr<Impl> impl) {
  return detail::Access::make<Handle>(std::move(impl));
}

}  // namespace gru_native
