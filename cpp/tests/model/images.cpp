// Models with images, against sums written out: their layout in memory, lengths, paths; batch normalisations that
// become part of a convolution; what memory calls ask for; and that there is no stream of them.
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "gru_native/runtime.h"
#include "gru_native/session_pool.h"
#include "tests/support/chain.h"
#include "tests/support/memory.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class Kind>
OperationSpec spec_of_kind(const Kind& kind) {
  OperationSpec spec;
  spec.kind = kind;
  return spec;
}

template <class T>
std::shared_ptr<Operation<T>> operation(const OperationSpec& spec, unsigned seed) {
  auto made = std::make_shared<Operation<T>>(spec);
  randomize(*made, seed);
  return made;
}

Conv2dSpec convolution() {
  Conv2dSpec c;
  c.in_channels = 1;
  c.out_channels = 3;
  c.kernel_size = {2, 3};
  c.stride = {1, 2};
  c.padding.size = {1, 1};
  return c;
}

// y[channel][height][width] of an image [width][height], whose width is n.
double sum_at(const Conv2dSpec& c, const Operation<double>& conv, const double* x, std::int64_t row,
              std::int64_t height, std::int64_t n, std::int64_t channel, std::int64_t h, std::int64_t w) {
  const double* const weight = conv.weights()[0].data;
  double sum = conv.weights()[1].data[channel];
  for (std::int64_t i = 0; i < c.kernel_size.height; ++i)
    for (std::int64_t j = 0; j < c.kernel_size.width; ++j) {
      const std::int64_t down = h * c.stride.height + i - c.padding.size.height;
      const std::int64_t across = w * c.stride.width + j - c.padding.size.width;
      if (down < 0 || down >= height || across < 0 || across >= n) continue;
      sum += weight[(channel * c.kernel_size.height + i) * c.kernel_size.width + j] * x[across * row + down];
    }
  return sum;
}

void check_model() {
  constexpr std::int64_t features = 4, seq_len = 7, batch = 2, lengths[] = {5, 7}, out_len = 4, high = 5;
  const auto conv = operation<double>(spec_of_kind(convolution()), 1);
  const std::vector<ModelBlock<double>> paths = parallel<double>({{}, {}}, BranchSpec::concat);
  std::vector<ModelBlock<double>> blocks{operation<double>(spec_of_kind(ImageSpec{features}), 0), conv};
  blocks.insert(blocks.end(), paths.begin(), paths.end());
  const BasicModel<double> images(blocks);
  blocks.push_back(operation<double>(spec_of_kind(ColumnsSpec{}), 0));
  const BasicModel<double> model(blocks);
  CHECK(model.input_size() == features && model.output_size() == 6 * high, "sizes");
  CHECK(model.output_len(seq_len) == out_len && model.output_len(5) == 3, "steps");
  const std::vector<double> x = random_numbers<double>(static_cast<std::size_t>(seq_len * batch * features), 4);
  std::vector<double> y(static_cast<std::size_t>(out_len * batch * 6 * high), 7), rows(y);
  ModelCall<double> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.x = {x.data(), batch * features, features};
  call.y = {y.data(), batch * 6 * high, 6 * high};
  call.lengths = lengths;
  images.forward(call);
  call.y.data = rows.data();
  model.forward(call);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t w = 0; w < out_len; ++w)
      for (std::int64_t h = 0; h < high; ++h)
        for (std::int64_t c = 0; c < 6; ++c) {
          const double expected = w < model.output_len(lengths[b])
                                      ? sum_at(convolution(), *conv, x.data() + b * features, batch * features,
                                               features, lengths[b], c % 3, h, w)
                                      : 0;
          const std::int64_t at = (w * batch + b) * 6 * high;
          const double made = y[static_cast<std::size_t>(at + h * 6 + c)];  // [height][channels]
          CHECK(std::abs(made - expected) < 1e-13, "%g, expected %g", made, expected);
          CHECK(rows[static_cast<std::size_t>(at + c * high + h)] == made, "Columns has other numbers");
        }
}

void check_errors() {
  const auto refused = [](const std::vector<OperationSpec>& specs, const char* text) {
    std::vector<ModelBlock<float>> blocks;
    for (const OperationSpec& spec : specs) blocks.push_back(operation<float>(spec, 1));
    return throws<std::invalid_argument>([&] { Model{blocks}; }, text);
  };
  const OperationSpec conv = spec_of_kind(convolution());
  MaxPool2dSpec pool;
  pool.kernel_size = {5, 1};
  const OperationSpec norm = spec_of_kind(LayerNormSpec{4});
  CHECK(refused({spec_of_kind(ImageSpec{}), conv}, "such as an Image with features"), "no error");
  CHECK(refused({spec_of_kind(ImageSpec{4}), norm}, "blocks[1] reads rows; expected Columns before it"), "no error");
  CHECK(refused({norm, conv}, "blocks[1] reads images; expected an Image before it"), "no error");
  CHECK(refused({spec_of_kind(ImageSpec{4}), spec_of_kind(pool)}, "images of height 4"), "no error");
  CHECK(refused({spec_of_kind(ImageSpec{4}), conv, conv}, "blocks[2] reads 1 channels; expected 3"), "no error");
}

