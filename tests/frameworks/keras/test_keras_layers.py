"""Layers and models from Keras and back: the same outputs, and the same bits of every weight."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import gru_native
from gru_native.keras import Recurrent, from_keras, to_keras
from helpers import CELLS, assert_same_bits, random_weights, run_python, spec_of
from helpers import make_layer as make_native
from keras_models import (
    arrays,
    assert_same_output,
    assert_same_weights,
    built,
    coin,
    double,  # noqa: F401  a fixture of every test here
    draw_weights,
    keras,
    one_of,
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


# --- layers of the core to Keras


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


# --- models


def random_model(rng, dtype):
    """Recurrent layers and others between them, with a head or without."""
    width, layers = 4, [L.Masking(0.5, dtype=dtype)] if coin(rng) else []
    for _ in range(int(rng.integers(1, 4))):
        kind = one_of(rng, ("recurrent", "bidirectional", "dense", "dropout"))
        if kind == "recurrent":
            layers.append(random_recurrent(rng, dtype, return_sequences=True, return_state=False))
        elif kind == "bidirectional":
            inner = random_recurrent(
                rng, dtype, return_sequences=True, return_state=False, go_backwards=False
            )
            mode = one_of(rng, ("concat", "sum", "mul", "ave"))
            layers.append(L.Bidirectional(inner, merge_mode=mode, dtype=dtype))
        elif kind == "dense":
            dense = L.Dense(5, activation=one_of(rng, ("elu", "tanh", "softsign")), dtype=dtype)
            layers.append(L.TimeDistributed(dense, dtype=dtype) if coin(rng) else dense)
        else:
            layers.append(L.Dropout(0.5, dtype=dtype))
    layers.append(random_recurrent(rng, dtype, return_state=False))
    if coin(rng):
        layers.append(L.Dense(3, activation="softmax", dtype=dtype))
    model = keras.Sequential([keras.Input((None, width), dtype=dtype), *layers])
    return draw_weights(model, rng), width


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(7))
def test_models(seed, dtype):
    rng = np.random.default_rng([27, seed])
    model, width = random_model(rng, dtype)
    x = rng.standard_normal((4, 6, width)).astype(dtype)
    x[0, 2:4] = x[1, :2] = x[2, 4:] = x[3] = 0.5  # what Masking looks for
    ours = from_keras(model)
    assert_same_output(ours(x), model(x), dtype)
    assert_same_weights(ours.get_weights(), model.get_weights())
    back = to_keras(ours)
    assert_same_weights(back.get_weights(), model.get_weights())
    assert_same_output(ours(x), back(x), dtype)
    mask = random_mask(rng, 4, 6)
    if not isinstance(model.layers[0], L.Masking):
        assert_same_output(ours(x, mask=mask), model(x, mask=mask), dtype)


def test_an_embedding_masks_zero():
    rng = np.random.default_rng(28)
    model = keras.Sequential(
        [keras.Input((None,), dtype="int32"), L.Embedding(9, 4, mask_zero=True), L.GRU(5)]
    )
    draw_weights(model, rng)
    x = rng.integers(0, 9, (6, 7))
    x[0, 3:] = x[1, :2] = x[2] = 0
    ours = from_keras(model)
    assert_same_output(ours(x), model(x), "float64")
    assert_same_output(ours(x), to_keras(ours)(x), "float64")
    with pytest.raises(ValueError, match=r"layer 'embedding.*x holds 0 to 9; expected 0 to 8"):
        ours(np.arange(10)[None])


def test_a_functional_model_in_a_row():
    rng = np.random.default_rng(29)
    start = keras.Input((None, 4))
    h = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Masking()(start))
    model = draw_weights(keras.Model(start, L.Dense(2)(L.GRU(3)(h))), rng)
    x = rng.standard_normal((3, 5, 4))
    x[0, 1:3] = 0
    assert_same_output(from_keras(model)(x), model(x), "float64")
    fork = keras.Model(start, L.Add()([L.GRU(3)(h), L.LSTM(3)(h)]))
    with pytest.raises(ValueError, match=r"does not read just the layer before it"):
        from_keras(fork)
    with pytest.raises(ValueError, match="expected the last layer's output only"):
        from_keras(keras.Model(start, [h, L.GRU(3)(h)]))
    other = keras.ops.any(keras.ops.not_equal(start, 7.0), axis=-1)
    with pytest.raises(ValueError, match="has a mask of its own"):
        from_keras(keras.Model(start, L.GRU(3)(L.Masking()(start), mask=other)))


@pytest.mark.parametrize("head", ["tanh", "softmax", "log_softmax"])
def test_a_model_as_a_chain_streams_and_saves(head, tmp_path):
    pytest.importorskip("safetensors")
    rng = np.random.default_rng(30)
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            L.RNN([L.GRUCell(5), L.LSTMCell(3)], return_sequences=True),
            L.Dropout(0.3),
            L.LSTM(6),
            L.Dense(2, activation=head),
        ]
    )
    draw_weights(model, rng)
    x = rng.standard_normal((1, 7, 4))
    chain = from_keras(model).chain()
    gru_native.save(chain, tmp_path / "model.safetensors")
    stream = gru_native.load(tmp_path / "model.safetensors").stream()
    steps = np.stack([stream(x[0, t]) for t in range(7)])
    assert_same_output(np.ascontiguousarray(steps[-1:]), model(x), "float64")
    assert_same_bits(steps[-1:], from_keras(model)(x))


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (lambda: [L.LSTM(3, go_backwards=True)], "goes backwards"),
        (lambda: [L.Masking(), L.LSTM(3)], r"'masking.*' \(Masking\) cannot be part of a Chain"),
        (lambda: [L.Bidirectional(L.LSTM(3))], "cannot be part of a Chain"),
        (lambda: [L.LSTM(3), L.Dense(3, "silu")], "has activation 'silu'"),
        (lambda: [L.LSTM(3), L.Activation("softmax")], r"'activation.*' \(Activation\) cannot be"),
    ],
)
def test_what_a_chain_cannot_express_is_named(layers, text):
    model = keras.Sequential([keras.Input((None, 4)), *layers()])
    with pytest.raises(ValueError, match=text):
        from_keras(model).chain()


# --- errors


class Own(L.LSTM):
    pass


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: L.LSTM(3, activation="gelu", name="a"), "layer 'a': activation is 'gelu'"),
        (
            lambda: L.GRU(3, recurrent_activation="mish", name="a"),
            "layer 'a': recurrent_activation is 'mish'",
        ),
        (
            lambda: L.SimpleRNN(3, dtype="mixed_float16", name="a"),
            "layer 'a': dtype is 'mixed_float16'",
        ),
        (lambda: L.Conv1D(3, 1, name="a"), "layer 'a' is a Conv1D; expected"),
        (lambda: Own(3, name="a"), "layer 'a' is a Own, which is no class of Keras's own"),
        (
            lambda: L.Bidirectional(L.GRU(3, activation=keras.activations.mish), name="a"),
            "layer 'forward_gru.*': activation is 'mish'",
        ),
        (
            lambda: L.RNN([L.LSTMCell(3), Cell(3)], name="a"),
            "is a Cell, which is no class of Keras's own",
        ),
        (lambda: L.Dense(3, activation="sparsemax", name="a"), "activation is 'sparsemax'"),
    ],
)
def test_layers_that_are_not_known_are_named(layer, text):
    layer = layer()
    layer.build((None, None, 4))
    with pytest.raises(ValueError, match=text):
        from_keras(layer)


class Cell(L.LSTMCell):
    pass


def test_other_errors_name_the_argument():
    with pytest.raises(ValueError, match="layer 'a' has no weights yet"):
        from_keras(L.LSTM(3, name="a"))
    with pytest.raises(TypeError, match="layer is a list"):
        from_keras([1])
    with pytest.raises(TypeError, match="layer is a list"):
        to_keras([1])
    stateful = L.LSTM(3, stateful=True, name="a")
    stateful.build((2, None, 4))
    with pytest.raises(ValueError, match="layer 'a': stateful is True"):
        from_keras(stateful)

    rng = np.random.default_rng(31)
    layer = from_keras(built(L.LSTM(3), 4, rng))
    x = np.zeros((2, 5, 4))
    with pytest.raises(ValueError, match=r"x has shape \(5, 4\); expected \(batch, seq_len, input"):
        layer(x[0])
    with pytest.raises(TypeError, match="x has dtype float32; expected float64"):
        layer(x.astype(np.float32))
    with pytest.raises(ValueError, match="initial_state has 1 arrays; expected 2 for a LSTM"):
        layer(x, [np.zeros((2, 3), np.float64)])
    with pytest.raises(ValueError, match=r"mask has shape \(2, 4\)"):
        layer(x, mask=np.ones((2, 4), bool))
    model = from_keras(
        draw_weights(keras.Sequential([keras.Input((None, 4)), L.GRU(2, name="a")]), rng)
    )
    with pytest.raises(ValueError, match="layer 'a': x has shape"):
        model(x[..., :3])


def test_importing_it_imports_neither_keras_nor_h5py():
    code = (
        "import sys, gru_native; assert 'gru_native.keras' not in sys.modules\n"
        "import gru_native.keras; found = {'keras', 'h5py', 'torch'} & set(sys.modules)\n"
        "assert not found, found"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_without_keras_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install \"gru-native\[keras\]\""):
        to_keras(gru_native.LSTM(3, 4))
    with pytest.raises(TypeError, match="layer is a LSTM; expected a layer or a model of Keras"):
        from_keras(gru_native.LSTM(3, 4))
