// What is saved is there as a whole or not at all: tests/files/test_saving.py, from C++.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t size = 150;

std::shared_ptr<const Model> model_of(float value) {
  const auto dense = std::make_shared<Dense<float>>(DenseSpec{size, size, false, DenseActivation::identity});
  for (float& w : dense->edit()[0]) w = value;
  return std::make_shared<const Model>(std::vector<ModelBlock<float>>{std::shared_ptr<const Dense<float>>(dense)});
}

// The one number in a model.
float value_of(const std::string& path) {
  const auto model = Model::load(path);
  const auto& w = std::get<1>(model->blocks()[0])->weights()[0];
  for (std::int64_t i = 0; i < w.size(); ++i) CHECK(w.data[i] == w.data[0], "two models in one file");
  return w.data[0];
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

mode_t mode_of(const std::string& path) {
  struct stat info{};
  CHECK(lstat(path.c_str(), &info) == 0, "%s: %s", path.c_str(), std::strerror(errno));
  return info.st_mode;
}

void check_two_writers(const fs::path& folder) {
  const std::string path = folder / "model";
  model_of(1)->save(path);
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (const float value : {1.0f, 2.0f, 3.0f})
    writers.emplace_back([&done, &path, model = model_of(value)] {
      while (!done) model->save(path);
    });
  for (int i = 0; i < 100; ++i) {
    const float value = value_of(path);
    CHECK(value == 1 || value == 2 || value == 3, "%g", static_cast<double>(value));
  }
  done = true;
  for (std::thread& writer : writers) writer.join();
  CHECK(names_in(folder) == std::set<std::string>{"model"}, "what a save needed is left");
  fs::remove(path);
}

void check_places(const fs::path& folder) {
  const std::string path = folder / "model", link = folder / "link";
  fs::create_symlink("model", link);
  for (const float value : {1.0f, 2.0f}) {  // the first time the link leads nowhere
    model_of(value)->save(link);
    CHECK(S_ISLNK(mode_of(link)) && S_ISREG(mode_of(path)), "the link is gone");
    CHECK(value_of(path) == value, "an old model");
  }
  fs::remove(link);

  chmod(path.c_str(), 0640);
  model_of(3)->save(path);
  CHECK((mode_of(path) & 07777) == 0640, "mode %o", mode_of(path));
  fs::remove(path);
  const mode_t umask_before = umask(027);
  model_of(3)->save(path);
  umask(umask_before);
  CHECK((mode_of(path) & 07777) == 0640, "mode %o", mode_of(path));
  fs::remove(path);

  for (const std::size_t length : {250, 255}) {
    const std::string longest = folder / std::string(length, 'n');
    model_of(4)->save(longest);
    CHECK(value_of(longest) == 4, "an old model");
    fs::remove(longest);
  }
  CHECK(names_in(folder).empty(), "what a save needed is left");
}

void refused(const std::string& path, const std::string& text) {
  try {
    model_of(1)->save(path);
    CHECK(false, "%s was saved to", path.c_str());
  } catch (const FileError& error) {
    CHECK(error.what() == path.substr(0, path.find('\0')) + ": " + text, "the error is: %s", error.what());
  }
}

void check_refused(const fs::path& folder) {
  const std::string path = folder / "special";
  mkdir(path.c_str(), 0755);
  refused(path, "is a directory; expected a regular file");
  CHECK(throws<FileError>([&] { Model::load(path); }, (path + ": is a directory").c_str()), "a directory was loaded");
  rmdir(path.c_str());
  mkfifo(path.c_str(), 0644);
  refused(path, "is a named pipe; expected a regular file");
  CHECK(throws<FileError>([&] { Model::load(path); }, (path + ": is a named pipe").c_str()), "a pipe was loaded");
  CHECK(S_ISFIFO(mode_of(path)), "the pipe is gone");
  fs::remove(path);
  fs::create_symlink("/dev/full", path);
  refused(path, "is a device; expected a regular file");
  fs::remove(path);
  fs::create_symlink("special", path);
  refused(path, std::strerror(ELOOP));
  fs::remove(path);
  refused(folder / "missing" / "model", std::strerror(ENOENT));
  refused("", "is no name of a file");
  refused(std::string(folder) + "/model/", "is no name of a file");
  refused(folder / std::string(256, 'n'), std::strerror(ENAMETOOLONG));
  refused(std::string(folder) + "/model" + std::string(1, char(0)), "has a zero byte in its name");
}

// The largest file that may be is smaller than the model: an error and not the signal's end of the process.
void check_no_room(const fs::path& folder) {
  const std::string path = folder / "model";
  model_of(1)->save(path);
  struct rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const struct rlimit little{10000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &little);
  refused(path, std::strerror(EFBIG));
  setrlimit(RLIMIT_FSIZE, &before);
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  CHECK(sigismember(&blocked, SIGXFSZ) == 0, "the signal stays blocked");
  CHECK(value_of(path) == 1, "the old model is gone");
  CHECK(names_in(folder) == std::set<std::string>{"model"}, "what a save needed is left");
  fs::remove(path);
}

}  // namespace

int main() {
  char name[] = "/tmp/gru_native_saving_XXXXXX";
  const fs::path folder = mkdtemp(name);
  check_two_writers(folder);
  check_places(folder);
  check_refused(folder);
  check_no_room(folder);
  fs::remove_all(folder);
  return done("saving");
}
