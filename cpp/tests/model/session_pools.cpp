// A session of a pool gives the bits of a stream of its own, whatever its company; and a pool allocates nothing.
#include <cstring>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/chain.h"
#include "tests/support/memory.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

// Pools beside streams: sessions that open, close, start anew and take chunks of any lengths.
template <class T>
class Company {
 public:
  Company(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t capacity, int threads, unsigned seed)
      : model_(model), pool_(model, capacity, threads), random_(seed) {}

  void open() {
    const std::int64_t id = pool_.open();
    CHECK(!streams_.count(id), "an id of another: %lld", static_cast<long long>(id));
    streams_.emplace(id, Stream<T>(model_));
  }
  void close(std::int64_t id) {
    pool_.close(id);
    streams_.erase(id);
  }
  void move(std::int64_t id) {  // the state of one becomes that of another stream, as a session's
    std::vector<T> state(static_cast<std::size_t>(pool_.state_size()));
    Stream<T> other(model_);
    CHECK(other.state_size() == pool_.state_size(), "another size of state");
    streams_.at(id).save_state(state.data());
    other.load_state(state.data());
    pool_.load_state(id, state.data());
    streams_.at(id) = std::move(other);
  }
  void reset(std::int64_t id) {
    pool_.reset(id);
    streams_.at(id).reset();
  }
  void step(std::int64_t most, bool ragged) {
    std::vector<std::int64_t> ids, lengths;
    for (const auto& [id, stream] : streams_)
      if (random_() % 3) ids.push_back(id);
    if (ids.empty()) return;
    std::shuffle(ids.begin(), ids.end(), random_);
    const std::int64_t n = static_cast<std::int64_t>(ids.size()), in = model_->input_size(),
                       out = model_->output_size();
    for (std::int64_t i = 0; i < n; ++i)
      lengths.push_back(ragged ? static_cast<std::int64_t>(random_() % (most + 1)) : most);
    const std::vector<T> x = random_numbers<T>(static_cast<std::size_t>(most * n * in), random_());
    std::vector<T> y(static_cast<std::size_t>(most * n * out), T(7)), own(static_cast<std::size_t>(most * out));
    SessionCall<T> call;
    call.sessions = ids.data();
    call.count = n;
    call.seq_len = most;
    const bool by_session = random_() % 2;
    call.x = by_session ? batch_major(x.data(), most, in) : time_major(x.data(), n, in);
    call.y = by_session ? batch_major(y.data(), most, out) : time_major(y.data(), n, out);
    call.lengths = ragged ? lengths.data() : nullptr;
    pool_.step(call);
    for (std::int64_t i = 0; i < n; ++i) {
      Stream<T>& stream = streams_.at(ids[static_cast<std::size_t>(i)]);
      std::fill(own.begin(), own.end(), T(0));
      const std::int64_t steps = lengths[static_cast<std::size_t>(i)];
      if (steps > 0)
        stream.process({call.x.data + i * call.x.batch_stride, call.x.step_stride, 0}, time_major(own.data(), 1, out),
                       steps);
      for (std::int64_t t = 0; t < most; ++t)
        CHECK(std::memcmp(own.data() + t * out, call.y.data + t * call.y.step_stride + i * call.y.batch_stride,
                          static_cast<std::size_t>(out) * sizeof(T)) == 0,
              "other bits: session %lld of %lld, step %lld of %lld", static_cast<long long>(i),
              static_cast<long long>(n), static_cast<long long>(t), static_cast<long long>(most));
    }
  }
  void compare_states() {
    std::vector<T> a(static_cast<std::size_t>(pool_.state_size())), b(a.size());
    for (const auto& [id, stream] : streams_) {
      pool_.save_state(id, a.data());
      stream.save_state(b.data());
      CHECK(a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0, "another state");
    }
  }
  void run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      while (streams_.size() < static_cast<std::size_t>(pool_.capacity()) && random_() % 4) open();
      if (streams_.empty()) open();
      auto any = streams_.begin();
      std::advance(any, random_() % streams_.size());
      switch (random_() % 8) {
        case 0: close(any->first); break;
        case 1: reset(any->first); break;
        case 2: move(any->first); break;
        case 3: pool_.reserve(pool_.capacity() + 1); break;
        default: break;
      }
      step(1, false);
      step(static_cast<std::int64_t>(random_() % 40 + 1), true);
      step(static_cast<std::int64_t>(random_() % 9 + 1), false);
    }
    compare_states();
    CHECK(pool_.sessions().size() == streams_.size(), "other sessions are open");
    for (const std::int64_t id : pool_.sessions()) CHECK(streams_.count(id) == 1, "another session is open");
  }

 private:
  std::shared_ptr<const BasicModel<T>> model_;
  SessionPool<T> pool_;
  std::map<std::int64_t, Stream<T>> streams_;
  std::mt19937 random_;
};

