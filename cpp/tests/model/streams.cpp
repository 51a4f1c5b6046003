// A stream gives the bits of the whole sequence, however it is cut, for layers and for chains with dense heads.
#include <cstring>
#include <stdexcept>
#include <string>

#include "engine/model/stream_blocks.h"
#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class T>
void check(const std::shared_ptr<const BasicModel<T>>& model, std::int64_t batch, std::int64_t seq_len) {
  const std::int64_t in = batch * model->input_size(), out = batch * model->output_size();
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const std::vector<T> x = random_numbers<T>(size(seq_len * in), 3);
  const std::vector<T> initial = random_numbers<T>(size(model->state_size(batch)), 4);
  std::vector<T> expected(size(seq_len * out)), final(initial.size()), y(expected.size()), state(initial.size());
  ModelCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.x = {x.data(), in, model->input_size()};
  call.initial = initial.data();
  call.y = {expected.data(), out, model->output_size()};
  call.final = final.data();
  model->forward(call);

  Stream stream(model, batch);
  CHECK(size(stream.state_size()) == initial.size(), "%d", static_cast<int>(stream.state_size()));
  CHECK(stream.input_size() * batch == in && stream.output_size() * batch == out && stream.batch() == batch, " ");
  for (const std::int64_t most : {std::int64_t(1), std::int64_t(2), std::int64_t(5), seq_len})
    for (const bool strided : {false, true}) {
      std::fill(y.begin(), y.end(), T(0));
      stream.load_state(initial.data());
      for (std::int64_t t = 0, n = most == seq_len ? most : 1; t < seq_len; t += n, n = n % most + 1) {
        n = std::min(n, seq_len - t);
        if (strided) stream.process({x.data() + t * in, in, in / batch}, {y.data() + t * out, out, out / batch}, n);
        else stream.process(x.data() + t * in, y.data() + t * out, size(n));
      }
      CHECK(y == expected, "other bits in chunks of up to %d", static_cast<int>(most));
      stream.save_state(state.data());
      CHECK(state == final, "other final state");
    }

  // Another stream on from a saved state; rows of x that lie unevenly.
  Stream other(model, batch, 2);
  other.load_state(initial.data());
  other.process(x.data(), y.data(), 1);
  other.save_state(state.data());
  stream.load_state(state.data());
  std::vector<T> by_rows(x.size());
  const std::int64_t columns = in / batch;
  for (std::int64_t t = 0; t < seq_len; ++t)
    for (std::int64_t b = 0; b < batch; ++b)
      std::copy_n(x.data() + t * in + b * columns, columns, by_rows.data() + (b * seq_len + t) * columns);
  stream.process({by_rows.data() + columns, columns, seq_len * columns}, {y.data() + out, out, out / batch},
                 seq_len - 1);
  CHECK(y == expected, "other bits from a saved state");

  // A copy goes on from where the stream is, and on its own; so does one that takes another's place.
  stream.load_state(state.data());
  Stream twin(stream), third(model, 1);
  stream.reset();
  third = twin;
  for (Stream<T>* copy : {&twin, &third}) {
    std::fill(y.begin() + out, y.end(), T(0));
    copy->process(x.data() + in, y.data() + out, seq_len - 1);
    CHECK(y == expected, "other bits of a copy");
  }

  // Zeros at the start, after reset and by hand; prewarm is zeros run in.
  const std::vector<T> nothing(size(300 * in));
  std::vector<T> unused(size(300 * out)), a(initial.size()), b(initial.size());
  stream.reset();
  stream.save_state(a.data());
  CHECK(std::all_of(a.begin(), a.end(), [](T v) { return v == 0; }), "state after reset");
  stream.process(nothing.data(), unused.data(), 300);
  stream.save_state(a.data());
  third = std::move(other);
  other = Stream(model, batch);
  other.prewarm(300);
  other.save_state(b.data());
  CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0,
        "prewarm is not 300 zeros");  // relu may be NaN by now
  third.reset();
  third.process(nothing.data(), unused.data(), 0);
  third.save_state(b.data());
  CHECK(std::all_of(b.begin(), b.end(), [](T v) { return v == 0; }), "0 frames changed the state");
}

// The weights of a stream as layers anew: what they compute has the same bits.
template <class T>
void check_blocks(const std::vector<AnySpec>& specs) {
  const auto model = chain_of<T>(specs, 11);
  const std::int64_t in = model->input_size(), out = model->output_size();
  Stream<T> stream(model);
  std::vector<ModelBlock<T>> blocks;
  for (const NewBlock<T>& block : blocks_of(stream))
    std::visit([&](const auto& layer) { blocks.push_back(ModelBlock<T>(layer)); }, block);
  Stream<T> again(std::make_shared<const BasicModel<T>>(blocks));
  const std::vector<T> x = random_numbers<T>(static_cast<std::size_t>(9 * in), 3);
  std::vector<T> y(static_cast<std::size_t>(9 * out)), z(y.size());
  stream.process(x.data(), y.data(), 9);
  again.process(x.data(), z.data(), 9);
  CHECK(std::memcmp(y.data(), z.data(), y.size() * sizeof(T)) == 0, "other bits of layers made anew");  // relu: NaN
}

