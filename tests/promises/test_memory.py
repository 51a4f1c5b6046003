"""Memory that cannot be had is a MemoryError, and nothing has changed."""

import numpy as np
import pytest

pytest.importorskip("resource")  # limits are those of Unix
import fuzzing
import gru_native as gn

x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
TOO_LONG = np.broadcast_to(x[:1, :1], (2**31, 1, 3))  # twelve bytes that are read again and again


@pytest.fixture
def little_memory():
    with fuzzing.memory():
        yield


@pytest.mark.parametrize(
    "make",
    [
        lambda: gn.GRU(3, 4, seed=1),
        lambda: gn.LSTM(3, 4, 2, bidirectional=True, seed=1),
        lambda: gn.Dense(3, 4, seed=1),
        lambda: gn.Chain([gn.GRU(3, 4, seed=1), gn.Dense(4, 2, seed=1)]),
        lambda: gn.GRU(3, 4, seed=1).quantize("int8"),
        lambda: gn.OutputRNN(3, 4, 2, seed=1),
    ],
    ids=["gru", "lstm", "dense", "chain", "int8", "output_rnn"],
)
def test_a_call(little_memory, make):
    layer = make()
    before = layer(x)
    for call in (layer, getattr(layer, "forward", layer)):
        with pytest.raises(MemoryError):
            call(TOO_LONG)
    for a, b in zip(np.atleast_1d(*before[:1]), np.atleast_1d(*layer(x)[:1]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stream(little_memory):
    layer = gn.GRU(3, 4, seed=1)
    stream = layer.stream(2)
    stream(x)
    state = stream.state
    with pytest.raises(MemoryError):
        stream(np.broadcast_to(x[:1], (2**30, 2, 3)))
    np.testing.assert_array_equal(stream.state, state)
    with pytest.raises(MemoryError):
        layer.stream(2**31)


def test_a_layer(little_memory):
    for make in (lambda: gn.GRU(2**17, 2**17), lambda: gn.Dense(2**17, 2**17)):
        with pytest.raises(MemoryError):
            make()
