// The thread team under load: many callers, changing sizes, fork. Worth most under the thread sanitizer.
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/problem.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool follows_fork = false;  // the thread sanitizer loses sight of threads made after a fork
#else
constexpr bool follows_fork = true;
#endif

void many_callers() {
  RandomCall<float> p(spec_of(Cell::lstm, 40, 128), 6, 5, false, 3);
  p.layer.forward(p.call());
  const std::vector<float> expected = p.y;
  std::vector<std::thread> callers;
  std::vector<int> wrong(4, 0);
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      std::vector<float> y(expected.size()), h(p.h.size()), c(p.c.size());
      ForwardCall<float> call = p.call();
      call.y.data = y.data();
      call.final = {h.data(), c.data()};
      for (int n = 0; n < 50; ++n) {
        p.layer.forward(call);
        wrong[static_cast<std::size_t>(i)] += y != expected;
      }
    });
  std::thread resizer([] {
    for (int n = 0; n < 100; ++n) set_num_threads(1 + n % 4);
  });
  for (std::thread& t : callers) t.join();
  resizer.join();
  for (const int n : wrong) CHECK(n == 0, "%d wrong results", n);
}

void weights_change_meanwhile() {
  RandomCall<float> p(spec_of(Cell::gru, 8, 64), 5, 2, false, 4);
  std::thread writer([&] {
    for (int n = 0; n < 20; ++n) pack_anew(p.layer);
  });
  for (int n = 0; n < 20; ++n) p.layer.forward(p.call());
  writer.join();
  CHECK(true, " ");
}

void after_fork() {
  set_num_threads(2);
  RandomCall<float> p(spec_of(Cell::lstm, 64, 128), 6, 5, false, 6);
  p.layer.forward(p.call());
  const std::vector<float> expected = p.y;
  const pid_t child = fork();
  if (child == 0) {
    p.layer.forward(p.call());
    _exit(p.y == expected ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with %d",
        status);
  p.layer.forward(p.call());
  CHECK(p.y == expected, "parent differs after fork");
}

}  // namespace

int main() {
  set_num_threads(3);
  many_callers();
  weights_change_meanwhile();
  if (follows_fork) after_fork();
  return done("team");
}
