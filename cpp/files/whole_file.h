// A file that is written whole or not at all.
//
// It grows under a name of its own in the same folder, is brought to the disk and then takes its place in one step, so
// that whoever opens the path finds the old file or the new one, also after a crash or a power cut, and whoever else
// writes the same path does the same. A link is followed. The new file has the mode of the old one and, where this user
// may give it away, its owner and group; it is no longer the one that hard links elsewhere point to.
#pragma once
#include <optional>

#include "files/system_file.h"

namespace gru_native {

class WholeFile {
 public:
  // Throws FileFault for what cannot be written: all but regular files, and what is write-protected.
  explicit WholeFile(const std::string& path);
  ~WholeFile();  // nothing has happened, unless finish() was called
  void write(const void* data, std::size_t n);
  void finish();

 private:
  struct Place {
    std::string path;  // what links lead to
    std::optional<struct stat> old;  // the file that is there
  };
  static Place place_of(std::string path);
  static int create(const Descriptor& folder, const Place& place, std::string& unfinished);
  void sync();

  Place place_;
  Descriptor folder_;
  std::string unfinished_;  // the name that it has so far; empty: there is no such file
  Descriptor file_;
  std::size_t unsynced_ = 0;  // bytes
};

}  // namespace gru_native
