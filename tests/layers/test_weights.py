"""Names, shapes and counts of weights, and the two ways to write them."""

import re

import numpy as np
import pytest

import gru_native
from helpers import (
    CELLS,
    EVERY_GATE_SET,
    assert_same_bits,
    make_layer,
    random_weights,
    spec_of,
)
from reference import Spec, weight_shapes

SPECS = [
    *(Spec(cell, 5, 7, 2, bidirectional=True) for cell in CELLS),
    *(Spec(cell, 5, 7, 3, bias=False) for cell in CELLS),
    Spec("lstm", 5, 7, 2, bidirectional=True, proj_size=3),
    spec_of("lstm_two_proj", 5, 7, 2, bidirectional=True, proj_size=3),
    *(Spec("lstm", 5, 7, 2, variant=gates) for gates in EVERY_GATE_SET),
    *(spec_of(cell, 5, 7, 2, True) for cell in ("lstm_layer_norm", "gru_layer_norm")),
    Spec("lstm", 5, 7, 2, bias=False, layer_norm=True),
]
X = np.random.default_rng(1).standard_normal((4, 3, 5)).astype(np.float32)


def name_of(spec):
    return "-".join(str(value) for value in vars(spec).values())


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_names_and_shapes_are_those_of_torch(spec):
    layer = make_layer(spec)
    shapes = {name: array.shape for name, array in layer.weights.items()}
    assert list(shapes.items()) == list(weight_shapes(spec).items())
    assert list(layer.state_dict()) == list(shapes)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        # n(m+n) products and two biases of n for each of 1, 4 or 3 gates.
        (lambda: gru_native.RNN(10, 20), 20 * 30 + 40),
        (lambda: gru_native.LSTM(10, 20), 4 * (20 * 30 + 40)),
        (lambda: gru_native.GRU(10, 20), 3 * (20 * 30 + 40)),
        (lambda: gru_native.GRU(10, 20, bias=False), 3 * 20 * 30),
        (lambda: gru_native.GRU(10, 20, reset_after=False), 3 * (20 * 30 + 40)),
        (
            lambda: gru_native.GRU(10, 20, 2, bidirectional=True),
            2 * 3 * (20 * 30 + 40) + 2 * 3 * (20 * 60 + 40),
        ),
        (lambda: gru_native.LSTM(10, 20, proj_size=5), 4 * (20 * 15 + 40) + 5 * 20),
    ],
)
def test_num_parameters(layer, count):
    assert layer().num_parameters == count


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_weights_come_back_as_loaded(spec):
    weights = random_weights(spec, np.random.default_rng(2))
    for dtype in (np.float32, np.float64):
        layer = make_layer(spec, weights, dtype=dtype)
        for name, array in layer.weights.items():
            assert_same_bits(np.asarray(array), weights[name].astype(dtype), name)
        copy = make_layer(spec, dtype=dtype)
        copy.load_state_dict(layer.state_dict())
        x = X.astype(dtype)
        assert_same_bits(copy(x)[0], layer(x)[0])


def test_first_weights_are_uniform_as_in_torch():
    """U(-1/sqrt(hidden), 1/sqrt(hidden)), each entry its own draw, all from the seed."""
    first, twin, other = (gru_native.LSTM(30, 64, 2, seed=seed) for seed in (1, 1, 2))
    everything = np.concatenate([array.ravel() for array in first.weights.values()])
    assert len(np.unique(everything)) > 0.99 * len(everything)
    assert abs(everything).max() <= 1 / 8
    for name, array in first.weights.items():
        assert_same_bits(np.asarray(twin.weights[name]), np.asarray(array), name)
        assert (other.weights[name] != array).any()
        # A uniform draw on ±1/8 has this deviation; 256 entries are within 15 % of it.
        assert abs(array.std() / (1 / 8 / np.sqrt(3)) - 1) < 0.15, name


def test_without_a_seed_every_layer_is_another():
    first, second = gru_native.GRU(3, 4), gru_native.GRU(3, 4)
    assert (first.weights["bias_ih_l0"] != second.weights["bias_ih_l0"]).any()


@pytest.fixture
def layer():
    return gru_native.GRU(5, 7, 2, seed=1)


