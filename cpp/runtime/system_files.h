// Short files of the system, read without asking for memory: what is missed at one time may be missed for good.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>

namespace gru_native {

// Into text, which is "" if there is no such file.
template <std::size_t N>
bool read_file(const char* path, char (&text)[N]) {
  text[0] = 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::size_t length = 0;
  for (ssize_t more = 1; more > 0 && length < N - 1; length += more > 0 ? static_cast<std::size_t>(more) : 0)
    more = read(file, text + length, N - 1 - length);
  close(file);
  text[length] = 0;
  return length > 0;
}

}  // namespace gru_native
