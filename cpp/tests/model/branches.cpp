// Models that branch, against their blocks called one by one; their streams; and a batch normalisation's statistics.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "tests/support/chain.h"
#include "tests/support/memory.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class T>
std::shared_ptr<const Operation<T>> operation(OperationSpec spec, unsigned seed) {
  auto made = std::make_shared<Operation<T>>(spec);
  randomize(*made, seed);
  return made;
}

template <class T>
std::vector<T> run(const ModelBlock<T>& block, const std::vector<T>& x, std::int64_t steps, std::int64_t in) {
  const BasicModel<T> model({block});
  std::vector<T> y(static_cast<std::size_t>(steps * model.output_size()));
  ModelCall<T> call;
  call.seq_len = steps;
  call.batch = 1;
  call.x = {x.data(), in, in};
  call.y = {y.data(), model.output_size(), model.output_size()};
  model.forward(call);
  return y;
}

template <class T>
void check_paths() {
  const std::int64_t seq_len = 7, batch = 3, lengths[] = {7, 0, 4};
  const auto dense = chain_of<T>({dense_of(3, 3)}, 1)->blocks()[0];
  const auto gru = chain_of<T>({spec_of(Cell::gru, 3, 4)}, 2)->blocks()[0];
  Conv1dSpec taps;
  taps.in_channels = 3;
  taps.out_channels = taps.kernel_size = 2;
  OperationSpec spec;
  spec.kind = taps;
  const ModelBlock<T> conv = operation<T>(spec, 3);
  std::vector<ModelBlock<T>> blocks = parallel<T>({{}, {dense}}, BranchSpec::add);
  for (const ModelBlock<T>& block :
       parallel<T>({{gru}, {conv}, {}, parallel<T>({{}, {dense}}, BranchSpec::multiply)}, BranchSpec::concat))
    blocks.push_back(block);
  const auto model = std::make_shared<const BasicModel<T>>(blocks);
  CHECK(model->input_size() == 3 && model->output_size() == 12, "sizes");
  const std::vector<T> x = random_numbers<T>(static_cast<std::size_t>(seq_len * batch * 3), 4);
  std::vector<T> y(static_cast<std::size_t>(seq_len * batch * 12), T(7));
  ModelCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.x = {x.data(), batch * 3, 3};
  call.y = {y.data(), batch * 12, 12};
  call.lengths = lengths;
  model->forward(call);
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t n = lengths[b];
    std::vector<T> own;
    for (std::int64_t t = 0; t < n; ++t)
      own.insert(own.end(), x.begin() + (t * batch + b) * 3, x.begin() + (t * batch + b) * 3 + 3);
    if (n > 0) {
      const std::vector<T> more = run<T>(dense, own, n, 3);
      for (std::size_t k = 0; k < own.size(); ++k) own[k] += more[k];
      const std::vector<T> h = run<T>(gru, own, n, 3), c = run<T>(conv, own, n, 3), d = run<T>(dense, own, n, 3);
      for (std::int64_t t = 0; t < n; ++t) {
        const T* const at = y.data() + (t * batch + b) * 12;
        CHECK(std::memcmp(at, h.data() + t * 4, 4 * sizeof(T)) == 0, "the first path");
        CHECK(std::memcmp(at + 4, c.data() + t * 2, 2 * sizeof(T)) == 0, "the second path");
        CHECK(std::memcmp(at + 6, own.data() + t * 3, 3 * sizeof(T)) == 0, "the empty path");
        for (std::int64_t k = 0; k < 3; ++k)
          CHECK(at[9 + k] == own[static_cast<std::size_t>(t * 3 + k)] * d[static_cast<std::size_t>(t * 3 + k)],
                "a path in a path");
      }
    }
    for (std::int64_t t = n; t < seq_len; ++t)
      for (std::int64_t k = 0; k < 12; ++k)
        CHECK(y[static_cast<std::size_t>((t * batch + b) * 12 + k)] == 0, "past end");
  }

  call.lengths = nullptr;
  model->forward(call);
  Stream<T> stream(model, batch);
  std::vector<T> streamed(y.size());
  const long before = requests;
  stream.process(x.data(), streamed.data(), 3);
  stream.process(x.data() + 3 * batch * 3, streamed.data() + 3 * batch * 12, seq_len - 3);
  CHECK(requests == before, "a stream asked for memory");
  CHECK(std::memcmp(y.data(), streamed.data(), y.size() * sizeof(T)) == 0, "other bits of a stream");
}

