// Writes what an encoder and a decoder that were trained in Python make of a sequence of tokens.
//
//   spell ENCODER DECODER BEAM TOKEN...
//
// The encoder is a model whose inputs are the tokens, one-hot. Token 0 is the start of what the decoder writes, and its
// end. Each line is a hypothesis: its score and its tokens. What the best one is fed goes through a stream once more,
// as where somebody waits for every token.
#include <gru_native/gru_native.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

using Tokens = std::vector<std::int64_t>;

// The encoder's outputs, [token][output_size].
std::vector<float> encoded(const gru_native::Model& encoder, const Tokens& tokens) {
  const std::int64_t steps = static_cast<std::int64_t>(tokens.size()), inputs = encoder.input_size();
  std::vector<float> x(static_cast<std::size_t>(steps * inputs));
  std::vector<float> y(static_cast<std::size_t>(steps * encoder.output_size()));
  for (std::int64_t t = 0; t < steps; ++t) {
    const std::int64_t token = tokens[static_cast<std::size_t>(t)];
    if (token < 0 || token >= inputs)
      throw std::invalid_argument("token " + std::to_string(token) + "; expected 0 to " + std::to_string(inputs - 1));
    x[static_cast<std::size_t>(t * inputs + token)] = 1;
  }
  gru_native::ModelCall<float> call;
  call.seq_len = steps;
  call.batch = 1;
  call.x = gru_native::time_major(static_cast<const float*>(x.data()), 1, inputs);
  call.y = gru_native::time_major(y.data(), 1, encoder.output_size());
  encoder.forward(call);
  return y;
}

int main(int argc, char** argv) try {
  if (argc < 5) throw std::invalid_argument("expected ENCODER DECODER BEAM TOKEN...");
  const auto encoder = gru_native::Model::load(argv[1]);
  const auto decoder = gru_native::AttentionDecoder<float>::load(argv[2]);
  Tokens tokens;
  for (int i = 4; i < argc; ++i) tokens.push_back(std::stoll(argv[i]));
  const std::vector<float> memory = encoded(*encoder, tokens);
  if (decoder.spec().memory_size != encoder->output_size())
    throw std::invalid_argument(std::string(argv[2]) + " looks at " + std::to_string(decoder.spec().memory_size) +
                                " columns; expected the encoder's " + std::to_string(encoder->output_size()));

  gru_native::GenerationCall<float> call;
  call.batch = 1;
  call.memory = {
      {static_cast<std::int64_t>(tokens.size()), gru_native::time_major(memory.data(), 1, encoder->output_size())}};
  call.max_steps = 100;
  call.beam_size = std::stoll(argv[3]);
  const auto found = gru_native::generate(decoder, call).front();
  for (const auto& hypothesis : found) {
    std::printf("%.6f", hypothesis.score);
    for (const std::int64_t token : hypothesis.ids) std::printf(" %lld", static_cast<long long>(token));
    std::printf("\n");
  }

  gru_native::DecoderStream<float> stream(decoder, call.memory);
  std::vector<float> logits(static_cast<std::size_t>(decoder.spec().vocab_size));
  std::int64_t fed = 0;
  for (const std::int64_t token : found.front().ids) {
    stream.step(&fed, logits.data());
    const std::vector<float> weights = stream.weights();
    const auto most = std::max_element(weights.begin(), weights.end());
    std::printf("%lld: looked at token %td\n", static_cast<long long>(fed = token), most - weights.begin());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "spell: %s\n", error.what());
  return 1;
}