void check_bits() {
  unsigned seed = 1;
  for (const LayerSpec& spec : all_cells(3, 20, 2, false)) {
    Company<float>(chain_of<float>({spec}, seed), 5, 1, seed).run(8);
    Company<double>(chain_of<double>({spec, dense_of(spec.output_size(), 3, DenseActivation::softmax)}, seed), 5, 1,
                    seed)
        .run(8);
    ++seed;
  }
  LayerSpec zoneout = spec_of(Cell::lstm, 3, 20, 2);
  zoneout.zoneout = 0.25, zoneout.zoneout_cell = 0.5;
  Company<float>(chain_of<float>({zoneout}, 3), 9, 1, 3).run(10);
  Company<float>(chain_of<float>({dense_of(3, 4, DenseActivation::relu)}, 3), 9, 1, 4).run(10);
  Company<float>(chain_of<float>({dense_of(3, 40), spec_of(Cell::gru, 40, 150), dense_of(150, 7)}, 3), 300, 2, 5)
      .run(6);
  for (const Precision precision : {Precision::int8, Precision::bf16}) {
    Layer<float> gru(spec_of(Cell::gru, 6, 70, 2));
    randomize(gru, 11);
    const auto fast = std::make_shared<const Layer<float>>(gru.quantize(precision));
    Company<float>(std::make_shared<const Model>(std::vector<ModelBlock<float>>{fast}), 40, 2, 6).run(8);
  }
}

void check_memory() {
  const auto model = chain_of<float>({spec_of(Cell::lstm, 3, 24, 2), dense_of(24, 5)}, 3);
  SessionPool<float> pool(model, 100);
  pool.reserve(300);
  const std::vector<float> x(300 * 7 * 3, 0.5f);
  std::vector<float> y(300 * 7 * 5), state(static_cast<std::size_t>(pool.state_size()));
  std::vector<std::int64_t> ids, lengths;
  for (int i = 0; i < 300; ++i) ids.push_back(pool.open()), lengths.push_back(i % 8);
  const long before = requests;
  for (const std::int64_t count : {1, 2, 64, 300}) {
    pool.step({ids.data(), count, 1, time_major(x.data(), count, 3), time_major(y.data(), count, 5)});
    pool.step({ids.data(), count, 7, time_major(x.data(), count, 3), time_major(y.data(), count, 5), lengths.data()});
  }
  const long made = requests - before;
  CHECK(made == 0, "%ld requests for memory", made);
}

void check_moving() {
  const auto model = chain_of<float>({spec_of(Cell::gru, 2, 9)}, 3);
  SessionPool<float> from(model, 6), to(model, 6);
  const std::vector<float> x = random_numbers<float>(12, 5);
  std::vector<float> y(6 * 9), again(y.size());
  for (int i = 0; i < 6; ++i) from.open();
  from.close(2), from.close(4);
  const std::int64_t late = from.open();
  std::vector<std::int64_t> ids = from.sessions();
  const std::int64_t n = static_cast<std::int64_t>(ids.size());
  const SessionCall<float> call{ids.data(), n, 1, time_major(x.data(), n, 2), time_major(y.data(), n, 9)};
  from.step(call);
  std::vector<float> states(static_cast<std::size_t>(n * from.state_size()));
  for (std::int64_t i = 0; i < n; ++i) from.save_state(ids[static_cast<std::size_t>(i)], &states[i * 9]);
  const std::int64_t lost = to.open();
  to.restore(ids.data(), n, states.data());
  CHECK(to.sessions() == ids, "other ids");
  from.step(call);
  SessionCall<float> there = call;
  there.y = time_major(again.data(), n, 9);
  to.step(there);
  CHECK(y == again, "other bits in another pool");
  CHECK(to.open() != late && std::count(ids.begin(), ids.end(), lost) == 1, "an id twice");
  const std::vector<std::int64_t> before = to.sessions();
  const auto refused = [&](std::vector<std::int64_t> bad, const char* text) {
    return throws<std::invalid_argument>(
        [&] { to.restore(bad.data(), static_cast<std::int64_t>(bad.size()), states.data()); }, text);
  };
  CHECK(refused({0, 6}, "sessions[1] is 6; expected an id that a pool of this capacity"), "no error");
  CHECK(refused({0, -1}, "sessions[1] is -1") && refused({0, 1, 0}, "each session once"), "no error");
  CHECK(to.sessions() == before, "changed by an error");
}

