"""Models of Keras: masks, functional models, chains."""

import numpy as np
import pytest

import gru_native
from gru_native.keras import from_keras, to_keras
from helpers import assert_same_bits
from keras_models import (
    assert_same_output,
    assert_same_weights,
    coin,
    draw_weights,
    keras,
    one_of,
    random_mask,
    random_recurrent,
)

DTYPES = ("float64", "float32")
L = keras.layers


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
    other = keras.ops.any(keras.ops.not_equal(start, 7.0), axis=-1)
    with pytest.raises(ValueError, match="has a mask of its own"):
        from_keras(keras.Model(start, L.GRU(3)(L.Masking()(start), mask=other)))


@pytest.mark.parametrize("head", ["tanh", "softmax", "log_softmax"])
def test_a_model_as_a_chain_streams_and_saves(head, tmp_path):
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
