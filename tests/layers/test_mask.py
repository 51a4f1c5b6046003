"""mask=: steps that leave the state alone, with holes anywhere.

Against the reference, which goes through all steps; against calls with the other steps only, bit
for bit; against finite differences.
"""

import numpy as np
import pytest

import gru_native
import reference
from checks import check_slopes
from helpers import (
    CELLS,
    CELLS_AND_OPTIONS,
    assert_all_close,
    assert_close,
    assert_same_bits,
    assert_same_gradients,
    assert_same_state,
    each,
    gradient_arrays,
    make_layer,
    named_gradients,
    parts,
    random_case,
    spec_of,
)

OUTPUTS = ("zero", "hold")

# One sequence each: holes at the beginning, in the middle, at the end, everywhere, nowhere, ...
PATTERNS = [
    "..xxxx",
    "xx..xx",
    "xxxx..",
    "......",
    "xxxxxx",
    ".x..x.",
    "x.x.x.",
    ".....x",
    "x.....",
]
HOLES = np.array([[step == "x" for step in pattern] for pattern in PATTERNS]).T  # (seq, batch)


def case_with_holes(cell, seed, *, layers=2, bidirectional=True, lengths=None):
    rng = np.random.default_rng([11, seed])
    spec = spec_of(cell, 3, 9, layers, bidirectional, proj_size=4)
    seq_len, batch = HOLES.shape
    return random_case(spec, rng, seq_len=seq_len, batch=batch, lengths=lengths), rng


def run(layer, case, mask, masked_output):
    y, final, tape = layer.forward(
        case.x, case.state, lengths=case.lengths, mask=mask, masked_output=masked_output
    )
    return y, final, layer.backward(tape, case.dy, case.dstate)