void check_errors() {
  const auto dense = chain_of<float>({dense_of(3, 3)}, 1)->blocks()[0];
  OperationSpec pool;
  pool.kind = MaxPool1dSpec{2};
  const ModelBlock<float> pooled = operation<float>(pool, 1);
  const auto refused = [](const auto& f, const char* text) { return throws<std::invalid_argument>(f, text); };
  CHECK(refused([] { parallel<float>({}, BranchSpec::add); }, "paths is empty"), "no error");
  CHECK(refused([&] { parallel<float>({{dense}}, BranchSpec::next); }, "join is fork or next"), "no error");
  std::vector<ModelBlock<float>> blocks = parallel<float>({{dense}, {dense}}, BranchSpec::concat);
  blocks.pop_back();
  CHECK(refused([&] { Model{blocks}; }, "expected a join behind it"), "no error");
  CHECK(refused([&] { Model(std::vector<ModelBlock<float>>(blocks.begin() + 1, blocks.end())); }, ""), "no error");
  blocks = parallel<float>({{dense}, {dense, pooled}}, BranchSpec::add);
  const auto uneven = std::make_shared<const Model>(blocks);
  CHECK(refused([&] { uneven->output_len(4); }, "joins paths of 4 and 2 steps"), "no error");
  CHECK(refused([&] { Stream<float> stream(uneven); }, "a MaxPool1d that changes steps"), "no error");
  float x[12] = {}, y[12] = {1};
  ModelCall<float> call;
  call.seq_len = 4;
  call.batch = 1;
  call.x = {x, 3, 3};
  call.y = {y, 3, 3};
  CHECK(refused([&] { uneven->forward(call); }, "steps") && y[0] == 1, "no error, or something written");
}

void check_statistics() {
  OperationSpec spec;
  spec.kind = BatchNorm1dSpec{2, 1e-5, 0.25};
  Operation<double> norm(spec);
  const double x[] = {1, 10, 3, 10, 8, 16};
  double y[6], mean[2], var[2];
  OperationForwardCall<double> call;
  call.seq_len = 3;
  call.batch = 1;
  call.x = {x, 2, 2};
  call.y = {y, 2, 2};
  const auto plain = norm.forward_with_tape(call);
  CHECK(throws<std::invalid_argument>([&] { norm.statistics(*plain, mean, var); }, "of a training call"), "no error");
  call.training = true;
  const auto tape = norm.forward_with_tape(call);
  norm.statistics(*tape, mean, var);  // means 4 and 12, variances 13 and 12
  CHECK(mean[0] == 1 && mean[1] == 3 && var[0] == 3.25 && var[1] == 3, "%g %g %g %g", mean[0], mean[1], var[0], var[1]);
  {
    auto edit = norm.edit();
    std::copy_n(mean, 2, edit["running_mean"].data);
    std::copy_n(var, 2, edit["running_var"].data);
  }
  norm.statistics(*tape, mean, var);
  CHECK(mean[0] == 1.75 && var[1] == 5.25, "%g %g", mean[0], var[1]);
  CHECK(throws<std::invalid_argument>([&] { Operation<double>(spec).statistics(*tape, mean, var); }, "another"), " ");
}

}  // namespace

int main() {
  check_paths<float>();
  check_paths<double>();
  check_errors();
  check_statistics();
  std::printf("%d checks\n", checks);
  return 0;
}
