"""backward without the gradient of x: the other gradients have the same bits."""

import numpy as np
import pytest

import gru_native
from gru_native import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Chain,
    Columns,
    Conv1d,
    Conv2d,
    Dense,
    Embedding,
    Image,
    LayerNorm,
    Pool,
    Residual,
)
from helpers import assert_same_bits

SEED = {"seed": 0}


def images():
    """The convolution is not the first block, but the first one that has weights."""
    blocks = [
        Image(6),
        Activation("tanh"),
        Conv2d(1, 4, 3, padding=1, activation="relu", **SEED),
        Columns(),
        GRU(24, 5, **SEED),
        Dense(5, 2, **SEED),
    ]
    return Chain(blocks)


MODELS = {
    "RNN": (RNN(6, 4, **SEED), (7, 3, 6)),
    "LSTM": (LSTM(6, 4, num_layers=2, bidirectional=True, **SEED), (7, 3, 6)),
    "Dense": (Dense(6, 4, activation="tanh", **SEED), (7, 3, 6)),
    "Conv1d": (Conv1d(6, 4, 3, activation="sigmoid", **SEED), (7, 3, 6)),
    "Conv2d": (Conv2d(2, 20, 3, stride=2, **SEED), (3, 2, 7, 6)),
    "LayerNorm": (LayerNorm(6), (7, 3, 6)),
    "Activation": (Activation("tanh"), (7, 3, 6)),
    "images": (images(), (9, 2, 6)),
    "recurrent": (Chain([LSTM(6, 4, **SEED), GRU(4, 3, **SEED), Pool("last")]), (7, 3, 6)),
    "path": (Chain([Residual(Dense(6, 6, **SEED)), Dense(6, 2, **SEED)]), (7, 3, 6)),
    "weightless": (Chain([Image(6), Activation("tanh"), Columns()]), (7, 3, 6)),
}


def assert_same_gradients(model, x):
    y, *_, tape = model.forward(x)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    whole = model.backward(tape, dy)
    part = model.backward(tape, dy, input_gradient=False)
    assert part.x is None
    assert whole.weights.keys() == part.weights.keys()
    for name, gradient in whole.weights.items():
        assert_same_bits(getattr(part.weights[name], "values", part.weights[name]), gradient)
    for a, b in zip(getattr(whole, "state", ()), getattr(part, "state", ()), strict=True):
        assert_same_bits(np.asarray(a), np.asarray(b))
    return whole


@pytest.mark.parametrize("name", MODELS)
def test_the_others_have_the_same_bits(name):
    model, shape = MODELS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert assert_same_gradients(model, x).x.shape == shape


def test_of_ids_there_is_none_anyway():
    chain = Chain([Embedding(9, 4, **SEED), GRU(4, 3, **SEED)])
    ids = np.random.default_rng(0).integers(0, 9, (5, 2))
    y, _, tape = chain.forward(ids)
    whole, part = (
        chain.backward(tape, np.ones_like(y), input_gradient=wanted) for wanted in (True, False)
    )
    assert whole.x is part.x is None
    assert_same_bits(whole.weights["0.weight"].values, part.weights["0.weight"].values)


def test_is_a_flag():
    dense = Dense(6, 4)
    y, tape = dense.forward(np.zeros((2, 6), np.float32))
    with pytest.raises(TypeError, match="input_gradient"):
        dense.backward(tape, y, input_gradient="no")


def test_what_is_not_wanted_is_not_computed(monkeypatch):
    """Of the first block that has weights the core is told so; blocks before it are not asked."""
    asked = []
    real = gru_native.layers.activation.Activation.backward
    monkeypatch.setattr(
        Activation, "backward", lambda *a, **o: asked.append("function") or real(*a, **o)
    )
    real_conv = Conv2d.backward
    monkeypatch.setattr(
        Conv2d,
        "backward",
        lambda *a, input_gradient: (
            asked.append(input_gradient) or real_conv(*a, input_gradient=input_gradient)
        ),
    )
    model, shape = MODELS["images"]
    y, _, tape = model.forward(np.zeros(shape, np.float32))
    model.backward(tape, y, input_gradient=False)
    assert asked == [False]