def test_weights_are_read_only(layer):
    before, _ = layer(X)
    for array in layer.weights.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        layer.weights["weight_ih_l0"] = np.zeros((21, 5), np.float32)
    with pytest.raises(KeyError):
        layer.weights["weight_ih_l9"]
    assert_same_bits(layer(X)[0], before)


def test_editing_writes(layer):
    zeros = gru_native.GRU(5, 7, 2)
    zeros.load_state_dict({name: 0 * array for name, array in zeros.state_dict().items()})
    with layer.editing() as w:
        for name in w:
            w[name][...] = 0
    for array in layer.weights.values():
        assert not array.any()
    assert_same_bits(layer(X)[0], zeros(X)[0])


@pytest.mark.parametrize("name", list(gru_native.GRU(5, 7, 2).weights))
def test_editing_each_weight_counts(layer, name):
    """Every packed copy is refreshed: forward, backward and streams see the edit."""
    with layer.editing() as w:
        w[name][...] *= 2
        w[name][-1] += 0.25
    fresh = gru_native.GRU(5, 7, 2)
    fresh.load_state_dict(layer.state_dict())
    y, _, tape = layer.forward(X)
    expected, _, fresh_tape = fresh.forward(X)
    assert_same_bits(y, expected)
    assert_same_bits(layer.backward(tape, y).x, fresh.backward(fresh_tape, y).x)
    assert_same_bits(layer.stream(batch_size=3)(X), expected)
    assert (y != gru_native.GRU(5, 7, 2, seed=1)(X)[0]).any()


def test_arrays_from_editing_are_locked_on_leaving(layer):
    with layer.editing() as w:
        array = w["weight_ih_l0"]
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0


def test_editing_that_fails_still_leaves_a_layer_that_agrees_with_its_weights(layer):
    def fail():
        with layer.editing() as w:
            w["weight_hh_l1"][...] = 0.125
            raise KeyError("the user's own mistake")

    with pytest.raises(KeyError, match="mistake"):
        fail()
    fresh = gru_native.GRU(5, 7, 2)
    fresh.load_state_dict(layer.state_dict())
    assert_same_bits(layer(X)[0], fresh(X)[0])
    with pytest.raises(ValueError, match="read-only"):
        layer.weights["weight_hh_l1"][...] = 0


def test_state_dict_is_a_snapshot(layer):
    kept = layer.state_dict()
    before, _ = layer(X)
    with layer.editing() as w:
        for name in w:
            w[name][...] = 0
    layer.load_state_dict(kept)
    assert_same_bits(layer(X)[0], before)


def test_loaded_arrays_are_copied(layer):
    mine = {name: array.copy() for name, array in layer.state_dict().items()}
    layer.load_state_dict(mine)
    before, _ = layer(X)
    for array in mine.values():
        array[...] = 0
    assert all(array.any() for array in layer.weights.values())
    assert_same_bits(layer(X)[0], before)


def test_part_of_the_weights(layer):
    """strict=False: what is missing stays, what is surplus is ignored."""
    kept = np.array(layer.weights["weight_hh_l0"])
    new = np.full((21, 5), 0.125, np.float32)
    layer.load_state_dict({"weight_ih_l0": new, "surplus": np.zeros(3)}, strict=False)
    assert_same_bits(np.asarray(layer.weights["weight_ih_l0"]), new)
    assert_same_bits(np.asarray(layer.weights["weight_hh_l0"]), kept)
    assert list(layer.weights) == list(weight_shapes(Spec("gru", 5, 7, 2)))


def test_weights_that_are_not_contiguous(layer):
    expected, _ = layer(X)
    turned = {name: np.asfortranarray(array) for name, array in layer.state_dict().items()}
    other = gru_native.GRU(5, 7, 2)
    other.load_state_dict(turned)
    assert_same_bits(other(X)[0], expected)


def test_names_that_are_missing_or_unknown(layer):
    good = layer.state_dict()
    lacking = {name: w for name, w in good.items() if name != "bias_hh_l1"}
    cases = [
        (lacking, "mapping lacks ['bias_hh_l1']; expected exactly ['weight_ih_l0', "),
        ({**good, "head": 1}, "mapping has ['head'], which this layer does not have; expected"),
        (
            {**lacking, "head": 1},
            "mapping lacks ['bias_hh_l1']; mapping has ['head'], which this layer does not have; ",
        ),
    ]
    for mapping, text in cases:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
            layer.load_state_dict(mapping)
