#include "files/system_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/interruption.h"

namespace gru_native {

FileFault system_fault() {
  const int code = errno;
  return {code, std::strerror(code)};
}

void check_name(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw FileFault(EINVAL, "has a zero byte in its name");
}

void check_regular(const struct stat& info) {
  if (S_ISREG(info.st_mode)) return;
  const char* const kind = S_ISDIR(info.st_mode)    ? "a directory"
                           : S_ISFIFO(info.st_mode) ? "a named pipe"
                           : S_ISSOCK(info.st_mode) ? "a socket"
                                                    : "a device";
  throw FileFault(S_ISDIR(info.st_mode) ? EISDIR : EINVAL, std::string("is ") + kind + "; expected a regular file");
}

bool Descriptor::close() {
  const int number = number_;
  number_ = -1;
  return number < 0 || ::close(number) == 0;
}

namespace {

// To open a device can have effects, so it is looked at before; and after, since it may be another one by then.
int open_regular(const std::string& path) {
  check_name(path);
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) throw system_fault();
  check_regular(info);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) throw system_fault();
  return file;
}

}  // namespace

OpenFile::OpenFile(const std::string& path) : file_(open_regular(path)) {
  struct stat info{};
  if (fstat(file_.get(), &info) != 0) throw system_fault();
  check_regular(info);
  size_ = static_cast<std::size_t>(info.st_size);
}

void OpenFile::read(std::size_t at, void* to, std::size_t n) const {
  constexpr std::size_t at_once = std::size_t(8) << 20;
  for (char* next = static_cast<char*>(to); n > 0;) {
    look();
    const ssize_t got = pread(file_.get(), next, std::min(n, at_once), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_fault();
    if (got == 0) throw FileError("was shortened while it was read: it ends at byte " + std::to_string(at));
    next += got, at += static_cast<std::size_t>(got), n -= static_cast<std::size_t>(got);
  }
}

}  // namespace gru_native
