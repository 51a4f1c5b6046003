"""Layers from Keras and back: the same outputs, and the same bits of every weight."""

from dataclasses import replace

import numpy as np
import pytest

import gru_native
from gru_native.keras import Recurrent, from_keras, to_keras
from helpers import CELLS, assert_same_bits, random_weights, spec_of
from helpers import make_layer as make_native
from keras_models import (
    arrays,
    assert_same_output,
    assert_same_weights,
    built,
    draw_weights,
    keras,
    random_bidirectional,
    random_mask,
    random_recurrent,
)

DTYPES = ("float64", "float32")
L = keras.layers


def initial_state_of(layer, batch, rng, dtype):
    """As Keras wants it: an array for each state, in a list for each of stacked cells.

    None where Keras takes none: it cuts the list for two directions in the middle.
    """
    if isinstance(layer, L.Bidirectional):
        halves = (layer.forward_layer, layer.backward_layer)
        if len(halves[0].state_size) != len(halves[1].state_size):
            return None
        return [s for half in halves for s in initial_state_of(half, batch, rng, dtype)]

    def draw(size):
        if isinstance(size, (list, tuple)):
            return [draw(inner) for inner in size]
        return rng.standard_normal((batch, size)).astype(dtype)

    stacked = isinstance(layer.cell, L.StackedRNNCells)
    return [draw([s] if stacked and isinstance(s, int) else s) for s in layer.state_size]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [random_recurrent, random_bidirectional])
@pytest.mark.parametrize("seed", range(18))
def test_outputs_and_weights(make, seed, dtype):
    rng = np.random.default_rng([21, seed])
    input_size, batch, seq_len = (int(n) for n in rng.integers(2, 8, 3))
    layer = built(make(rng, dtype), input_size, rng)
    x = rng.standard_normal((batch, seq_len, input_size)).astype(dtype)
    mask = random_mask(rng, batch, seq_len) if seed % 3 else None
    state = initial_state_of(layer, batch, rng, dtype) if seed % 2 else None

    ours = from_keras(layer)
    theirs = layer(x, initial_state=state, mask=mask)
    assert_same_output(ours(x, initial_state=state, mask=mask), theirs, dtype)
    assert ours.num_parameters == layer.count_params()

    assert_same_weights(ours.get_weights(), layer.get_weights())
    back = to_keras(ours)
    assert type(back) is type(layer)
    assert back.get_config().keys() == layer.get_config().keys()
    assert_same_weights(back.get_weights(), layer.get_weights())
    again = back(x, initial_state=state, mask=mask)
    for mine, wanted in zip(arrays(again), arrays(theirs), strict=True):
        assert_same_bits(np.ascontiguousarray(mine), np.ascontiguousarray(wanted))
    for option in ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"):
        assert getattr(back, option, None) == getattr(layer, option, None)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_the_directions_of_a_usual_bidirectional_are_one_layer(kind):
    rng = np.random.default_rng(22)
    layer = built(L.Bidirectional(getattr(L, kind)(3, return_sequences=True)), 2, rng)
    ours = from_keras(layer)
    assert ours.layer.bidirectional
    assert ours.directions is None


def test_the_layer_inside_is_the_cores():
    rng = np.random.default_rng(23)
    ours = from_keras(built(L.LSTM(4, return_sequences=True), 3, rng))
    x = rng.standard_normal((2, 5, 3))
    assert isinstance(ours, Recurrent)
    assert isinstance(ours.layer, gru_native.LSTM)
    assert_same_bits(ours.layer(x)[0], ours(x))
    with ours.layer.editing() as w:
        w["bias_ih_l0"] *= 0.5
    assert_same_bits(ours.layer(x)[0], ours(x))


def test_set_weights_changes_all_or_nothing():
    rng = np.random.default_rng(24)
    layer = built(random_bidirectional(rng, "float64"), 3, rng)
    ours = from_keras(layer)
    draw_weights(layer, rng)
    ours.set_weights(layer.get_weights())
    assert_same_weights(ours.get_weights(), layer.get_weights())
    wrong = [w * 2 for w in layer.get_weights()]
    wrong[-1] = wrong[-1][..., :-1]
    with pytest.raises(ValueError, match=r"tensor backward_layer/.*vars/. is float64 of shape"):
        ours.set_weights(wrong)
    with pytest.raises(ValueError, match="weights has 1 arrays; expected"):
        ours.set_weights(wrong[:1])
    assert_same_weights(ours.get_weights(), layer.get_weights())


@pytest.mark.parametrize(("bidirectional", "bias"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_layers_of_the_core_to_keras_and_back(cell, layers, bidirectional, bias):
    rng = np.random.default_rng(25)
    spec = replace(spec_of(cell, 3, 5, layers, bidirectional), bias=bias)
    layer = make_native(spec, random_weights(spec, rng), batch_first=True)
    x = rng.standard_normal((2, 6, 3))
    made = to_keras(layer)
    assert_same_output(layer(x)[0], made(x), "float64")
    ours = from_keras(made)
    # The biases are added up where the core adds them, so no bit changes.
    assert_same_bits(ours(x), layer(x)[0])
    assert_same_weights(to_keras(ours).get_weights(), made.get_weights())


@pytest.mark.parametrize("head", ["relu", "softmax", "log_softmax"])
def test_a_chain_to_keras_and_back(head):
    rng = np.random.default_rng(26)
    chain = gru_native.Chain(
        [
            gru_native.GRU(3, 5, batch_first=True, bidirectional=True, dtype=np.float64, seed=1),
            gru_native.LSTM(10, 4, 2, batch_first=True, dtype=np.float64, seed=2),
            gru_native.Dense(4, 6, activation=head, batch_first=True, dtype=np.float64, seed=3),
        ]
    )
    x = rng.standard_normal((2, 6, 3))
    model = to_keras(chain)
    assert isinstance(model, keras.Sequential)
    assert_same_output(chain(x)[0], model(x), "float64")
    assert model.layers[-1].activation is getattr(keras.activations, head)
    assert_same_bits(from_keras(model).chain()(x)[0], chain(x)[0])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"peephole": True}, "peephole=True"),
        ({"coupled_gates": True}, "coupled_gates=True"),
        ({"proj_size": 2}, "proj_size=2"),
        ({"output_gate": False}, "output_gate=False"),
        ({"cell_clip": 2.0}, r"cell_clip=2\.0"),
        ({"output_activation": "relu"}, "output_activation='relu'"),
        ({"gate_activation": "hard_sigmoid"}, "gate_activation='hard_sigmoid'"),
        ({"activation_clip": 3.0}, r"activation_clip=3\.0"),
    ],
)
def test_what_keras_cannot_express_is_named(options, name):
    with pytest.raises(ValueError, match=name):
        to_keras(gru_native.LSTM(3, 4, **options))
