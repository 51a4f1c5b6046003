// What is left of memory, from files as systems have them; and requests that are larger.
#include "runtime/free_memory.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <new>
#include <string>

#include "runtime/memory.h"
#include "tests/support/check.h"

using namespace gru_native;

namespace {

constexpr std::size_t unknown = std::size_t(-1);
constexpr std::size_t mb = std::size_t(1) << 20;

// A folder with files of such a system.
class System {
 public:
  System() : folder_(std::filesystem::temp_directory_path() / ("gru_native_free_memory_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~System() { std::filesystem::remove_all(folder_); }
  System(const System&) = delete;
  System& operator=(const System&) = delete;
  void write(const std::string& path, const std::string& text) const {
    const auto at = folder_ / path;
    std::filesystem::create_directories(at.parent_path());
    std::ofstream(at) << text;
  }
  std::size_t left() const { return free_memory(folder_.c_str()) / mb; }
  bool is_unknown() const { return free_memory(folder_.c_str()) == unknown; }

 private:
  const std::filesystem::path folder_;
};

void of_the_machine() {
  const System system;
  CHECK(system.is_unknown(), "out of nothing");
  system.write("proc/meminfo", "MemTotal:       4194304 kB\nMemFree:         102400 kB\nMemAvailable:    204800 kB\n");
  CHECK(system.left() == 200, "%zu", system.left());
  system.write("proc/meminfo", "MemAvailable:    204800 kB\nSwapTotal:  1 kB\nSwapFree:        102400 kB\n");
  CHECK(system.left() == 300, "%zu", system.left());
}

void of_groups() {
  const System system;
  system.write("proc/meminfo", "MemAvailable: 10485760 kB\n");
  system.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/a/b\n0::/c/d\n");
  CHECK(system.left() == 10240, "without files");
  system.write("sys/fs/cgroup/c/d/memory.max", "max\n");
  system.write("sys/fs/cgroup/c/d/memory.current", "5\n");
  CHECK(system.left() == 10240, "without a limit");
  system.write("sys/fs/cgroup/c/memory.max", std::to_string(500 * mb) + "\n");
  system.write("sys/fs/cgroup/c/memory.current", std::to_string(300 * mb) + "\n");
  CHECK(system.left() == 200, "of the group around it");
  system.write("sys/fs/cgroup/c/memory.stat", "anon 5\nfile " + std::to_string(100 * mb) + "\nkernel 4\n");
  CHECK(system.left() == 300, "with what is cached");
  system.write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", std::to_string(100 * mb) + "\n");
  system.write("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", std::to_string(90 * mb) + "\n");
  CHECK(system.left() == 10, "version 1");
  system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(100 * mb) + "\n");
  system.write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(190 * mb) + "\n");
  CHECK(system.left() == 0, "a group that is over its limit");
  for (const char* broken : {"", ":", "\n", "0::", "::::", "0::/c/d", "4:memory:"}) {
    system.write("proc/self/cgroup", broken);
    CHECK(system.left() <= 10240, "broken");
  }
}

void of_requests() {
  const std::size_t free = free_memory();
  if (free > unknown / 2) return;  // the system does not say
  CHECK(throws<std::bad_alloc>([&] { Block(free + 1024 * mb); }, "MB are free"), "no error");
  CHECK(throws<std::bad_alloc>([&] { Block(unknown / 4); }, "a request for"), "no error");
  check_memory(large_request);
  check_memory(100);
}

}  // namespace

int main() {
  of_the_machine();
  of_groups();
  of_requests();
  return done("free memory");
}