void check_errors() {
  const auto model = chain_of<float>({spec_of(Cell::gru, 2, 3)}, 3);
  SessionPool<float> pool(model, 2);
  float x[8] = {1, 2, 3, 4}, y[12];
  const std::int64_t a = pool.open(), b = pool.open();
  CHECK(throws<std::runtime_error>([&] { pool.open(); }, "all 2 sessions of the pool are open"), "no error");
  std::vector<float> before(3), after(3);
  pool.step({&a, 1, 1, time_major(x, 1, 2), time_major(y, 1, 3)});
  pool.save_state(a, before.data());
  const auto refused = [&](std::vector<std::int64_t> ids, const char* text) {
    return throws<std::invalid_argument>(
        [&] {
          const std::int64_t n = static_cast<std::int64_t>(ids.size());
          pool.step({ids.data(), n, 1, time_major(x, n, 2), time_major(y, n, 3)});
        },
        text);
  };
  CHECK(refused({a, a}, "sessions[1] is 0; expected each session once"), "no error");
  CHECK(refused({a, 17}, "sessions[1] is 17; expected the id of an open session"), "no error");
  CHECK(refused({-1}, "sessions is -1") && refused({std::int64_t(1) << 62}, "expected the id"), "no error");
  CHECK(refused({}, "count is 0"), "no error");
  pool.close(b);
  CHECK(refused({a, b}, "sessions[1] is 1; expected the id of an open session"), "no error");
  CHECK(throws<std::invalid_argument>([&] { pool.close(b); }, "session is 1"), "no error");
  CHECK(pool.open() != b, "an id that is closed was given again");
  CHECK(refused({a, b}, "expected the id of an open session"), "no error");
  pool.save_state(a, after.data());
  CHECK(before == after, "an error changed a state");
  std::int64_t length = 2;
  CHECK(throws<std::invalid_argument>([&] { pool.step({&a, 1, 1, time_major(x, 1, 2), time_major(y, 1, 3), &length}); },
                                      "lengths[0] is 2"),
        "no error");
  CHECK(throws<std::invalid_argument>([&] { pool.step({&a, 1, 1, {}, time_major(y, 1, 3)}); }, "x.data"), "no error");
  CHECK(throws<std::invalid_argument>([&] { pool.step({nullptr, 1, 1, time_major(x, 1, 2), time_major(y, 1, 3)}); },
                                      "sessions is null"),
        "no error");
  CHECK(throws<std::invalid_argument>([&] { SessionPool<float>(model, 0); }, "capacity is 0"), "no error");
  CHECK(throws<std::invalid_argument>([&] { SessionPool<float>(model, std::int64_t(1) << 60); }, "capacity"), " ");
  CHECK(throws<std::invalid_argument>([&] { SessionPool<float>(model, 1, 0); }, "threads is 0"), "no error");
  CHECK(throws<std::invalid_argument>([&] { SessionPool<float>(Layer<float>(spec_of(Cell::gru, 2, 3, 1, true)), 1); },
                                      "bidirectional"),
        "no error");
}

// Threads with sessions of their own, while the pool grows and others come and go.
void check_threads() {
  const auto model = chain_of<float>({spec_of(Cell::gru, 3, 33), dense_of(33, 5)}, 3);
  SessionPool<float> pool(model, 8, 2);
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < 3; ++k)
    threads.emplace_back([&, k] {
      std::mt19937 random(k);
      for (int life = 0; life < 6; ++life) {
        pool.reserve(8 * (life + 1));
        std::vector<std::int64_t> ids = {pool.open(), pool.open()};
        std::vector<Stream<float>> streams;
        for (int i = 0; i < 2; ++i) streams.emplace_back(model);
        for (int round = 0; round < 20; ++round) {
          const std::vector<float> x = random_numbers<float>(4 * 2 * 3, random());
          float y[4 * 2 * 5], own[4 * 5];
          pool.step({ids.data(), 2, 4, time_major(x.data(), 2, 3), time_major(y, 2, 5)});
          for (int i = 0; i < 2; ++i) {
            streams[i].process({x.data() + 3 * i, 6, 0}, time_major(own, 1, 5), 4);
            bool same = true;
            for (int t = 0; t < 4; ++t) same = same && !std::memcmp(own + 5 * t, y + 10 * t + 5 * i, 5 * sizeof(float));
            if (!same) std::printf("other bits with threads\n"), std::abort();
          }
        }
        for (const std::int64_t id : ids) pool.close(id);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(pool.sessions().empty(), "sessions are left");
}

}  // namespace

int main() {
  check_bits();
  check_memory();
  check_moving();
  check_errors();
  check_threads();
  return done("session_pools");
}
