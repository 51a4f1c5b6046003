// Generation from C++: all that a decoder can write, one by one; token by token; attention weights; threads; errors.
#include "gru_native/generation.h"

#include <map>
#include <stdexcept>

#include "gru_native/runtime.h"
#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

using Tokens = std::vector<std::int64_t>;
constexpr std::int64_t words = 3, source = 4, batch = 2, most = 3, start = 1, end = 0;

template <class T>
struct Problem {
  AttentionDecoderSpec spec;
  std::shared_ptr<AttentionDecoder<T>> decoder;
  std::vector<std::vector<T>> memory;
  Tokens lengths{source, 2};

  Problem(Attention attention, std::int64_t memories) {
    spec.vocab_size = words;
    spec.embedding_dim = 2;
    spec.hidden_size = 6;
    spec.memory_size = 3;
    spec.attention = attention;
    spec.num_memories = memories;
    spec.location_width = 3;
    decoder = std::make_shared<AttentionDecoder<T>>(spec);
    randomize(*decoder, 4);
    for (std::int64_t m = 0; m < memories; ++m)
      memory.push_back(random_numbers<T>(source * batch * 3, 5 + static_cast<unsigned>(m), 2));
  }
  std::vector<DecoderMemory<const T>> memories() const {
    std::vector<DecoderMemory<const T>> all;
    for (const std::vector<T>& h : memory) all.push_back({source, time_major(h.data(), batch, 3), lengths.data()});
    return all;
  }
  GenerationCall<T> call() const {
    GenerationCall<T> c;
    c.batch = batch;
    c.memory = memories();
    c.start = start;
    c.end = end;
    c.max_steps = most;
    return c;
  }
  // By teacher forcing: the log-probability that a sequence writes these tokens.
  long double log_p(std::int64_t b, const Tokens& tokens) const {
    const std::int64_t steps = static_cast<std::int64_t>(tokens.size());
    Tokens fed;
    for (std::int64_t t = 0; t < steps; ++t)
      for (std::int64_t i = 0; i < batch; ++i) fed.push_back(t == 0 ? start : tokens[static_cast<std::size_t>(t - 1)]);
    std::vector<T> logits(static_cast<std::size_t>(steps * batch * words));
    DecoderForwardCall<T> c;
    c.seq_len = steps;
    c.batch = batch;
    c.targets = time_major(static_cast<const std::int64_t*>(fed.data()), batch, 1);
    c.memory = memories();
    c.logits = time_major(logits.data(), batch, words);
    decoder->forward(c);
    long double sum = 0;
    for (std::int64_t t = 0; t < steps; ++t) {
      const T* const a = logits.data() + (t * batch + b) * words;
      long double all = 0;
      for (std::int64_t k = 0; k < words; ++k) all += std::exp(static_cast<long double>(a[k]));
      sum += a[tokens[static_cast<std::size_t>(t)]] - std::log(all);
    }
    return sum;
  }
};

// All that can be written within `most` steps, without the end.
void all_texts(const Tokens& so_far, std::vector<Tokens>& texts) {
  texts.push_back(so_far);
  if (static_cast<std::int64_t>(so_far.size()) == most) return;
  for (const std::int64_t k : {1, 2}) {
    Tokens longer = so_far;
    longer.push_back(k);
    all_texts(longer, texts);
  }
}

template <class T>
void check_all(Attention attention, std::int64_t memories) {
  const Problem<T> p(attention, memories);
  GenerationCall<T> call = p.call();
  call.beam_size = 1000;
  call.length_penalty = 0.5;
  call.attention = true;
  const std::vector<std::vector<Generated<T>>> found = generate(*p.decoder, call);
  std::vector<Tokens> texts;
  all_texts({}, texts);
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::vector<Generated<T>>& row = found[static_cast<std::size_t>(b)];
    CHECK(row.size() == texts.size(), "%zu of %zu", row.size(), texts.size());
    std::map<Tokens, double> scores;
    for (const Tokens& text : texts) {
      Tokens ended = text;
      if (static_cast<std::int64_t>(text.size()) < most) ended.push_back(end);
      scores[text] = static_cast<double>(p.log_p(b, ended) / std::sqrt(static_cast<long double>(ended.size())));
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      CHECK(std::fabs(row[i].score - scores.at(row[i].ids)) <= tolerance, "score %g", row[i].score);
      CHECK(i == 0 || row[i].score <= row[i - 1].score, "not the best first");
      CHECK(static_cast<std::int64_t>(row[i].attention.size()) == memories, "%zu", row[i].attention.size());
      for (const std::vector<T>& weights : row[i].attention) {
        CHECK(weights.size() == row[i].ids.size() * source, "%zu weights", weights.size());
        for (std::size_t t = 0; t < row[i].ids.size(); ++t) {
          double sum = 0;
          for (std::size_t j = 0; j < source; ++j) sum += static_cast<double>(weights[t * source + j]);
          CHECK(std::fabs(sum - 1) <= 1e-6, "the weights' sum is %g", sum);
          CHECK(b == 0 || weights[t * source + 2] == 0, "a weight past the end");
        }
      }
    }
  }
}

