// A model at audio rate: a thread that has a block of 64 frames to deliver every 1.333 ms, beside one that is busy.
//
//   live [--seconds 5] [--model FILE]
//
// A block's time is that of Stream::process. A miss is a block that was not ready when the next one was due, for
// whatever reason: also if the system woke the thread too late.
#include <gru_native/gru_native.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using gru_native::Model;

constexpr std::size_t frames = 64;
constexpr double rate = 48000, deadline = frames / rate * 1e9;  // nanoseconds, as all times here

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

void sleep_until(double when) {
  timespec t;
  t.tv_sec = static_cast<time_t>(when / 1e9);
  t.tv_nsec = static_cast<long>(when - static_cast<double>(t.tv_sec) * 1e9);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
  }
}

std::vector<float> noise(std::int64_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> number(-0.5f, 0.5f);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = number(random);
  return values;
}

// LSTM(1, 20) and Dense(20, 1), the size of a small amplifier model.
std::shared_ptr<const Model> some_model() {
  gru_native::LayerSpec spec;
  spec.cell = gru_native::Cell::lstm;
  spec.input_size = 1;
  spec.hidden_size = 20;
  const auto lstm = std::make_shared<gru_native::Layer<float>>(spec);
  const auto dense = std::make_shared<gru_native::Dense<float>>(gru_native::DenseSpec{20, 1});
  const auto randomize = [](auto& layer) {
    for (const auto& weight : layer.edit()) {
      const std::vector<float> values = noise(weight.size());
      std::copy(values.begin(), values.end(), weight.begin());
    }
  };
  randomize(*lstm);
  randomize(*dense);
  return std::make_shared<const Model>(std::vector<gru_native::ModelBlock<float>>{lstm, dense});
}

// Whole sequences through the same model: memory, caches, locks, all that the audio thread must not wait for.
void keep_busy(const Model& model, const std::atomic<bool>& stop) {
  while (!stop) {
    const std::vector<float> x = noise(2000 * model.input_size());
    std::vector<float> y(static_cast<std::size_t>(2000 * model.output_size()));
    gru_native::ModelCall<float> call;
    call.seq_len = 2000;
    call.batch = 1;
    call.x = {x.data(), model.input_size(), model.input_size()};
    call.y = {y.data(), model.output_size(), model.output_size()};
    model.forward(call);
  }
}

struct Times {
  std::string priority;
  std::vector<double> blocks;
  std::size_t misses = 0;
};

void play(gru_native::Stream<float>& stream, Times& times) {
  const sched_param wanted{sched_get_priority_min(SCHED_FIFO)};
  const int refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted);
  times.priority = refused ? std::string("ordinary priority (real-time priority: ") + std::strerror(refused) + ")"
                           : "real-time priority";
  const std::vector<float> in = noise(static_cast<std::int64_t>(frames) * stream.input_size());
  std::vector<float> out(frames * static_cast<std::size_t>(stream.output_size()));
  stream.prewarm(4800);
  double due = now() + deadline;
  for (double& block : times.blocks) {
    sleep_until(due);
    const double begin = now();
    stream.process(in.data(), out.data(), frames);
    const double end = now();
    block = end - begin;
    due += deadline;
    if (end > due) {  // the next block is one whose time has not begun yet
      ++times.misses;
      due += deadline * std::ceil((end - due) / deadline);
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  double seconds = 5;
  std::shared_ptr<const Model> model;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--seconds" && std::atof(value.c_str()) > 0) {
      seconds = std::atof(value.c_str());
    } else if (option == "--model" && !value.empty()) {
      model = Model::load(value);
    } else {
      throw std::invalid_argument("\"" + option + " " + value + "\"; expected --seconds NUMBER or --model FILE");
    }
  }
  if (!model) model = some_model();
  gru_native::set_num_threads(1);  // for the busy thread: one it is

  gru_native::Stream stream(model);
  Times times;
  times.blocks.resize(static_cast<std::size_t>(std::ceil(seconds * 1e9 / deadline)));
  std::atomic<bool> stop{false};
  std::thread busy([&] { keep_busy(*model, stop); });
  std::thread audio([&] { play(stream, times); });
  audio.join();
  stop = true;
  busy.join();

  std::vector<double>& blocks = times.blocks;
  std::sort(blocks.begin(), blocks.end());
  double sum = 0;
  for (const double block : blocks) sum += block;
  const double n = static_cast<double>(blocks.size());
  const auto nearly_all = static_cast<std::size_t>(std::ceil(0.999 * n)) - 1;
  std::printf("%zu blocks of %zu frames at %.0f Hz, %s, %s\n", blocks.size(), frames, rate, times.priority.c_str(),
              gru_native::active_isa().c_str());
  std::printf("deadline %.1f us, worst block %.1f us, 99.9th percentile %.1f us\n", deadline / 1e3, blocks.back() / 1e3,
              blocks[nearly_all] / 1e3);
  std::printf("misses %zu, real-time factor %.4f\n", times.misses, sum / (n * deadline));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "live: %s\n", error.what());
  return 1;
}
