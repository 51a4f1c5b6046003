"""Zoneout (Krueger et al. 2017): in training units of h or c keep their old value at random.

The masks are made visible: a unit whose value has the bits of the step before was kept. With them,
the reference computes the same outputs and gradients.
"""

import re

import numpy as np
import pytest

import gru_native
import reference
from checks import check_slopes
from helpers import (
    CELLS,
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
from reference import Spec, Variant

VARIANT = Variant(peephole=True, coupled_gates=True, output_activation="sigmoid", cell_clip=0.625)
# Name, its spec for some sizes, and the probabilities of h and c.
KINDS = {
    **{name: (name, {}, (0.3, 0.0)) for name in CELLS},
    "lstm_c": ("lstm", {}, (0.0, 0.4)),
    "lstm_both": ("lstm", {}, (0.25, 0.5)),
    "lstm_variant": ("lstm", {"variant": VARIANT}, (0.3, 0.2)),
    "lstm_norm": ("lstm", {"layer_norm": True}, (0.3, 0.4)),
    "gru_norm": ("gru", {"layer_norm": True}, (0.3, 0.0)),
    "lstm_proj_c": ("lstm", {"proj_size": 3, "nonrecurrent_proj_size": 2}, (0.0, 0.4)),
    "lstm_proj": ("lstm", {"proj_size": 3, "nonrecurrent_proj_size": 2}, (0.3, 0.4)),
    "lstm_norm_proj": ("lstm", {"proj_size": 4, "layer_norm": True}, (0.3, 0.0)),
    "lstm_gates": ("lstm", {"variant": Variant(gate_recurrence=True)}, (0.3, 0.4)),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def zoned(kind, input_size, hidden_size, **options):
    cell, own, zoneout = KINDS[kind]
    return Spec(cell, input_size, hidden_size, **own, **options, zoneout=zoneout)


def layer_of(case, dtype=np.float64, **options):
    spec = case.spec
    options["zoneout"] = spec.zoneout[0]
    if spec.cell == "lstm":
        options["zoneout_cell"] = spec.zoneout[1]
    return make_layer(spec, case.weights, dtype=dtype, **options)


def check_gradients(case, layer, tape, reference_tape, tolerance=1e-12):
    grads = layer.backward(tape, case.dy, case.dstate)
    actual = named_gradients(grads.x, grads.state, dict(grads.weights))
    dx, dstate, dweights = reference.backward(case.spec, reference_tape, case.dy, case.dstate)
    assert_all_close(actual, named_gradients(dx, dstate, dweights), tolerance)


@EVERY_KIND
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inference_has_the_expectation(kind, dtype):
    spec = zoned(kind, 5, 9, num_layers=2, bidirectional=True)
    case = random_case(spec, np.random.default_rng(1), batch=4, lengths=[3, 5, 0, 1])
    case = case.cast(dtype).cast(np.float64)
    tolerance = 1e-12 if dtype == np.float64 else 3e-6
    own = case.cast(dtype)
    layer = layer_of(own, dtype)
    y, state = layer(own.x, own.state, lengths=case.lengths)
    expected_y, expected_state, expected_tape = reference.forward(
        spec, case.weights, case.x, case.state, case.lengths
    )
    assert_close(y, expected_y, tolerance)
    for actual, expected in zip(parts(state), parts(expected_state), strict=True):
        assert_close(actual, expected, tolerance, "state")
    again, state_again, tape = layer.forward(own.x, own.state, lengths=case.lengths, training=False)
    assert_same_bits(again, y)
    assert_same_state(state_again, state)
    if dtype == np.float64:
        check_gradients(case, layer, tape, expected_tape)


def kept(before, after):
    return (before == after).astype(np.float64)


def masks_of(case, seed):
    """Of h and c of a single layer, from calls that end at each step: same seed, same masks."""
    last, masks = case.state, []
    for t in range(len(case.x)):
        _, state, _ = layer_of(case, seed=seed).forward(case.x[: t + 1], case.state)
        pairs = zip(parts(last), parts(state), strict=True)
        masks.append([kept(b[0], a[0]) for b, a in pairs])
        last = state
    return [np.array(m) for m in zip(*masks, strict=True)]


@EVERY_KIND
def test_training_mixes_with_masks_of_zeros_and_ones(kind):
    case = random_case(zoned(kind, 5, 9), np.random.default_rng(2))
    masks = masks_of(case, seed=3)
    for p, mask in zip(case.spec.zoneout, masks, strict=False):
        assert (0 < mask.mean() < 2 * p) if p else not mask.any()
    layer = layer_of(case, seed=3)
    y, state, tape = layer.forward(case.x, case.state)
    expected_y, expected_state, expected_tape = reference.forward(
        case.spec, case.weights, case.x, case.state, masks=[masks]
    )
    assert_close(y, expected_y, 1e-12)
    for actual, expected in zip(parts(state), parts(expected_state), strict=True):
        assert_close(actual, expected, 1e-12, "state")
    check_gradients(case, layer, tape, expected_tape)


@EVERY_KIND
def test_gradients_are_those_of_the_masks_that_forward_drew(kind):
    """Finite differences: every evaluation is a new layer with the same seed, so the same masks."""
    rng = np.random.default_rng(4)
    spec = zoned(kind, 3, 6, num_layers=2, bidirectional=True)
    case = random_case(spec, rng, batch=4, lengths=[3, 5, 0, 1])

    def run():
        layer = layer_of(case, seed=11, dropout=0.3)
        return layer, *layer.forward(case.x, case.state, lengths=case.lengths)

    layer, _, _, tape = run()
    layer.forward(case.x)  # draws other masks, which are not this tape's
    grads = layer.backward(tape, case.dy, case.dstate)
    check_slopes(case, lambda: run()[1:], gradient_arrays(grads), rng)


def masks_of_h(layer, x):
    y, _, _ = layer.forward(x)
    return kept(np.concatenate([np.zeros_like(y[:1]), y[:-1]]), y)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_units_are_kept_with_their_probability_and_each_by_itself(p):
    layer = gru_native.GRU(3, 24, zoneout=p, seed=1)
    x = np.random.default_rng(2).standard_normal((30, 5, 3)).astype(np.float32)
    masks = masks_of_h(layer, x)
    # 3600 draws: five standard deviations of their mean.
    assert abs(masks.mean() - p) < 5 * np.sqrt(p * (1 - p) / masks.size)
    for axis in range(3):
        first, second = np.take(masks, 0, axis), np.take(masks, 1, axis)
        assert (first != second).any(), f"axis {axis} shares its masks"
    assert (masks_of_h(layer, x) != masks).any()  # another call


def test_layers_directions_and_both_states_draw_apart():
    rng = np.random.default_rng(3)
    layer = gru_native.LSTM(3, 40, 2, bidirectional=True, zoneout=0.5, zoneout_cell=0.5, seed=1)
    _, before = layer(x := rng.standard_normal((1, 2, 3)).astype(np.float32))
    start = each(lambda s: rng.standard_normal(s.shape).astype(np.float32), before)
    _, after, _ = layer.forward(x, start)
    masks = [kept(b, a).ravel() for b, a in zip(start, after, strict=True)]
    rows = np.concatenate(masks).reshape(8, -1)  # h and c of four directions
    together = np.corrcoef(rows)
    assert np.abs(together - np.eye(8)).max() < 5 / np.sqrt(rows.shape[1])


def test_a_rows_masks_do_not_depend_on_the_others_lengths_nor_on_threads():
    rng = np.random.default_rng(5)
    layers = [gru_native.LSTM(7, 130, zoneout=0.3, zoneout_cell=0.3, seed=6) for _ in range(3)]
    x = rng.standard_normal((9, 8, 7)).astype(np.float32)
    before = gru_native.get_num_threads()
    try:
        gru_native.set_num_threads(1)
        y, state, tape = layers[0].forward(x)
        grads = layers[0].backward(tape, np.ones_like(y))
        gru_native.set_num_threads(3)
        again, state_again, tape_again = layers[1].forward(x)
        assert_same_bits(again, y)
        assert_same_state(state_again, state)
        assert_same_gradients(layers[1].backward(tape_again, np.ones_like(y)), grads)
    finally:
        gru_native.set_num_threads(before)
    lengths = [3, 9, 1, 4, 9, 2, 7, 5]
    ragged, _, _ = layers[2].forward(x, lengths=lengths)
    for b, n in enumerate(lengths):
        assert_same_bits(ragged[:n, b].copy(), y[:n, b].copy())


@EVERY_KIND
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_streams_have_the_bits_of_the_whole_sequence(kind, dtype):
    case = random_case(zoned(kind, 5, 17, num_layers=2), np.random.default_rng(7)).cast(dtype)
    layer = layer_of(case, dtype)
    y, state = layer(case.x, case.state)
    s = layer.stream(3)
    s.state = case.state
    chunks = [s(case.x[0])[None], s(case.x[1:4]), s(case.x[4:])]
    assert_same_bits(np.concatenate(chunks), y)
    assert_same_state(s.state, state)


@pytest.mark.parametrize("cell", CELLS)
def test_without_zoneout_nothing_changes_and_with_all_of_it_nothing_moves(cell):
    case = random_case(spec_of(cell, 5, 9), np.random.default_rng(8))
    y, state, tape = make_layer(case.spec, case.weights, zoneout=0.0).forward(case.x, case.state)
    plain = make_layer(case.spec, case.weights)
    assert_same_bits(y, plain(case.x, case.state)[0])
    del tape, state
    still = make_layer(case.spec, case.weights, zoneout=1.0)
    for y in (still(case.x, case.state)[0], still.forward(case.x, case.state)[0]):
        assert_same_bits(y, np.broadcast_to(parts(case.state)[0], y.shape).copy())


def test_it_is_kept_in_files(tmp_path):
    layer = gru_native.LSTM(3, 4, zoneout=0.125, zoneout_cell=0.25, seed=1)
    gru_native.save(layer, tmp_path / "model.safetensors")
    loaded = gru_native.load(tmp_path / "model.safetensors")
    (again,) = getattr(loaded, "blocks", [loaded])
    assert repr(again) == "LSTM(3, 4, zoneout=0.125, zoneout_cell=0.25, dtype=float32)"
    x = np.ones((3, 2, 3), np.float32)
    assert_same_bits(again(x)[0], layer(x)[0])


def test_errors():
    def refused(text, call, error=ValueError):
        with pytest.raises(error, match=re.escape(text)):
            call()

    lstm, gru = gru_native.LSTM, gru_native.GRU
    refused("zoneout is 1.5", lambda: gru(3, 4, zoneout=1.5))
    refused("zoneout is -0.1", lambda: gru_native.RNN(3, 4, zoneout=-0.1))
    refused("zoneout is nan", lambda: gru(3, 4, zoneout=float("nan")))
    refused("zoneout_cell is 2", lambda: lstm(3, 4, zoneout_cell=2))
    refused("zoneout is a str", lambda: gru(3, 4, zoneout="much"), TypeError)
    refused("zoneout is 0.5", lambda: gru_native.RTRL(gru(3, 4, zoneout=0.5)))
    refused("zoneout_cell is 0.5", lambda: gru_native.RTRL(lstm(3, 4, zoneout_cell=0.5)))
    with pytest.raises(TypeError):
        gru(3, 4, zoneout_cell=0.5)