template <class T>
void check_stream(Attention attention) {
  const Problem<T> p(attention, 1);
  GenerationCall<T> call = p.call();
  call.attention = true;
  call.max_steps = 8;
  const std::vector<std::vector<Generated<T>>> found = generate(*p.decoder, call);
  DecoderStream<T> stream(*p.decoder, p.memories(), batch);
  std::vector<Tokens> said(batch);
  std::vector<std::vector<T>> looked(batch);
  std::vector<T> logits(batch * words);
  Tokens fed(batch, start);
  std::vector<bool> ended(batch, false);
  for (int step = 0; step < 8; ++step) {
    stream.step(fed.data(), logits.data());
    for (std::size_t b = 0; b < batch; ++b) {
      const T* const a = logits.data() + b * words;
      fed[b] = std::max_element(a, a + words) - a;
      if (fed[b] == end) ended[b] = true;
      if (ended[b]) continue;
      said[b].push_back(fed[b]);
      const std::vector<T> weights = stream.weights(static_cast<std::int64_t>(b));
      looked[b].insert(looked[b].end(), weights.begin(), weights.end());
    }
  }
  for (std::size_t b = 0; b < batch; ++b) {
    CHECK(found[b].size() == 1 && found[b][0].ids == said[b], "other tokens");
    CHECK(found[b][0].attention[0] == looked[b], "other attention");
  }
  DecoderStream<T> moved = std::move(stream);
  CHECK(moved.batch() == batch, "batch");
  // Back to the beginning; and from a state once more.
  moved.load_state();
  fed.assign(batch, start);
  moved.step(fed.data(), logits.data());
  const std::size_t layers = static_cast<std::size_t>(batch * p.spec.hidden_size);
  std::vector<T> h(layers), c(layers), context(batch * 3), weights(batch * source), again(logits.size());
  DecoderState<T> state{{h.data(), c.data()}, context.data(), {}};
  if (attention == Attention::location) state.weights.push_back(weights.data());
  moved.save_state(state);
  for (std::size_t b = 0; b < batch; ++b) {
    const T* const a = logits.data() + b * words;
    const std::int64_t best = std::max_element(a, a + words) - a;
    CHECK(best == (said[b].empty() ? end : said[b][0]), "another token after a reset");
  }
  moved.step(fed.data(), logits.data());
  DecoderState<const T> from{{h.data(), c.data()}, context.data(), {state.weights.begin(), state.weights.end()}};
  moved.load_state(from);
  moved.step(fed.data(), again.data());
  CHECK(again == logits, "other logits from the same state");
  // A copy has a state of its own, and the attention of the last step.
  DecoderStream<T> copied = moved;
  CHECK(copied.batch() == batch && copied.weights(1) == moved.weights(1), "another copy");
  copied.step(fed.data(), again.data());
  moved.step(fed.data(), logits.data());
  CHECK(again == logits, "a copy goes another way");
  copied.step(fed.data(), again.data());
  copied = moved;
  copied.step(fed.data(), again.data());
  moved.step(fed.data(), logits.data());
  CHECK(again == logits, "what was assigned goes another way");
}

void check_errors() {
  const Problem<float> p(Attention::additive, 1), none(Attention::none, 1);
  const auto bad = [&](auto change, const char* text) {
    GenerationCall<float> call = p.call();
    change(call);
    return throws<std::invalid_argument>([&] { generate(*p.decoder, call); }, text);
  };
  CHECK(bad([](auto& c) { c.batch = 0; }, "batch is 0"), "no error");
  CHECK(bad([](auto& c) { c.start = 3; }, "start is 3; expected 0 to 2"), "no error");
  CHECK(bad([](auto& c) { c.end = -1; }, "end is -1"), "no error");
  CHECK(bad([](auto& c) { c.max_steps = 0; }, "max_steps is 0"), "no error");
  CHECK(bad([](auto& c) { c.beam_size = 0; }, "beam_size is 0"), "no error");
  CHECK(bad([](auto& c) { c.length_penalty = NAN; }, "length_penalty is nan"), "no error");
  CHECK(bad([](auto& c) { c.memory.clear(); }, "memory"), "no error");
  CHECK(bad([](auto& c) { c.memory[0].h.data = nullptr; }, "null"), "no error");
  CHECK(bad([](auto& c) { c.beam_size = c.max_steps = std::int64_t(1) << 62; }, "larger than memory"), "no error");
  DecoderStream<float> stream(*p.decoder, p.memories(), batch);
  std::vector<float> logits(batch * words);
  const Tokens tokens{1, 3};
  CHECK(throws<std::invalid_argument>([&] { stream.step(tokens.data(), logits.data()); }, "tokens[1] is 3"),
        "no error");
  CHECK(throws<std::invalid_argument>([&] { stream.step(nullptr, logits.data()); }, "tokens is null"), "no error");
  CHECK(throws<std::invalid_argument>([&] { stream.weights(); }, "has made no step"), "no error");
  const DecoderState<const float> with_weights{{}, nullptr, {logits.data()}};
  CHECK(throws<std::invalid_argument>([&] { stream.load_state(with_weights); }, "from.weights"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const Attention attention : {Attention::additive, Attention::general, Attention::location}) {
      check_all<float>(attention, 1);
      check_all<double>(attention, 2);
      check_stream<float>(attention);
      check_stream<double>(attention);
    }
  }
  check_errors();
  return done("generation");
}
