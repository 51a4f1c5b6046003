"""Dropout between layers (Zaremba 2014): never on the recurrence, never on the last output.

The masks are made visible: with relu units, positive weights, W = 1 and U = 0 in the upper layer,
y is exactly the lower layer's output times the mask.
"""

import numpy as np
import pytest

import gru_native
from checks import check_slopes
from helpers import (
    CELLS_AND_OPTIONS,
    assert_same_bits,
    assert_same_gradients,
    assert_same_state,
    gradient_arrays,
    make_layer,
    parts,
    random_case,
    random_weights,
    spec_of,
)
from reference import Spec


def see_through_layer(dropout, seed=1, recurrence=0.0):
    """A lower layer with positive outputs, and an upper one that passes on what it reads."""
    hidden_size = 24
    layer = gru_native.RNN(
        6, hidden_size, 2, nonlinearity="relu", bias=False, dropout=dropout, seed=seed
    )
    rng = np.random.default_rng(2)
    layer.load_state_dict(
        {
            "weight_ih_l0": rng.uniform(0.1, 1, (hidden_size, 6)).astype(np.float32),
            "weight_hh_l0": rng.uniform(0, 0.03, (hidden_size, hidden_size)).astype(np.float32),
            "weight_ih_l1": np.eye(hidden_size, dtype=np.float32),
            "weight_hh_l1": recurrence * np.eye(hidden_size, dtype=np.float32),
        }
    )
    x = rng.uniform(0.1, 1, (30, 5, 6)).astype(np.float32)
    return layer, x


def masks_of(layer, x):
    """What the lower layer's outputs were multiplied with."""
    clean, _ = layer(x)
    dropped, _, _ = layer.forward(x, training=True)
    return dropped / clean


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_each_output_is_dropped_or_scaled_so_that_the_mean_is_kept(p):
    masks = masks_of(*see_through_layer(p))
    np.testing.assert_allclose(masks[masks != 0], 1 / (1 - p), rtol=1e-6)
    # 3600 draws: five standard deviations of their mean.
    assert abs((masks == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / masks.size)


def test_steps_sequences_units_and_calls_draw_apart():
    layer, x = see_through_layer(0.5)
    masks = masks_of(layer, x)
    for axis in range(3):
        first, second = np.take(masks, 0, axis), np.take(masks, 1, axis)
        assert (first != second).any(), f"axis {axis} shares its masks"
    assert (masks_of(layer, x) != masks).any()


def test_the_upper_recurrence_is_not_dropped():
    """With U = 1 above, y adds up what it reads: a dropped recurrence would lose the sum."""
    layer, x = see_through_layer(0.5, recurrence=1.0)
    passing, _ = see_through_layer(0.5)
    lower, _ = passing(x)
    y, _, _ = layer.forward(x, training=True)
    steps = np.diff(y, axis=0)
    kept = steps != 0
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_allclose(steps[kept], 2 * lower[1:][kept], rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_the_lower_recurrence_and_the_last_output_are_not_dropped(cell):
    spec = spec_of(cell, 5, 16, num_layers=2)
    case = random_case(spec, np.random.default_rng(3))
    layer = make_layer(spec, case.weights, dropout=0.5, seed=4)
    _, clean = layer(case.x, case.state)
    y, final, _ = layer.forward(case.x, case.state, training=True)
    for dropped, part in zip(parts(final), parts(clean), strict=True):
        assert_same_bits(dropped[0], part[0], "state of the lower layer")
        assert (dropped[1] != part[1]).any()
    width = spec.recurrent_size
    assert_same_bits(y[-1, :, :width], parts(final)[0][1, :, :width], "last output")


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_a_single_layer_has_nothing_to_drop(cell):
    spec = spec_of(cell, 5, 16, bidirectional=True)
    case = random_case(spec, np.random.default_rng(5))
    plain = make_layer(spec, case.weights)
    layer = make_layer(spec, case.weights, dropout=0.5)
    assert_same_bits(layer.forward(case.x, training=True)[0], plain(case.x)[0])


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_inference_drops_nothing(cell):
    spec = spec_of(cell, 5, 16, num_layers=3, bidirectional=True)
    case = random_case(spec, np.random.default_rng(6))
    plain = make_layer(spec, case.weights)
    layer = make_layer(spec, case.weights, dropout=0.5)
    y, final, tape = plain.forward(case.x, case.state)
    grads = plain.backward(tape, case.dy, case.dstate)
    assert_same_bits(layer(case.x, case.state)[0], y)
    again, final_again, tape = layer.forward(case.x, case.state, training=False)
    assert_same_bits(again, y)
    assert_same_state(final_again, final)
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), grads)


def test_the_seed_decides():
    first, x = see_through_layer(0.5, seed=7)
    twin, _ = see_through_layer(0.5, seed=7)
    other, _ = see_through_layer(0.5, seed=8)
    for _ in range(2):  # the second draw too
        y = first.forward(x, training=True)[0]
        assert_same_bits(twin.forward(x, training=True)[0], y)
        assert (other.forward(x, training=True)[0] != y).any()


def test_everything_dropped_is_an_input_of_zeros():
    spec = Spec("gru", 5, 16, num_layers=2)
    rng = np.random.default_rng(9)
    case = random_case(spec, rng)
    layer = make_layer(spec, case.weights, dropout=1.0)
    y, _, tape = layer.forward(case.x, case.state, training=True)
    upper_weights = {
        name.replace("_l1", "_l0"): value
        for name, value in case.weights.items()
        if name.endswith("_l1")
    }
    upper = make_layer(Spec("gru", 16, 16), upper_weights)
    expected, _ = upper(np.zeros((5, 3, 16)), case.state[1:])
    assert_same_bits(y, expected)
    grads = layer.backward(tape, case.dy)
    assert not grads.x.any()
    assert not grads.weights["weight_ih_l0"].any()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_gradients_go_through_the_masks_that_forward_drew(cell, bidirectional):
    """Finite differences: every evaluation is a new layer with the same seed, so the same masks."""
    rng = np.random.default_rng(10)
    spec = spec_of(cell, 3, 6, num_layers=3, bidirectional=bidirectional)
    case = random_case(spec, rng, batch=4, lengths=[3, 5, 0, 1])
    case.weights = random_weights(spec, rng)

    def run():
        layer = make_layer(spec, case.weights, dropout=0.4, seed=11)
        return layer, *layer.forward(case.x, case.state, lengths=case.lengths, training=True)

    layer, _, _, tape = run()
    layer.forward(case.x, training=True)  # draws other masks, which are not this tape's
    grads = layer.backward(tape, case.dy, case.dstate)
    check_slopes(case, lambda: run()[1:], gradient_arrays(grads), rng)
