// What owns something moves, and computes on where it was moved to; and weights change by edits alone.
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
static_assert(only_move<Tape<float>, DenseTape<float>, TreeTape<float>, GraphTape<float>, GrConvTape<float>,
                        ReadoutTape<float>, OutputRnnTape<float>>);
static_assert(only_move<Model, Rtrl<float>>);
static_assert(std::is_nothrow_move_constructible_v<Stream<float>> && std::is_copy_constructible_v<Stream<float>>);

// No bool beside an integer that could be taken for one another: the call says both by name.
template <class L, class... Arguments>
auto takes(int) -> decltype(std::declval<const L&>().forward(std::declval<Arguments>()...), std::true_type());
template <class L, class... Arguments>
std::false_type takes(...);
static_assert(decltype(takes<Layer<float>, ForwardCall<float>>(0))::value);
static_assert(!decltype(takes<Layer<float>, ForwardCall<float>, bool, int>(0))::value);

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

template <class L>
constexpr bool gives_nothing_writable =
    std::is_const_v<std::remove_reference_t<decltype(std::declval<L&>().weights()[0][0])>>;
static_assert(gives_nothing_writable<Layer<float>> && gives_nothing_writable<Dense<float>> &&
              gives_nothing_writable<TreeLayer<float>> && gives_nothing_writable<GatedGraph<float>> &&
              gives_nothing_writable<GatedRecursiveConv<float>> && gives_nothing_writable<GraphReadout<float>> &&
              gives_nothing_writable<OutputRnn<float>>);
static_assert(std::is_nothrow_move_constructible_v<WeightEdit<float>> &&
              !std::is_copy_constructible_v<WeightEdit<float>> && !std::is_move_assignable_v<WeightEdit<float>>);

void check_edit() {
  Dense<float> dense(dense_of(2, 1));
  const float x[2] = {1, 10};
  float y = 0;
  const auto output = [&] {
    DenseForwardCall<float> call;
    call.seq_len = call.batch = 1;
    call.x = time_major(x, 1, 2);
    call.y = time_major(&y, 1, 1);
    dense.forward(call);
    return y;
  };
  {
    auto edit = dense.edit();
    CHECK(edit.weights().size() == 2 && edit[0].name == "weight" && edit["bias"].size() == 1, "the weights");
    edit["weight"][1] = 3;
    edit["bias"].data[0] = 4;
    CHECK(dense.weights()[1][0] == 4, "what was written is shown");
    CHECK(output() == 0, "calls see no edit that is open");
    const auto last = std::move(edit);
    {
      const auto ended = std::move(edit);  // NOLINT(bugprone-use-after-move): what is tested
    }  // has nothing to commit
    CHECK(output() == 0, "calls see no edit that has moved and is open");
    CHECK(throws<std::invalid_argument>([&] { last["weights"]; },
                                        "weights is no weight of this layer; expected one of weight, bias"),
          "no error");
    Dense<float> other(dense_of(1, 1));
    other = std::move(dense);  // the edit goes on
    dense = std::move(other);
  }
  CHECK(output() == 34, "%g after the edit", static_cast<double>(y));
  try {
    const auto edit = dense.edit();
    edit["bias"][0] = 5;
    throw 1;
  } catch (int) {
  }
  CHECK(output() == 35, "%g after an edit that an exception ended", static_cast<double>(y));
}

}  // namespace

int main() {
  check_moves();
  check_edit();
  return done("handles");
}
