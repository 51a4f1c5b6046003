// Streams a WAV file through a model, block by block, as an audio program would.
//
//   embed MODEL IN.wav OUT.wav [FRAMES A BLOCK]
//
// MODEL has one input and one output; each channel is a sequence of its own. The output is float32.
#include <gru_native/gru_native.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "wav.h"

int main(int argc, char** argv) try {
  if (argc != 4 && argc != 5) throw std::invalid_argument("expected MODEL IN.wav OUT.wav [FRAMES A BLOCK]");
  const long block = argc == 5 ? std::atol(argv[4]) : 64;
  if (block < 1) throw std::invalid_argument(std::string(argv[4]) + " frames a block; expected at least 1");

  const auto model = gru_native::Model::load(argv[1]);
  if (model->input_size() != 1 || model->output_size() != 1)
    throw std::invalid_argument(std::string(argv[1]) + ": has " + std::to_string(model->input_size()) + " inputs and " +
                                std::to_string(model->output_size()) + " outputs; expected 1 and 1");
  const Wav in = read_wav(argv[2]);
  Wav out = in;
  // The samples of a WAV file lie as a batch of sequences does: [frames][channels].
  gru_native::Stream stream(model, static_cast<std::int64_t>(in.channels));

  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < in.frames(); at += static_cast<std::size_t>(block)) {
    const std::size_t frames = std::min(static_cast<std::size_t>(block), in.frames() - at);
    stream.process(in.samples.data() + at * in.channels, out.samples.data() + at * in.channels, frames);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;

  write_wav(argv[3], out);
  const double audio = static_cast<double>(in.frames()) / in.rate;
  std::printf("%zu frames of %zu channels in blocks of %ld: %.3f s of audio in %.4f s, real-time factor %.4f\n",
              in.frames(), in.channels, block, audio, taken.count(), audio > 0 ? taken.count() / audio : 0);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "embed: %s\n", error.what());
  return 1;
}