void check_errors() {
  CHECK(throws<std::invalid_argument>([] { Stream<float>(Layer<float>(spec_of(Cell::gru, 2, 3, 1, true)), 1); },
                                      "bidirectional"),
        "no error");
  CHECK(throws<std::invalid_argument>(
            [] { Stream<float>(Layer<float>(spec_of(Cell::gru, 2, 3)), std::int64_t(1) << 60); }, "batch_size"),
        "no error");
  const Layer<float> layer(spec_of(Cell::gru, 2, 3));
  CHECK(throws<std::invalid_argument>([&] { Stream<float>(layer, 0); }, "batch_size is 0"), "no error");
  CHECK(throws<std::invalid_argument>([&] { Stream<float>(layer, 1, 0); }, "threads is 0"), "no error");
  CHECK(throws<std::invalid_argument>([&] { Stream<float>(std::shared_ptr<const Model>()); }, "model is null"), " ");
  Stream<float> stream(layer, 2);
  float x[12] = {}, y[18] = {};
  const auto refused = [&](Sequences<const float> in, Sequences<float> out, std::int64_t n, const char* text) {
    return throws<std::invalid_argument>([&] { stream.process(in, out, n); }, text);
  };
  CHECK(refused({nullptr, 4, 2}, {y, 6, 3}, 1, "x.data is null"), "no error");
  CHECK(refused({x, 4, 2}, {nullptr, 6, 3}, 1, "y.data is null"), "no error");
  CHECK(refused({x, 4, 2}, {y, 6, 3}, 0, "seq_len is 0"), "no error");
  CHECK(refused({x, -4, 2}, {y, 6, 3}, 3, "x.step_stride is -4"), "no error");
  CHECK(refused({x, 4, 2}, {y, 6, 2}, 3, "y.batch_stride is 2"), "no error");

  const auto chain = [](std::vector<ModelBlock<float>> blocks, const char* text) {
    return throws<std::invalid_argument>([&] { Model model(std::move(blocks)); }, text);
  };
  const auto gru = std::make_shared<const Layer<float>>(spec_of(Cell::gru, 2, 3));
  const Model model({gru});
  CHECK(model.state_size(7) == 21, "%d", static_cast<int>(model.state_size(7)));
  const auto state_size = [&](std::int64_t batch, const char* text) {
    return throws<std::invalid_argument>([&] { model.state_size(batch); }, text);
  };
  CHECK(state_size(0, "batch is 0") && state_size(-1, "batch is -1"), "no error");
  CHECK(state_size(std::int64_t(1) << 62, "batch=4611686018427387904: the states would be larger"), "no error");
  CHECK(chain({}, "blocks is empty"), "no error");
  CHECK(chain({std::shared_ptr<const Layer<float>>()}, "blocks[0] is null"), "no error");
  CHECK(chain({gru, gru}, "blocks[1] has input_size 2; expected 3"), "no error");
}

}  // namespace

int main() {
  for (const std::int64_t hidden : {1, 8, 40})
    for (const std::int64_t layers : {1, 3})
      for (const LayerSpec& spec : all_cells(3, hidden, layers, false)) {
        check_blocks<float>({spec, dense_of(spec.output_size(), 18)});
        check_blocks<double>({dense_of(2, 3, DenseActivation::relu, false), spec});
        check(chain_of<float>({spec}, 5), 1, 23);
        check(chain_of<float>({spec}, 5), 3, 23);
        check(chain_of<double>({spec}, 6), 2, 23);
        check(chain_of<float>({spec, dense_of(spec.output_size(), 2, DenseActivation::log_softmax)}, 7), 1, 23);
        check(chain_of<double>({dense_of(5, 3, DenseActivation::relu), spec, dense_of(spec.output_size(), 19),
                                spec_of(Cell::gru, 19, 4)},
                               8),
              2, 23);
      }
  check(chain_of<float>({spec_of(Cell::lstm, 1, 16), dense_of(16, 1)}, 9), 1, 700);  // more than one window
  check(chain_of<float>({spec_of(Cell::lstm, 2, 96), dense_of(96, 90)}, 9), 9, 50);
  {
    auto layer = std::make_unique<Layer<float>>(spec_of(Cell::gru, 2, 3));
    Stream<float> stream(*layer);
    layer.reset();
    float x[2] = {1, 2}, y[3] = {7, 7, 7};
    stream.process(x, y, 1);
    CHECK(y[0] == 0 && y[1] == 0 && y[2] == 0, "a stream without its layer");
  }
  check_errors();
  return done("streams");
}
