// A decoder step by step, as generation runs it: the bits of teacher forcing, also while rows change places.
#include "engine/decoder/decoder.h"

#include <algorithm>
#include <cstdio>

#include "engine/decoder/steps.h"
#include "gru_native/model.h"
#include "tests/support/check.h"
#include "tests/support/weights.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr std::int64_t words = 11, batch = 5, steps = 6;

template <class T>
struct Problem {
  AttentionDecoderSpec spec;
  std::vector<std::vector<T>> h;
  std::vector<std::vector<std::int64_t>> lengths;
  std::vector<DecoderMemory<const T>> memory;
  std::vector<std::int64_t> tokens;

  Problem(const AttentionDecoderSpec& s, unsigned seed) : spec(s) {
    for (std::int64_t m = 0; m < spec.num_memories; ++m) {
      const std::int64_t positions = spec.attention == Attention::none ? 1 : 4 + 3 * m;
      h.push_back(random_numbers<T>(static_cast<std::size_t>(positions * batch * spec.memory_size), seed++));
      lengths.emplace_back();
      for (std::int64_t b = 0; b < batch; ++b) lengths.back().push_back(1 + (b + m) % positions);
      memory.push_back(
          {positions, time_major(std::as_const(h.back()).data(), batch, spec.memory_size), lengths.back().data()});
    }
    std::mt19937 draw(seed);
    for (std::int64_t i = 0; i < steps * batch; ++i) tokens.push_back(static_cast<std::int64_t>(draw() % words));
  }
  // [steps][batch][words]
  std::vector<T> taught(const AttentionDecoder<T>& decoder, const std::vector<std::int64_t>& fed) const {
    std::vector<T> logits(static_cast<std::size_t>(steps * batch * words));
    DecoderForwardCall<T> call;
    call.seq_len = steps;
    call.batch = batch;
    call.targets = time_major(fed.data(), batch, 1);
    call.memory = memory;
    call.logits = time_major(logits.data(), batch, words);
    decoder.forward(call);
    return logits;
  }
};

// Rows that look at sequences 3, 0, 3, 4 of the memories; after half of the steps they are rows 2, 2, 1 of these.
template <class T>
void check_steps(const AttentionDecoderSpec& spec, unsigned seed) {
  AttentionDecoder<T> decoder(spec);
  randomize(decoder, seed);
  const Problem<T> p(spec, seed + 100);
  const auto& impl = impl_of(decoder);
  const auto packed = impl.store.packed();
  const auto arena = impl.store.lease();
  std::vector<EncodedMemory<T>> memories;
  for (const auto& memory : p.memory) memories.push_back(reserve_memory<T>(spec, memory, batch, *arena));
  TeamLease team(2);
  Crew crew(team);
  team.run([&](int rank) {
    for (std::size_t m = 0; m < memories.size(); ++m)
      encode(spec, packed->attentions[m], p.memory[m], memories[m], rank, crew);
  });
  DecoderSteps<T> generation(spec, impl.layers, *packed, memories, 7, team.size(), *arena);
  std::vector<Index> sequence{3, 0, 3, 4};
  const Index parents[] = {2, 2, 1};
  generation.start(4, sequence.data(), {});
  // What each row has been fed, as whole batches of teacher forcing.
  std::vector<std::vector<std::int64_t>> fed(4, p.tokens);
  std::vector<T> logits(7 * words);
  std::mt19937 draw(seed);
  for (std::int64_t t = 0; t < steps; ++t) {
    if (t == steps / 2) {
      generation.choose(3, parents);
      fed = {fed[2], fed[2], fed[1]};
      sequence = {sequence[2], sequence[2], sequence[1]};
      CHECK(generation.rows() == 3, "rows");
    }
    std::vector<std::int64_t> tokens;
    for (std::size_t row = 0; row < fed.size(); ++row) {
      tokens.push_back(static_cast<std::int64_t>(draw() % words));
      fed[row][static_cast<std::size_t>(t * batch + sequence[row])] = tokens.back();
    }
    generation.step(tokens.data(), {logits.data(), words, nullptr}, team);
    for (std::size_t row = 0; row < fed.size(); ++row) {
      const std::vector<T> expected = p.taught(decoder, fed[row]);
      for (std::int64_t k = 0; k < words; ++k)
        CHECK(logits[row * words + static_cast<std::size_t>(k)] ==
                  expected[static_cast<std::size_t>((t * batch + sequence[row]) * words + k)],
              "step %d, row %zu, word %d", int(t), row, int(k));
      if (spec.attention == Attention::none) continue;
      for (std::size_t m = 0; m < memories.size(); ++m) {
        double sum = 0;
        const std::int64_t length = p.lengths[m][static_cast<std::size_t>(sequence[row])];
        for (std::int64_t j = 0; j < length; ++j) sum += static_cast<double>(generation.weights(m, Index(row))[j]);
        CHECK(std::abs(sum - 1) < 1e-5, "weights of memory %zu sum to %f", m, sum);
      }
    }
  }
}

