#include "wav.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace {

using Bytes = std::vector<unsigned char>;

constexpr std::uint32_t pcm = 1, ieee_float = 3, extensible = 0xFFFE;

std::uint32_t u16(const unsigned char* p) { return p[0] | static_cast<std::uint32_t>(p[1]) << 8; }
std::uint32_t u32(const unsigned char* p) { return u16(p) | u16(p + 2) << 16; }

void put(std::string& bytes, std::uint32_t value, int size) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> 8 * i & 0xFF);
}

struct Format {
  std::uint32_t kind = 0, channels = 0, rate = 0, frame_bytes = 0, bits = 0;
};

Format format_of(const unsigned char* chunk, std::size_t size) {
  if (size < 16) throw std::runtime_error("its format has " + std::to_string(size) + " bytes; expected at least 16");
  Format f{u16(chunk), u16(chunk + 2), u32(chunk + 4), u16(chunk + 12), u16(chunk + 14)};
  if (f.kind == extensible && size >= 26) f.kind = u16(chunk + 24);
  if (!(f.kind == pcm && f.bits == 16) && !(f.kind == ieee_float && f.bits == 32))
    throw std::runtime_error("its samples are of kind " + std::to_string(f.kind) + " with " + std::to_string(f.bits) +
                             " bits; expected 1 with 16 bits, or 3 (float) with 32");
  if (f.channels == 0 || f.rate == 0 || f.frame_bytes != f.channels * f.bits / 8)
    throw std::runtime_error("its format has " + std::to_string(f.channels) + " channels, " + std::to_string(f.rate) +
                             " frames a second and " + std::to_string(f.frame_bytes) +
                             " bytes a frame, which makes no sense");
  return f;
}

Wav samples_of(const Format& f, const unsigned char* chunk, std::size_t size) {
  if (size % f.frame_bytes)
    throw std::runtime_error("its data end within a frame: " + std::to_string(size) + " bytes, " +
                             std::to_string(f.frame_bytes) + " a frame");
  Wav wav{f.rate, f.channels, std::vector<float>(size / (f.bits / 8))};
  for (float& sample : wav.samples) {
    if (f.kind == pcm) {
      sample = static_cast<float>(static_cast<std::int16_t>(u16(chunk))) / 32768;
    } else {
      const std::uint32_t word = u32(chunk);
      std::memcpy(&sample, &word, sizeof sample);
    }
    chunk += f.bits / 8;
  }
  return wav;
}

Wav parse(const Bytes& file) {
  const auto named = [&](std::size_t at, const char* name) { return std::memcmp(file.data() + at, name, 4) == 0; };
  if (file.size() < 12 || !named(0, "RIFF") || !named(8, "WAVE")) throw std::runtime_error("this is no WAV file");
  Format format;
  for (std::size_t at = 12; file.size() - at >= 8;) {
    const unsigned char* chunk = file.data() + at + 8;
    const std::size_t size = u32(file.data() + at + 4), left = file.size() - at - 8;
    if (size > left)
      throw std::runtime_error("it is truncated: a chunk at byte " + std::to_string(at) + " claims " +
                               std::to_string(size) + " bytes, " + std::to_string(left) + " are there");
    if (named(at, "fmt ")) format = format_of(chunk, size);
    if (named(at, "data")) {
      if (!format.kind) throw std::runtime_error("its data come before their format");
      return samples_of(format, chunk, size);
    }
    at += 8 + std::min(size + size % 2, left);  // chunks begin at even bytes
  }
  throw std::runtime_error("it has no data");
}

}  // namespace

Wav read_wav(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const Bytes file{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw std::runtime_error(path + ": cannot be read");
  try {
    return parse(file);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

void write_wav(const std::string& path, const Wav& wav) {
  const std::size_t size = wav.samples.size() * 4;
  if (size > UINT32_MAX - 100) throw std::runtime_error(path + ": would be longer than a WAV file can be");
  const auto n = static_cast<std::uint32_t>(size), channels = static_cast<std::uint32_t>(wav.channels);
  std::string bytes = "RIFF";
  put(bytes, 50 + n, 4);
  bytes += "WAVEfmt ";
  put(bytes, 18, 4);
  put(bytes, ieee_float, 2);
  put(bytes, channels, 2);
  put(bytes, wav.rate, 4);
  put(bytes, wav.rate * channels * 4, 4);
  put(bytes, channels * 4, 2);
  put(bytes, 32, 2);
  put(bytes, 0, 2);  // of extensions
  bytes += "fact";   // which formats other than PCM must have
  put(bytes, 4, 4);
  put(bytes, static_cast<std::uint32_t>(wav.frames()), 4);
  bytes += "data";
  put(bytes, n, 4);
  for (const float sample : wav.samples) {
    std::uint32_t word;
    std::memcpy(&word, &sample, sizeof word);
    put(bytes, word, 4);
  }
  std::ofstream stream(path, std::ios::binary);
  stream << bytes << std::flush;
  if (!stream) throw std::runtime_error(path + ": cannot be written");
}
