// The public API through the shared library: what a program sees that has nothing but the headers.
#include <gru_native/gru_native.h>

#include <cstdio>

int main() {
  gru_native::LayerSpec spec;
  spec.cell = gru_native::Cell::gru;
  spec.input_size = 3;
  spec.hidden_size = 5;
  gru_native::Layer<float> layer(spec);
  for (const auto& weight : layer.edit())
    for (std::int64_t i = 0; i < weight.shape[0]; ++i) weight[i] = 0.1f * static_cast<float>(i % 7);
  gru_native::Stream<float> stream(layer, 1);
  float x[3] = {1, -2, 3}, y[5] = {};
  stream.process({x, 3, 3}, {y, 5, 5}, 1);
  std::printf("%s, %d threads: y[0] = %g\n", gru_native::active_isa().c_str(), gru_native::get_num_threads(), y[0]);
  return y[0] != 0 && y[0] > -1 && y[0] < 1 ? 0 : 1;
}
