// Decoding of transducers from C++: every way one by one in long double, networks of any kind, threads; streams;
// errors.
#include "gru_native/transducer_decoding.h"

#include <map>
#include <stdexcept>

#include "gru_native/runtime.h"
#include "gru_native/stream.h"
#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

using Labels = std::vector<std::int64_t>;
constexpr std::int64_t classes = 3, encoded_size = 4, predicted = 5, inputs = 2;

template <class T>
TransducerNetworks<T> random_networks(TransducerJoin join = TransducerJoin::concat) {
  TransducerNetworks<T> n;
  n.classes = classes;
  n.encoded_size = join == TransducerJoin::add ? predicted : encoded_size;
  n.blank = 1;
  n.prediction = chain_of<T>({spec_of(Cell::lstm, inputs, predicted)}, 3);
  n.embedding = random_numbers<T>(classes * inputs, 5);
  n.join = join;
  n.activation = Activation::tanh;
  n.output = chain_of<T>({dense_of(join == TransducerJoin::add ? predicted : encoded_size + predicted, classes)}, 4);
  return n;
}

// The logits by the definition: a stream over the labels, and the output over what it says last.
template <class T>
std::vector<T> logits_of(const TransducerNetworks<T>& n, const T* encoded, const Labels& labels) {
  Stream<T> stream(n.prediction);
  std::vector<T> g(predicted), joined, logits(classes);
  stream.process(n.embedding.data() + n.blank * inputs, g.data(), 1);
  for (const std::int64_t k : labels) stream.process(n.embedding.data() + k * inputs, g.data(), 1);
  const bool adds = n.join == TransducerJoin::add;
  for (std::int64_t k = 0; k < n.encoded_size; ++k) joined.push_back(encoded[k] + (adds ? g[k] : T(0)));
  if (!adds) joined.insert(joined.end(), g.begin(), g.end());
  for (T& v : joined) v = std::tanh(v);
  Stream<T>(n.output).process(joined.data(), logits.data(), 1);
  return logits;
}

template <class T>
class EveryWay {
 public:
  EveryWay(const TransducerNetworks<T>& n, const TransducerDecodingCall<T>& call, std::int64_t b)
      : n_(n), call_(call), b_(b) {
    go(0, {}, 0, 1);
  }
  std::map<Labels, long double> found;

 private:
  void go(std::int64_t t, const Labels& labels, std::int64_t here, long double p) {
    if (t == call_.lengths[b_]) {
      found[labels] += p;
      return;
    }
    const std::vector<T> a =
        logits_of(n_, call_.encoded.data + t * call_.encoded.step_stride + b_ * call_.encoded.batch_stride, labels);
    long double sum = 0;
    for (const T v : a) sum += std::exp(static_cast<long double>(v));
    for (std::int64_t k = 0; k < classes; ++k) {
      const long double of_k = p * std::exp(static_cast<long double>(a[static_cast<std::size_t>(k)])) / sum;
      if (k == n_.blank) {
        go(t + 1, labels, 0, of_k);
      } else if (here < call_.max_symbols) {
        Labels longer = labels;
        longer.push_back(k);
        go(t, longer, here + 1, of_k);
      }
    }
  }
  const TransducerNetworks<T>& n_;
  const TransducerDecodingCall<T>& call_;
  std::int64_t b_;
};

template <class T>
void check_ways(TransducerJoin join) {
  const TransducerNetworks<T> n = random_networks<T>(join);
  const std::vector<T> encoded = random_numbers<T>(static_cast<std::size_t>(3 * 3 * n.encoded_size), 6, 2);
  const Labels lengths{3, 0, 2};
  TransducerDecodingCall<T> call;
  call.seq_len = call.batch = 3;
  call.encoded = time_major(encoded.data(), 3, n.encoded_size);
  call.lengths = lengths.data();
  call.beam_size = 5000;
  call.max_symbols = 2;
  const std::vector<Hypotheses> found = transducer_beam(n, call);
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  for (std::int64_t b = 0; b < 3; ++b) {
    const std::map<Labels, long double> every = EveryWay<T>(n, call, b).found;
    const Hypotheses& row = found[static_cast<std::size_t>(b)];
    CHECK(row.size() == every.size(), "%zu of %zu", row.size(), every.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double expected = static_cast<double>(std::log(every.at(row[i].ids)));
      CHECK(std::fabs(row[i].score - expected) <= tolerance, "%g, expected %g", row[i].score, expected);
      CHECK(i == 0 || row[i].score <= row[i - 1].score, "not the best first");
    }
  }
  call.beam_size = 3;
  TransducerNetworks<T> other = n;
  other.output = nullptr;
  other.joint = [&](const T* e, const T* g, std::int64_t rows, T* logits) {
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<T> joined;
      const bool adds = join == TransducerJoin::add;
      for (std::int64_t k = 0; k < n.encoded_size; ++k)
        joined.push_back(std::tanh(e[row * n.encoded_size + k] + (adds ? g[row * predicted + k] : T(0))));
      for (std::int64_t k = 0; !adds && k < predicted; ++k) joined.push_back(std::tanh(g[row * predicted + k]));
      Stream<T>(n.output).process(joined.data(), logits + row * classes, 1);
    }
  };
  const std::vector<Hypotheses> by_networks = transducer_beam(n, call), by_function = transducer_beam(other, call);
  for (std::size_t b = 0; b < 3; ++b) {
    CHECK(by_networks[b].size() == by_function[b].size(), "%zu", by_function[b].size());
    for (std::size_t i = 0; i < by_networks[b].size(); ++i)
      CHECK(by_networks[b][i].ids == by_function[b][i].ids &&
                std::fabs(by_networks[b][i].score - by_function[b][i].score) <= tolerance,
            "another hypothesis");
  }
}

