// WAV files with 16-bit or float32 samples, as much of them as an example needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

struct Wav {
  std::uint32_t rate = 0;      // frames a second
  std::size_t channels = 0;
  std::vector<float> samples;  // [frames][channels]

  std::size_t frames() const { return samples.size() / channels; }
};

// 16-bit samples become multiples of 2^-15. Throws std::runtime_error, naming the file, for what cannot be read or is
// not such a file.
Wav read_wav(const std::string& path);

// As float32: no bit is lost. Throws std::runtime_error.
void write_wav(const std::string& path, const Wav& wav);
