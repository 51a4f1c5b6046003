// Edits of several layers that end together: calls and streams of a model have all of them or none.
#include <atomic>
#include <thread>

#include "gru_native/edit.h"
#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

constexpr std::int64_t seq_len = 4, inputs = 3, outputs = 5;

struct Network {
  std::shared_ptr<Layer<float>> lstm = std::make_shared<Layer<float>>(spec_of(Cell::lstm, inputs, 20));
  std::shared_ptr<Dense<float>> dense = std::make_shared<Dense<float>>(dense_of(20, outputs));
  std::shared_ptr<const Model> model = std::make_shared<const Model>(std::vector<ModelBlock<float>>{
      std::shared_ptr<const Layer<float>>(lstm), std::shared_ptr<const Dense<float>>(dense)});

  // Weights that depend on `kind`, as one edit.
  void become(unsigned kind) const {
    std::vector<WeightEdit<float>> edits;
    edits.push_back(lstm->edit());
    edits.push_back(dense->edit());
    for (const WeightEdit<float>& edit : edits)
      for (const Weight<float>& w : edit) {
        const auto values = random_numbers<float>(static_cast<std::size_t>(w.size()), kind, 0.4);
        std::copy(values.begin(), values.end(), w.data);
      }
    end_together(std::move(edits));
  }
};

// NOLINTNEXTLINE(bugprone-throwing-static-initialization)
const std::vector<float> x = random_numbers<float>(seq_len * inputs, 3);

std::vector<float> call(const Network& n) {
  std::vector<float> y(seq_len * outputs);
  ModelCall<float> call;
  call.seq_len = seq_len;
  call.batch = 1;
  call.x = {x.data(), inputs, inputs};
  call.y = {y.data(), outputs, outputs};
  n.model->forward(call);
  return y;
}

std::vector<float> stream(const Network& n) {
  std::vector<float> y(seq_len * outputs);
  Stream<float>(n.model).process(x.data(), y.data(), seq_len);
  return y;
}

void check_together() {
  const Network n;
  std::vector<std::vector<float>> expected;
  for (const unsigned kind : {0U, 1U, 2U}) {
    n.become(kind);
    expected.push_back(call(n));
    CHECK(stream(n) == expected.back(), "the stream has other weights");
    CHECK(kind == 0 || expected[kind] != expected[kind - 1], "the weights make no difference");
  }
  std::atomic<bool> done{false};
  std::thread editor([&] {
    for (unsigned i = 0; !done; ++i) n.become(i % 3);
  });
  for (int i = 0; i < 2000; ++i) {
    const std::vector<float> y = i % 2 ? stream(n) : call(n);
    CHECK(y == expected[0] || y == expected[1] || y == expected[2], "call %d has weights of two edits", i);
  }
  done = true;
  editor.join();
}

// Both edits of one layer, and none at all.
void check_corners() {
  const Network n;
  end_together(std::vector<WeightEdit<float>>());
  std::vector<WeightEdit<float>> edits;
  edits.push_back(n.dense->edit());
  edits.push_back(n.dense->edit());
  for (float& w : edits[0][0]) w = 1;
  for (float& w : edits[1][1]) w = 2;
  end_together(std::move(edits));
  const std::vector<float> y = call(n);
  for (const float value : y) CHECK(value == 2, "%g", static_cast<double>(value));  // h is 0
}

}  // namespace

int main() {
  check_together();
  check_corners();
  return done("edits");
}
