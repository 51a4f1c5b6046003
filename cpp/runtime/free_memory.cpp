#include "runtime/free_memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/system_files.h"

namespace gru_native {
namespace {

constexpr std::size_t unknown = std::size_t(-1);

class NoMemory : public std::bad_alloc {
 public:
  explicit NoMemory(std::size_t bytes, std::size_t free = unknown) {
    const std::size_t mb = std::size_t(1) << 20;
    const int n =
        std::snprintf(text_, sizeof text_, "a request for %zu MB of memory was refused", (bytes + mb - 1) / mb);
    if (free != unknown && n > 0)
      std::snprintf(text_ + n, sizeof text_ - static_cast<std::size_t>(n), ", where %zu MB are free", free / mb);
  }
  const char* what() const noexcept override { return text_; }

 private:
  char text_[128];
};

using Path = char[4200];

bool number_of(const char* root, const char* file, std::size_t& value) {
  Path path;
  char text[64], *end;
  std::snprintf(path, sizeof path, "%s%s", root, file);
  if (!read_file(path, text)) return false;
  value = std::strtoull(text, &end, 10);
  return end != text;  // "max" is no limit
}

// Behind a name at the beginning of a line.
bool number_of(const char* root, const char* file, const char* name, std::size_t& value) {
  Path path;
  char text[8192];
  std::snprintf(path, sizeof path, "%s%s", root, file);
  if (!read_file(path, text)) return false;
  const std::size_t length = std::strlen(name);
  for (const char* line = text; line; line = std::strchr(line, '\n')) {
    line += *line == '\n';
    if (std::strncmp(line, name, length) != 0) continue;
    value = std::strtoull(line + length, nullptr, 10);
    return true;
  }
  return false;
}

std::size_t of_machine(const char* root) {
  std::size_t kb = 0, swap = 0;
  if (!number_of(root, "/proc/meminfo", "MemAvailable: ", kb)) return unknown;
  number_of(root, "/proc/meminfo", "SwapFree: ", swap);
  return (kb + swap) << 10;
}

// What one version of control groups calls its files; `cached` is what the system takes back when it has to.
struct Version {
  const char *controller, *mount, *limit, *usage, *cached;
};
constexpr Version versions[] = {
    {"", "/sys/fs/cgroup", "/memory.max", "/memory.current", "file "},
    {"memory", "/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_cache "}};

// Of a group and all around it. In a container only the outermost may be seen.
std::size_t of_groups(const char* root, const Version& version, const char* group, std::size_t length) {
  std::size_t least = unknown;
  Path path;
  const std::size_t mount = static_cast<std::size_t>(std::snprintf(path, sizeof path, "%s%s", root, version.mount));
  if (mount + length + 1 > sizeof path) return unknown;
  std::memcpy(path + mount, group, length);
  std::size_t end = mount + length;
  for (;;) {
    path[end] = 0;
    std::size_t limit, usage, cached = 0;
    if (number_of(path, version.limit, limit) && number_of(path, version.usage, usage)) {
      number_of(path, "/memory.stat", version.cached, cached);
      const std::size_t used = usage - std::min(usage, cached);
      least = std::min(least, limit - std::min(limit, used));
    }
    if (end == mount) return least;
    do --end;
    while (end > mount && path[end] != '/');
  }
}

// Lines of /proc/self/cgroup are "4:memory,cpu:/group", or of version 2 "0::/group".
std::size_t of_groups(const char* root) {
  Path path;
  char text[8192];
  std::snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  read_file(path, text);
  std::size_t least = unknown;
  for (const char* line = text; line && *line; line = std::strchr(line, '\n')) {
    line += *line == '\n';
    const char* const controllers = std::strchr(line, ':');
    const char* const group = controllers ? std::strchr(controllers + 1, ':') : nullptr;
    if (!group) break;
    const std::size_t names = static_cast<std::size_t>(group - controllers - 1);
    for (const Version& version : versions) {
      const bool of_this = *version.controller == 0 ? names == 0
                                                    : names == std::strlen(version.controller) &&
                                                          std::strncmp(controllers + 1, version.controller, names) == 0;
      if (of_this) least = std::min(least, of_groups(root, version, group + 1, std::strcspn(group + 1, "\n")));
    }
    line = group;
  }
  return least;
}

}  // namespace

std::size_t free_memory(const char* root) { return std::min(of_machine(root), of_groups(root)); }

void check_memory(std::size_t bytes) {
  if (bytes < large_request) return;
  if (const std::size_t free = free_memory(); bytes > free) throw NoMemory(bytes, free);
}

void throw_no_memory(std::size_t bytes) { throw NoMemory(bytes); }

}  // namespace gru_native