template <class T>
void check_folded() {
  const auto conv = operation<T>(spec_of_kind(convolution()), 1);
  BatchNorm2dSpec norm;
  norm.num_features = 3;
  const auto normalised = operation<T>(spec_of_kind(norm), 2);
  {
    auto edit = normalised->edit();
    for (T& var : edit["running_var"]) var = std::abs(var) + T(0.5);
  }
  const auto image = operation<T>(spec_of_kind(ImageSpec{4}), 0);
  const std::vector<ModelBlock<T>> blocks{image, conv, normalised};
  const BasicModel<T> model(blocks), made(folded(blocks));
  CHECK(made.blocks().size() == 2, "%zu blocks", made.blocks().size());
  CHECK(folded(std::vector<ModelBlock<T>>{normalised}).size() == 1, "folded into nothing");
  const std::vector<T> x = random_numbers<T>(5 * 4, 4);
  std::vector<T> y(static_cast<std::size_t>(3 * 15)), other(y);
  ModelCall<T> call;
  call.seq_len = 5;
  call.batch = 1;
  call.x = {x.data(), 4, 4};
  call.y = {y.data(), 15, 15};
  model.forward(call);
  call.y.data = other.data();
  made.forward(call);
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(std::abs(y[i] - other[i]) < (sizeof(T) == 4 ? 1e-5 : 1e-13), "%g, expected %g", double(other[i]),
          double(y[i]));
}

// Images have no stream, whose calls would ask for no memory. Their calls do ask for some, a few times
// for each block however large the images are, and nothing of it stays.
void check_memory() {
  constexpr std::int64_t features = 12;
  Conv2dSpec conv = convolution();
  conv.out_channels = 8;
  MaxPool2dSpec pool;
  pool.kernel_size = {2, 2};
  BatchNorm2dSpec norm;
  norm.num_features = 8;
  std::vector<ModelBlock<float>> blocks;
  for (const OperationSpec& spec : {spec_of_kind(ImageSpec{features}), spec_of_kind(conv), spec_of_kind(norm),
                                    spec_of_kind(pool), spec_of_kind(ColumnsSpec{})})
    blocks.push_back(operation<float>(spec, 1));
  const BasicModel<float> model(blocks);
  const auto requests_of_calls = [&](std::int64_t seq_len, std::int64_t batch) {
    const std::int64_t size = model.output_size();
    const std::vector<float> x = random_numbers<float>(static_cast<std::size_t>(seq_len * batch * features), 4);
    std::vector<float> y(static_cast<std::size_t>(model.output_len(seq_len) * batch * size));
    ModelCall<float> call;
    call.seq_len = seq_len;
    call.batch = batch;
    call.x = {x.data(), batch * features, features};
    call.y = {y.data(), batch * size, size};
    for (int i = 0; i < 3; ++i) model.forward(call);
    const long before = requests, kept = held;
    for (int i = 0; i < 10; ++i) model.forward(call);
    const long made = requests - before, lost = held - kept;
    CHECK(lost == 0, "%ld blocks are lost", lost);
    return made;
  };
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (const std::int64_t scale : {1, 10, 40}) {
      const long made = requests_of_calls(40 * scale, scale);
      CHECK(made <= 10 * 3 * static_cast<long>(blocks.size()), "%ld requests for memory in ten calls", made);
    }
  }
}

void check_streams() {
  const auto model = std::make_shared<const Model>(std::vector<ModelBlock<float>>{
      operation<float>(spec_of_kind(ImageSpec{4}), 0), operation<float>(spec_of_kind(convolution()), 1),
      operation<float>(spec_of_kind(ColumnsSpec{}), 0)});
  const char* const text = "a Image has no stream: images are computed as a whole; expected a chain without them";
  CHECK(throws<std::invalid_argument>([&] { Stream<float>{model}; }, text), "no error");
  CHECK(throws<std::invalid_argument>([&] { SessionPool<float>(model, 2); }, text), "no error");
}

}  // namespace

int main() {
  check_model();
  check_memory();
  check_streams();
  check_errors();
  check_folded<float>();
  check_folded<double>();
  std::printf("%d checks\n", checks);
  return 0;
}
