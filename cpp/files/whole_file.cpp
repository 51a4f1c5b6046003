#include "files/whole_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

#include "runtime/interruption.h"

namespace gru_native {
namespace {

#if defined(O_PATH)
constexpr int folder_only = O_PATH;  // needs no right to list it
#else
constexpr int folder_only = O_RDONLY;
#endif

// As systems do: one more is taken for a circle.
constexpr int most_links = 40;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// While it lives, a write beyond the largest size that a file may have is an error; else this thread would get a signal
// that ends the process.
class SizeErrors {
 public:
  SizeErrors() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGXFSZ);
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &signals_, &before);
    blocked_ = sigismember(&before, SIGXFSZ) == 0;
  }
  ~SizeErrors() {
    if (!blocked_) return;
    sigset_t pending;
    sigpending(&pending);
    int signal = 0;
    if (sigismember(&pending, SIGXFSZ) == 1) sigwait(&signals_, &signal);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

 private:
  sigset_t signals_;
  bool blocked_;
};

// Owner, group and mode of the old file, the first two as far as this user may.
void take_over(int file, const struct stat& old) {
  struct stat own{};
  if (fstat(file, &own) != 0) throw system_fault();
  if (own.st_gid != old.st_gid && fchown(file, static_cast<uid_t>(-1), old.st_gid) != 0) errno = 0;
  if (own.st_uid != old.st_uid && fchown(file, old.st_uid, static_cast<gid_t>(-1)) != 0) errno = 0;
  if (own.st_mode != old.st_mode && fchmod(file, old.st_mode & 07777) != 0) throw system_fault();
}

}  // namespace

WholeFile::Place WholeFile::place_of(std::string path) {
  check_name(path);
  for (int links = 0;; ++links) {
    struct stat info{};
    if (lstat(path.c_str(), &info) != 0) {
      if (errno != ENOENT) throw system_fault();
      if (name_of(path).empty()) throw FileFault(path.empty() ? ENOENT : EISDIR, "is no name of a file");
      return {path, std::nullopt};
    }
    if (!S_ISLNK(info.st_mode)) {
      check_regular(info);
      return {path, info};
    }
    if (links == most_links) throw FileFault(ELOOP, std::strerror(ELOOP));
    char target[PATH_MAX];
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    if (length < 0) throw system_fault();
    const std::string to(target, static_cast<std::size_t>(length));
    path = to[0] == '/' ? to : folder_of(path) + to;
  }
}

// A file that only we may read until it has the mode of the old one; without an old one, as the umask says.
int WholeFile::create(const Descriptor& folder, const Place& place, std::string& unfinished) {
  if (folder.get() < 0) throw system_fault();
  if (place.old && faccessat(folder.get(), name_of(place.path).c_str(), W_OK, AT_EACCESS) != 0) throw system_fault();
  static std::atomic<unsigned> last{0};
  for (;;) {
    // Not made of the path's name, which may be as long as a name can be. The number need not be the only one of its
    // kind (there are other machines and other copies of this library), since O_EXCL says whether it is.
    const std::string name = ".gru_native-" + std::to_string(getpid()) + "-" + std::to_string(++last) + ".unfinished";
    const int file = openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                            place.old ? S_IRUSR | S_IWUSR : 0666);
    if (file < 0 && errno == EEXIST) continue;
    if (file < 0) throw system_fault();
    unfinished = name;
    return file;
  }
}

WholeFile::WholeFile(const std::string& path)
    : place_(place_of(path)),
      folder_(open(folder_of(place_.path).c_str(), folder_only | O_DIRECTORY | O_CLOEXEC)),
      file_(create(folder_, place_, unfinished_)) {}

WholeFile::~WholeFile() {
  if (!unfinished_.empty()) unlinkat(folder_.get(), unfinished_.c_str(), 0);
}

// Some file systems have no fsync, and then nothing is lost that it would save.
void WholeFile::sync() {
  if (fsync(file_.get()) != 0 && errno != EINVAL && errno != ENOTSUP) throw system_fault();
  unsynced_ = 0;
}

// Nothing can end an fsync, so it never has much to do.
void WholeFile::write(const void* data, std::size_t n) {
  constexpr std::size_t at_once = std::size_t(8) << 20, most_unsynced = std::size_t(64) << 20;
  const SizeErrors no_signal;
  for (const char* next = static_cast<const char*>(data); n > 0;) {
    look();
    const ssize_t put = ::write(file_.get(), next, std::min(n, at_once));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw system_fault();
    next += put, n -= static_cast<std::size_t>(put);
    unsynced_ += static_cast<std::size_t>(put);
    if (unsynced_ >= most_unsynced) sync();
  }
}

void WholeFile::finish() {
  if (place_.old) take_over(file_.get(), *place_.old);
  sync();
  if (!file_.close()) throw system_fault();
  if (renameat(folder_.get(), unfinished_.c_str(), folder_.get(), name_of(place_.path).c_str()) != 0)
    throw system_fault();
  unfinished_.clear();
  // The file is whole by now, so an error here is none of it.
  const Descriptor listed(openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (listed.get() >= 0) fsync(listed.get());
}

}  // namespace gru_native