template <class T>
void check_all() {
  unsigned seed = 1;
  for (const Attention attention :
       {Attention::none, Attention::additive, Attention::dot, Attention::general, Attention::location})
    for (const Cell cell : {Cell::lstm, Cell::gru})
      for (const bool feeding : {true, false}) {
        AttentionDecoderSpec spec;
        spec.vocab_size = words;
        spec.embedding_dim = 3;
        spec.hidden_size = attention == Attention::dot ? 5 : 21;
        spec.memory_size = 5;
        spec.cell = cell;
        spec.num_layers = feeding ? 2 : 1;
        spec.attention = attention;
        spec.num_memories = feeding ? 1 : 2;
        spec.input_feeding = feeding;
        spec.readout = feeding ? ReadoutFunction::tanh : ReadoutFunction::maxout;
        spec.location_width = 3;
        check_steps<T>(spec, seed += 10);
      }
}

void check_errors() {
  AttentionDecoderSpec spec;
  spec.vocab_size = words;
  spec.embedding_dim = spec.hidden_size = spec.memory_size = 4;
  AttentionDecoder<float> decoder(spec);
  const Problem<float> p(spec, 1);
  std::vector<float> logits(static_cast<std::size_t>(steps * batch * words), 5.f);
  DecoderForwardCall<float> call;
  call.seq_len = steps;
  call.batch = batch;
  call.targets = time_major(p.tokens.data(), batch, 1);
  call.memory = p.memory;
  call.logits = time_major(logits.data(), batch, words);
  const auto refused = [&](const char* text) {
    const bool named = throws<std::invalid_argument>([&] { decoder.forward(call); }, text);
    return named && std::all_of(logits.begin(), logits.end(), [](float x) { return x == 5.f; });
  };
  call.memory.clear();
  CHECK(refused("memory.size() is 0; expected 1"), "no memory");
  call.memory = p.memory;
  call.memory[0].h.data = nullptr;
  CHECK(refused("memory[0].h.data is null"), "null memory");
  call.memory = p.memory;
  std::vector<std::int64_t> lengths(batch, 1);
  lengths[3] = 0;
  call.memory[0].lengths = lengths.data();
  CHECK(refused("memory[0].lengths[3] is 0; expected at least 1"), "empty memory");
  call.memory = p.memory;
  std::vector<std::int64_t> tokens = p.tokens;
  tokens[batch + 2] = words;
  call.targets.data = tokens.data();
  CHECK(refused("targets[1, 2] is 11; expected 0 to vocab_size-1=10"), "a word that is none");
  tokens[batch + 2] = 0;
  decoder.forward(call);
  float context[batch * 4];
  AttentionDecoderSpec without = spec;
  without.attention = Attention::none;
  AttentionDecoder<float> other(without);
  call.final.context = context;
  call.memory[0].seq_len = 1;
  call.memory[0].lengths = nullptr;
  CHECK(throws<std::invalid_argument>([&] { other.forward(call); }, "final.context is not null; expected none"),
        "a context without attention");
  const auto tape = decoder.forward_with_tape([&] {
    DecoderForwardCall<float> again = call;
    again.memory = p.memory;
    again.final = {};
    return again;
  }());
  CHECK(throws<std::invalid_argument>([&] { other.check(*tape); }, "tape was made by another layer"), "tape");
}

template <class T>
void check_files() {
  AttentionDecoderSpec spec;
  spec.vocab_size = words;
  spec.embedding_dim = 3;
  spec.hidden_size = 6;
  spec.memory_size = 5;
  spec.attention = Attention::location;
  spec.readout_size = 7;
  AttentionDecoder<T> decoder(spec);
  randomize(decoder, 5);
  const std::string path = "test_decoder_" + std::to_string(sizeof(T)) + ".safetensors";
  decoder.save(path);
  const auto again = AttentionDecoder<T>::load(path);
  const Problem<T> p(spec, 1);
  CHECK(p.taught(decoder, p.tokens) == p.taught(again, p.tokens), "logits of a decoder from a file");
  using Other = AttentionDecoder<std::conditional_t<sizeof(T) == 4, double, float>>;
  CHECK(throws<FileError>([&] { Other::load(path); }, path.c_str()), "another dtype");
  std::remove(path.c_str());
  CHECK(throws<FileError>([&] { AttentionDecoder<T>::load(path); }, path.c_str()), "no file");
}

}  // namespace

int main() {
  check_files<float>();
  check_files<double>();
  check_all<float>();
  check_all<double>();
  check_errors();
  return done("decoder");
}
