// What owns something moves, and computes on where it was moved to.
#include <type_traits>

#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

template <class... Handles>
constexpr bool only_move =
    ((std::is_nothrow_move_constructible_v<Handles> && std::is_nothrow_move_assignable_v<Handles> &&
      !std::is_copy_constructible_v<Handles> && !std::is_copy_assignable_v<Handles>) &&
     ...);
static_assert(only_move<Layer<float>, Dense<float>, TreeLayer<float>, GatedGraph<float>, GatedRecursiveConv<float>,
                        GraphReadout<float>, OutputRnn<float>>);
static_assert(only_move<Tape<float>, TreeTape<float>, GraphTape<float>, GrConvTape<float>, ReadoutTape<float>,
                        OutputRnnTape<float>>);
static_assert(only_move<Model, Stream<float>, Rtrl<float>>);

void check_moves() {
  RandomCall<float> p(spec_of(Cell::lstm, 3, 5), 4, 2, false, 1);
  p.layer.forward(p.call());
  const std::vector<float> expected = p.y;
  Layer<float> other(spec_of(Cell::gru, 1, 1));
  other = std::move(p.layer);
  p.layer = std::move(other);
  std::fill(p.y.begin(), p.y.end(), 0.f);
  p.layer.forward(p.call());
  CHECK(p.y == expected, "other bits after two moves");

  const auto layer = std::make_shared<const Layer<float>>(spec_of(Cell::gru, 3, 4));
  Rtrl<float> rtrl(layer, 2), moved(std::move(rtrl));
  CHECK(moved.batch() == 2 && moved.spec().hidden_size == 4, "RTRL has moved");
  Model model({layer}), home(std::move(model));
  CHECK(home.blocks().size() == 1 && home.output_size() == 4, "the model has moved");
}

}  // namespace

int main() {
  check_moves();
  return done("handles");
}