template <class T>
void check_stream() {
  const TransducerNetworks<T> n = random_networks<T>();
  const std::vector<T> encoded = random_numbers<T>(static_cast<std::size_t>(20 * encoded_size), 8, 4);
  TransducerStream<T> whole(n, 1, 2), pieces(n, 1, 2);
  const Labels said = whole.process({encoded.data(), encoded_size, 0}, 20).front();
  Labels expected, in_pieces;
  double score = 0;
  for (std::int64_t t = 0; t < 20; ++t)
    for (std::int64_t here = 0; here <= 2; ++here) {
      const std::vector<T> a = logits_of(n, encoded.data() + t * encoded_size, expected);
      long double sum = 0;
      for (const T v : a) sum += std::exp(static_cast<long double>(v));
      const std::int64_t k = here == 2 ? n.blank : std::max_element(a.begin(), a.end()) - a.begin();
      score += static_cast<double>(a[static_cast<std::size_t>(k)] - std::log(sum));
      if (k == n.blank) break;
      expected.push_back(k);
    }
  CHECK(!said.empty() && said == expected, "%zu labels, expected %zu", said.size(), expected.size());
  CHECK(std::fabs(whole.score(0) - score) <= 1e-4, "score %g, expected %g", whole.score(0), score);
  for (std::int64_t t = 0; t < 20; t += 5) {
    const Labels more = pieces.process({encoded.data() + t * encoded_size, encoded_size, 0}, 5).front();
    in_pieces.insert(in_pieces.end(), more.begin(), more.end());
  }
  CHECK(in_pieces == said && pieces.score(0) == whole.score(0), "other labels in pieces");
  // A copy has a state of its own.
  TransducerStream<T> one(n, 1, 2), other(n, 1, 2);
  one.process({encoded.data(), encoded_size, 0}, 9);
  TransducerStream<T> copied = one;
  other = copied;
  const Sequences<const T> rest{encoded.data() + 9 * encoded_size, encoded_size, 0};
  const Labels by_copy = copied.process(rest, 11).front();
  CHECK(one.score(0) != whole.score(0) && copied.score(0) == whole.score(0), "not its own score");
  CHECK(one.process(rest, 11).front() == by_copy && other.process(rest, 11).front() == by_copy, "copies differ");
  TransducerStream<T> moved = std::move(pieces);
  moved.reset();
  CHECK(moved.score(0) == 0 && moved.process({encoded.data(), encoded_size, 0}, 20).front() == said, "after a reset");
}

void check_errors() {
  const TransducerNetworks<float> n = random_networks<float>();
  const std::vector<float> encoded(encoded_size, 1);
  const auto bad = [&](auto change, const char* text) {
    TransducerNetworks<float> networks = n;
    TransducerDecodingCall<float> call;
    call.seq_len = call.batch = 1;
    call.encoded = {encoded.data(), 0, 0};
    change(networks, call);
    return throws<std::invalid_argument>([&] { transducer_beam(networks, call); }, text);
  };
  CHECK(bad([](auto& m, auto&) { m.classes = 0; }, "classes is 0"), "no error");
  CHECK(bad([](auto& m, auto&) { m.encoded_size = 3; }, "output->input_size() is 9; expected 8"), "no error");
  CHECK(bad([](auto& m, auto&) { m.blank = 3; }, "blank is 3; expected 0 to 2"), "no error");
  CHECK(bad([](auto& m, auto&) { m.prediction = nullptr; }, "prediction is null"), "no error");
  CHECK(bad([](auto& m, auto&) { m.embedding.pop_back(); }, "embedding.size() is 5; expected"), "no error");
  CHECK(bad([](auto& m, auto&) { m.join = TransducerJoin(2); }, "join is 2"), "no error");
  CHECK(bad([](auto& m, auto&) { m.activation = Activation::elu; }, "activation is"), "no error");
  CHECK(bad([](auto& m, auto&) { m.output = nullptr; }, "output is null"), "no error");
  CHECK(bad([](auto& m, auto&) { m.output = m.prediction; }, "recurrent"), "no error");
  CHECK(bad([](auto&, auto& c) { c.seq_len = 0; }, "seq_len is 0"), "no error");
  CHECK(bad([](auto&, auto& c) { c.encoded.data = nullptr; }, "encoded.data is null"), "no error");
  CHECK(bad([](auto&, auto& c) { c.beam_size = 0; }, "beam_size is 0"), "no error");
  CHECK(bad([](auto&, auto& c) { c.max_symbols = 0; }, "max_symbols is 0"), "no error");
  TransducerStream<float> stream(n);
  CHECK(throws<std::invalid_argument>([&] { stream.process({}, 1); }, "encoded.data is null"), "no error");
  CHECK(throws<std::invalid_argument>([&] { stream.score(1); }, "sequence is 1; expected 0 to 0"), "no error");
  CHECK(throws<std::invalid_argument>([&] { TransducerStream<float>{n, 0}; }, "batch_size is 0"), "no error");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const TransducerJoin join : {TransducerJoin::concat, TransducerJoin::add}) {
      check_ways<float>(join);
      check_ways<double>(join);
    }
    check_stream<float>();
    check_stream<double>();
  }
  check_errors();
  return done("transducer_decoding");
}
