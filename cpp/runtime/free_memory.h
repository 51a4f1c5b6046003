// Memory that is there for a request. Linux gives any process more than there is, and ends one that uses it.
#pragma once
#include <cstddef>

namespace gru_native {

// Bytes that the machine and this process's control groups (version 2 and 1) have left; the largest number if they do
// not say. `root` stands before the paths of the system's files.
std::size_t free_memory(const char* root = "");

// Requests from here on are held against it; below, they may be many a second.
inline constexpr std::size_t large_request = std::size_t(256) << 20;

// Throws std::bad_alloc, which says both sizes, for a large request that is more than free_memory().
void check_memory(std::size_t bytes);
// What there is to throw where a request was refused: its size is in the text.
[[noreturn]] void throw_no_memory(std::size_t bytes);

}  // namespace gru_native
