// The cells as a C++ programmer would write them by hand: Eigen expressions whose sizes the compiler knows, with
// Eigen's own tanh and logistic. One input. Weights are PyTorch's, row by row.
#pragma once
#include <Eigen/Core>

namespace by_hand {

template <int rows, int columns>
using Matrix = Eigen::Matrix<float, rows, columns>;
template <int rows, int columns>
using Rows = Eigen::Matrix<float, rows, columns, Eigen::RowMajor>;
template <int n>
using Vector = Eigen::Matrix<float, n, 1>;

template <int H>
class Lstm {
 public:
  static constexpr int gates = 4;
  Lstm(const float* w, const float* u, const float* b_w, const float* b_u)
      : w_(Eigen::Map<const Vector<4 * H>>(w)),
        u_(Eigen::Map<const Rows<4 * H, H>>(u)),
        b_(Eigen::Map<const Vector<4 * H>>(b_w) + Eigen::Map<const Vector<4 * H>>(b_u)) {}

  const Vector<H>& step(float x) {
    Vector<4 * H> a = b_ + w_ * x;
    a.noalias() += u_ * h_;
    const Eigen::Array<float, 2 * H, 1> i_f = a.template head<2 * H>().array().logistic();
    const Eigen::Array<float, H, 1> g = a.template segment<H>(2 * H).array().tanh();
    const Eigen::Array<float, H, 1> o = a.template tail<H>().array().logistic();
    c_ = i_f.template tail<H>() * c_ + i_f.template head<H>() * g;
    h_ = (o * c_.tanh()).matrix();
    return h_;
  }

 private:
  const Vector<4 * H> w_;
  const Matrix<4 * H, H> u_;
  const Vector<4 * H> b_;
  Vector<H> h_ = Vector<H>::Zero();
  Eigen::Array<float, H, 1> c_ = Eigen::Array<float, H, 1>::Zero();
};

template <int H>
class Gru {
 public:
  static constexpr int gates = 3;
  Gru(const float* w, const float* u, const float* b_w, const float* b_u)
      : w_(Eigen::Map<const Vector<3 * H>>(w)),
        u_(Eigen::Map<const Rows<3 * H, H>>(u)),
        b_w_(Eigen::Map<const Vector<3 * H>>(b_w)),
        b_u_(Eigen::Map<const Vector<3 * H>>(b_u)) {}

  const Vector<H>& step(float x) {
    const Vector<3 * H> a = b_w_ + w_ * x;
    Vector<3 * H> s = b_u_;
    s.noalias() += u_ * h_;
    const Eigen::Array<float, 2 * H, 1> r_z = (a.template head<2 * H>() + s.template head<2 * H>()).array().logistic();
    const Eigen::Array<float, H, 1> n =
        (a.template tail<H>().array() + r_z.template head<H>() * s.template tail<H>().array()).tanh();
    h_ = (n + r_z.template tail<H>() * (h_.array() - n)).matrix();
    return h_;
  }

 private:
  const Vector<3 * H> w_;
  const Matrix<3 * H, H> u_;
  const Vector<3 * H> b_w_, b_u_;
  Vector<H> h_ = Vector<H>::Zero();
};

// One output.
template <int H>
class Head {
 public:
  Head(const float* w, const float* b) : w_(Eigen::Map<const Vector<H>>(w)), b_(*b) {}
  float step(const Vector<H>& h) const { return w_.dot(h) + b_; }

 private:
  const Vector<H> w_;
  const float b_;
};

}  // namespace by_hand
