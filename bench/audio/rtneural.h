// The same with RTNeural's layers (github.com/jatinchowdhury18/RTNeural), whose sizes are template arguments.
#pragma once
#include <RTNeural.h>

#include <array>
#include <vector>

namespace rtneural {

using Rows = std::vector<std::vector<float>>;

// [columns][rows], gates in that order, from a matrix of `gates` blocks of `hidden` rows.
inline Rows turned(const float* w, int gates, int hidden, int columns, const std::array<int, 4>& order) {
  Rows made(static_cast<std::size_t>(columns), std::vector<float>(static_cast<std::size_t>(gates * hidden)));
  for (int gate = 0; gate < gates; ++gate)
    for (int unit = 0; unit < hidden; ++unit)
      for (int k = 0; k < columns; ++k)
        made[static_cast<std::size_t>(k)][static_cast<std::size_t>(gate * hidden + unit)] =
            w[(order[static_cast<std::size_t>(gate)] * hidden + unit) * columns + k];
  return made;
}

template <int H>
class Lstm : public RTNeural::LSTMLayerT<float, 1, H> {
 public:
  Lstm(const float* w, const float* u, const float* b_w, const float* b_u) {
    const std::array<int, 4> order{0, 1, 2, 3};
    std::vector<float> bias(4 * H);
    for (std::size_t k = 0; k < bias.size(); ++k) bias[k] = b_w[k] + b_u[k];
    this->setWVals(turned(w, 4, H, 1, order));
    this->setUVals(turned(u, 4, H, H, order));
    this->setBVals(bias);
    this->reset();
  }
  const auto& step(float x) {
    this->forward(Eigen::Matrix<float, 1, 1>(x));
    return this->outs;
  }
};

template <int H>
class Gru : public RTNeural::GRULayerT<float, 1, H> {
 public:
  Gru(const float* w, const float* u, const float* b_w, const float* b_u) {
    const std::array<int, 4> order{1, 0, 2, 0};  // z r n
    this->setWVals(turned(w, 3, H, 1, order));
    this->setUVals(turned(u, 3, H, H, order));
    this->setBVals({turned(b_w, 3, H, 1, order)[0], turned(b_u, 3, H, 1, order)[0]});
    this->reset();
  }
  const auto& step(float x) {
    this->forward(Eigen::Matrix<float, 1, 1>(x));
    return this->outs;
  }
};

template <int H>
class Head : public RTNeural::DenseT<float, H, 1> {
 public:
  Head(const float* w, const float* b) {
    this->setWeights(Rows{std::vector<float>(w, w + H)});
    this->setBias(b);
  }
  template <class V>
  float step(const V& h) {
    this->forward(h);
    return this->outs(0);
  }
};

}  // namespace rtneural
