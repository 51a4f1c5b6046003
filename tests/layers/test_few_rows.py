"""Products of few rows: members share them out evenly, or share out the columns of all rows."""

import numpy as np
import pytest

from checks import on_threads
from gru_native import Chain, Dense
from helpers import assert_close, assert_same_bits

ROWS = [1, 2, 3, 5, 9, 13, 25, 29, 140]
# Columns of one panel, of several whole ones, of an odd number with a part of one.
SIZES = [(96, 17), (160, 256), (131, 330), (513, 64)]
FUNCTIONS = {
    "identity": lambda a: a,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softmax": lambda a: np.exp(a) / np.exp(a).sum(-1, keepdims=True),  # of whole rows
    "log_softmax": lambda a: a - np.log(np.exp(a).sum(-1, keepdims=True)),
}
BACK = {
    "identity": lambda y, dy: dy,
    "tanh": lambda y, dy: dy * (1 - y * y),
    "relu": lambda y, dy: dy * (y > 0),
    "softmax": lambda y, dy: y * (dy - (y * dy).sum(-1, keepdims=True)),
    "log_softmax": lambda y, dy: dy - np.exp(y) * dy.sum(-1, keepdims=True),
}


def numbers(*shape):
    return np.random.default_rng(list(shape)).standard_normal(shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
@pytest.mark.parametrize("rows", ROWS)
def test_dense(rows, inputs, outputs, activation, dtype, threads):
    x, dy = numbers(rows, 1, inputs).astype(dtype), numbers(rows, 1, outputs).astype(dtype)
    layer = Dense(inputs, outputs, activation=activation, dtype=dtype, seed=1)

    def run():
        y, tape = layer.forward(x)
        grads = layer.backward(tape, dy)
        return [layer(x), y, grads.x, *(grads.weights[name] for name in ("weight", "bias"))]

    alone, *shared = on_threads(threads, run)
    for arrays in shared:
        for found, wanted in zip(arrays, alone, strict=True):
            assert_same_bits(found, wanted)

    w, b = (layer.weights[name].astype(np.float64) for name in ("weight", "bias"))
    flat = x[:, 0].astype(np.float64)
    y = FUNCTIONS[activation](flat @ w.T + b)
    d = BACK[activation](y, dy[:, 0])
    exact = [y, y, d @ w, d.T @ flat, d.sum(0)]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for found, wanted in zip(alone, exact, strict=True):
        assert_close(found.reshape(wanted.shape), wanted, tolerance)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("activation", ["relu", "softmax"])
@pytest.mark.parametrize("rows", [1, 3, 13, 29])
def test_few_bits(rows, activation, precision, threads):
    x = numbers(rows, 1, 500).astype(np.float32)
    few = Dense(500, 330, activation=activation, seed=1).quantize(precision)
    alone, *shared = on_threads(threads, lambda: few(x))
    for found in shared:
        assert_same_bits(found, alone)


@pytest.mark.parametrize("batch", [1, 3, 13])
def test_streams_of_chains(batch, threads):
    x = numbers(6, batch, 400).astype(np.float32)
    chain = Chain([Dense(400, 700, activation="tanh", seed=1), Dense(700, 300, seed=2)])

    def run():
        stream = chain.stream(batch_size=batch)
        return np.concatenate([stream(x[:1]), stream(x[1:])])

    alone, *shared = on_threads(threads, run)
    assert_same_bits(chain(x)[0], alone)
    for found in shared:
        assert_same_bits(found, alone)