@pytest.mark.parametrize("lengths", [None, [6, 6, 3, 4, 2, 5, 0, 6, 1]])
@pytest.mark.parametrize("masked_output", OUTPUTS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_against_the_reference(cell, bidirectional, masked_output, lengths):
    case, _ = case_with_holes(cell, 1, bidirectional=bidirectional, lengths=lengths)
    y, final, grads = run(make_layer(case.spec, case.weights), case, HOLES, masked_output)

    wanted_y, wanted_final, tape = reference.forward(
        case.spec, case.weights, case.x, case.state, lengths, HOLES, masked_output
    )
    wanted = named_gradients(*reference.backward(case.spec, tape, case.dy, case.dstate))
    assert_close(y, wanted_y, 1e-12)
    for part, wanted_part in zip(parts(final), parts(wanted_final), strict=True):
        assert_close(part, wanted_part, 1e-12, "final state")
    assert_all_close(gradient_arrays(grads), wanted, 1e-11)


@pytest.mark.parametrize("masked_output", OUTPUTS)
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_gradients_are_derivatives(cell, masked_output):
    case, rng = case_with_holes(cell, 2)

    def forward():
        layer = make_layer(case.spec, case.weights)
        return layer(case.x, case.state, mask=HOLES, masked_output=masked_output)

    grads = run(make_layer(case.spec, case.weights), case, HOLES, masked_output)[2]
    check_slopes(case, forward, gradient_arrays(grads), rng)


def compacted(array, mask):
    """The unmasked steps of each sequence moved to its beginning; behind them what nobody reads."""
    packed = np.full_like(array, np.nan)
    for b in range(array.shape[1]):
        steps = array[mask[:, b], b]
        packed[: len(steps), b] = steps
    return packed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_the_same_bits_as_the_compacted_sequences(cell, bidirectional, dtype):
    case, _ = case_with_holes(cell, 3, bidirectional=bidirectional)
    case = case.cast(dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, final, grads = run(layer, case, HOLES, "zero")

    lengths = HOLES.sum(0)
    x, dy = compacted(case.x, HOLES), compacted(case.dy, HOLES)
    short_y, short_final, tape = layer.forward(x, case.state, lengths=lengths)
    short = layer.backward(tape, dy, case.dstate)
    for b, n in enumerate(lengths):
        for array, packed in ((y, short_y), (grads.x, short.x)):
            assert_same_bits(array[HOLES[:, b], b], packed[:n, b])
            assert not array[~HOLES[:, b], b].any()
    assert_same_state(final, short_final)
    assert_same_state(grads.state, short.state)
    for name, gradient in short.weights.items():
        assert_same_bits(grads.weights[name], gradient, name)


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_counts_the_steps_that_are_not_masked(cell):
    case, _ = case_with_holes(cell, 4)
    options = {"dropout": 0.5, "seed": 7}
    y, _, _ = make_layer(case.spec, case.weights, **options).forward(case.x, case.state, mask=HOLES)
    short_y, _, _ = make_layer(case.spec, case.weights, **options).forward(
        compacted(case.x, HOLES), case.state, lengths=HOLES.sum(0)
    )
    plain, _ = make_layer(case.spec, case.weights, **options)(case.x, case.state, mask=HOLES)
    assert abs(plain - y).max() > 1e-3  # something was dropped
    for b, n in enumerate(HOLES.sum(0)):
        assert_same_bits(y[HOLES[:, b], b], short_y[:n, b])


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_hold_repeats_the_last_output_in_the_order_of_each_direction(cell):
    case, _ = case_with_holes(cell, 5)
    layer = make_layer(case.spec, case.weights)
    zero, zero_final, _ = run(layer, case, HOLES, "zero")
    held, held_final, _ = run(layer, case, HOLES, "hold")
    assert_same_state(held_final, zero_final)
    width = case.spec.output_size
    for b in range(HOLES.shape[1]):
        for direction, order in enumerate((range(6), range(5, -1, -1))):
            columns = slice(direction * width, (direction + 1) * width)
            last = np.zeros(width)
            for t in order:
                last = zero[t, b, columns] if HOLES[t, b] else last
                assert_same_bits(held[t, b, columns], last)


@pytest.mark.parametrize("masked_output", OUTPUTS)
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_x_of_masked_steps_is_not_read(cell, masked_output):
    case, _ = case_with_holes(cell, 6)
    layer = make_layer(case.spec, case.weights)
    y, final, grads = run(layer, case, HOLES, masked_output)
    case.x[~HOLES] = np.nan
    if masked_output == "zero":
        case.dy[~HOLES] = np.inf
    y_again, final_again, grads_again = run(layer, case, HOLES, masked_output)
    assert_same_bits(y_again, y)
    assert_same_state(final_again, final)
    assert_same_gradients(grads_again, grads)
    assert not grads.x[~HOLES].any()


@pytest.mark.parametrize("masked_output", OUTPUTS)
def test_a_fully_masked_batch_hands_the_state_through(masked_output):
    case, _ = case_with_holes("lstm", 7)
    layer = make_layer(case.spec, case.weights)
    y, final, grads = run(layer, case, np.zeros_like(HOLES), masked_output)
    assert not y.any()
    assert_same_state(final, case.state)
    assert_same_state(grads.state, case.dstate)
    assert not grads.x.any()
    assert not any(gradient.any() for gradient in grads.weights.values())


@pytest.mark.parametrize("masked_output", OUTPUTS)
def test_a_mask_without_holes_changes_nothing(masked_output):
    case, _ = case_with_holes("gru", 8, lengths=[6, 6, 3, 4, 2, 5, 0, 6, 1])
    layer = make_layer(case.spec, case.weights)
    for lengths in (case.lengths, None):
        case.lengths = lengths
        y, final, grads = run(layer, case, None, masked_output)
        again_y, again_final, again = run(layer, case, np.ones_like(HOLES), masked_output)
        assert_same_bits(again_y, y)
        assert_same_state(again_final, final)
        assert_same_gradients(again, grads)


def test_lengths_and_mask_together():
    """Past the end it is 0 even with "hold", in either direction."""
    lengths = np.array([6, 5, 3, 4, 2, 5, 0, 6, 1])
    case, _ = case_with_holes("lstm", 9, lengths=lengths)
    layer = make_layer(case.spec, case.weights)
    within = np.arange(6)[:, None] < lengths
    for masked_output in OUTPUTS:
        y, final, grads = run(layer, case, HOLES, masked_output)
        assert not y[~within].any()
        assert not grads.x[~within].any()
    y, final, _ = run(layer, case, HOLES, "zero")
    case.lengths = None
    same_y, same_final, _ = run(layer, case, HOLES & within, "zero")
    assert_same_bits(y, same_y)
    assert_same_state(final, same_final)


@pytest.mark.parametrize("masked_output", OUTPUTS)
def test_batch_first_and_unbatched(masked_output):
    case, _ = case_with_holes("gru", 10)
    wanted, final, grads = run(make_layer(case.spec, case.weights), case, HOLES, masked_output)
    layer = make_layer(case.spec, case.weights, batch_first=True)

    def swap(array):
        return np.ascontiguousarray(array.swapaxes(0, 1))

    y, state, tape = layer.forward(
        swap(case.x), case.state, mask=HOLES.T, masked_output=masked_output
    )
    assert_same_bits(swap(y), wanted)
    assert_same_state(state, final)
    assert_same_bits(swap(layer.backward(tape, swap(case.dy), case.dstate).x), grads.x)
    for b in range(HOLES.shape[1]):
        state = each(lambda part, b=b: np.ascontiguousarray(part[:, b]), case.state)
        y, _ = layer(case.x[:, b].copy(), state, mask=HOLES[:, b], masked_output=masked_output)
        assert_same_bits(y, np.ascontiguousarray(wanted[:, b]))


@pytest.mark.parametrize("masked_output", OUTPUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_threads_and_any_batch(cell, masked_output, threads):
    rng = np.random.default_rng(12)
    spec = spec_of(cell, 33, 100, 2, True)
    case = random_case(spec, rng, seq_len=12, batch=7).cast(np.float32)
    mask = rng.random((12, 7)) < 0.6
    layer = make_layer(spec, case.weights, dtype=np.float32)
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(run(layer, case, mask, masked_output))
    y, final, grads = results[0]
    for other_y, other_final, other in results[1:]:
        assert_same_bits(other_y, y)
        assert_same_state(other_final, final)
        assert_same_gradients(other, grads)
    for b in range(7):
        state = each(lambda part, b=b: part[:, [b]].copy(), case.state)
        alone, _ = layer(
            case.x[:, [b]].copy(), state, mask=mask[:, [b]], masked_output=masked_output
        )
        assert_same_bits(alone, y[:, [b]])


def test_errors_name_the_argument():
    layer, x = gru_native.LSTM(3, 4), np.zeros((5, 2, 3), np.float32)
    for call in (layer, layer.forward):
        with pytest.raises(TypeError, match="mask is of dtype int64; expected bool"):
            call(x, mask=np.ones((5, 2), np.int64))
        with pytest.raises(ValueError, match=r"mask has shape \(2, 5\); expected \(seq_len=5, ba"):
            call(x, mask=np.ones((2, 5), bool))
        with pytest.raises(ValueError, match=r"mask has shape \(5, 2\); expected \(seq_len=5,\)"):
            call(x[:, 0], mask=np.ones((5, 2), bool))
        with pytest.raises(ValueError, match='masked_output is "last"; expected "zero" or "hold"'):
            call(x, masked_output="last")
        with pytest.raises(TypeError, match="masked_output is a NoneType; expected a string"):
            call(x, masked_output=None)
    with pytest.raises(ValueError, match=r"mask has shape .*expected \(batch=5, seq_len=2\)"):
        gru_native.GRU(3, 4, batch_first=True)(x, mask=np.ones((2, 5), bool))


def test_the_tape_has_the_users_steps():
    layer, x = gru_native.GRU(3, 4), np.zeros((5, 2, 3), np.float32)
    mask = np.zeros((5, 2), bool)
    mask[3] = True
    _, _, tape = layer.forward(x, mask=mask)
    with pytest.raises(ValueError, match=r"dy has shape \(1, 2, 4\); expected \(seq_len=5"):
        layer.backward(tape, np.zeros((1, 2, 4), np.float32))
