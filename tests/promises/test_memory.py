"""Memory that cannot be had is a MemoryError, and nothing has changed."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("resource")  # limits are those of Unix
import fuzzing
import gru_native as gn
from gru_native import decoding, losses

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


HUGE = 10**6
PICTURES = np.ones((2, 3, 4, 4), np.float32)
SMALL = gn.GRU(3, 5, seed=1)
GRU, OWN = gn.GRU(4, 3), lambda e, g: None
JOINT = decoding.TransducerJoint(GRU, gn.Dense(5, 4))


def load_sessions(capacity):
    pool = SMALL.sessions(2)
    pool.load_state({**pool.save_state(), "capacity": capacity})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: gn.GRU(3, HUGE), "input_size=3, hidden_size=1000000"),
        (lambda: gn.LSTM(10**10, 3), "input_size=10000000000, hidden_size=3"),
        (lambda: gn.RNN(3, 16_500), "num_parameters=2723"),  # its edit finds none
        (lambda: gn.Dense(HUGE, HUGE), "output_size=1000000"),
        (lambda: gn.OutputRNN(HUGE, HUGE, 3), "hidden_size=1000000"),
        (lambda: gn.ChildSumTreeLSTM(HUGE, HUGE), "hidden_size=1000000"),
        (lambda: gn.NaryTreeLSTM(3, 50, 10**5), "arity=100000"),
        (lambda: gn.GatedGraph(HUGE, 5), "hidden_size=1000000"),
        (lambda: gn.GatedRecursiveConv(HUGE, HUGE), "hidden_size=1000000"),
        (lambda: gn.GraphSum(HUGE, 3, HUGE), "hidden_size=1000000"),
        (lambda: SMALL.stream(10**10), "batch_size=10000000000"),
        (lambda: gn.Chain([SMALL]).stream(10**10), "batch_size=10000000000"),
        (lambda: SMALL.quantize("int8").stream(10**10), "batch_size=10000000000"),
        (lambda: SMALL.sessions(10**10), "capacity=10000000000"),
        (lambda: SMALL.sessions(2).reserve(10**10), "capacity=10000000000"),
        (lambda: load_sessions(10**10), r"saved\['capacity'\]=10000000000"),
        (lambda: gn.RTRL(SMALL, batch_size=10**9), "batch_size=1000000000"),
        (lambda: gn.AttentionDecoder(HUGE, HUGE, 4, 4), "vocab_size=1000000, embedding_dim="),
        (lambda: gn.AttentionDecoder(5, 5, 3, 10**10), "memory_size=10000000000"),
        (lambda: gn.Embedding(2**24, HUGE), "num_embeddings=16777216, embedding_dim="),
        (lambda: gn.LayerNorm(10**12), "normalized_shape=1000000000000"),
        (lambda: gn.Conv1d(3, 3, 10**11), "kernel_size=100000000000"),
        (lambda: gn.Conv2d(3, 3, HUGE), "kernel_size=1000000"),
        (lambda: gn.Conv2d(3, 3, 2, padding=10**6)(PICTURES), "a request for [0-9]+ MB of memory"),
        (lambda: gn.Chain([gn.Conv1d(3, 3, HUGE)]).stream(10**5), "batch_size=100000"),
        (lambda: losses.SampledSoftmax(HUGE, HUGE, 4), "input_size=1000000, vocab_size=1000000"),
        (lambda: losses.ClassSoftmax(1, 10**11), "vocab_size=100000000000"),
        (lambda: losses.TreeSoftmax(1, 10**11), "vocab_size=100000000000"),
        (lambda: JOINT.stream(10**10), "batch_size=10000000000"),
        (lambda: decoding.TransducerJoint(GRU, OWN, encoded_size=10**15), "encoded_size=1000000"),
        (lambda: gn.Conv1d(3, 3, 2, padding=10**12)(x), "a request for [0-9]+ MB of memory"),
    ],
)
def test_sizes_for_which_there_is_no_memory_are_named(little_memory, make, says):
    with pytest.raises(MemoryError, match=says):
        make()


@pytest.mark.parametrize("layers", [10_001, 10**7, 2**62])
def test_layers_have_a_limit(layers):
    """Each takes some 10 KB, however small."""
    for kind in (gn.RNN, gn.LSTM, gn.GRU):
        with pytest.raises(ValueError, match=rf"num_layers(={layers}| is {layers}; expected)"):
            kind(1, 1, layers)


MORE_THAN_IS_FREE = """
import resource, sys, numpy as np, gru_native as gn
layer, x, out = gn.Dense(1, 2**16, seed=1), np.ones((9, 1), np.float32), None
with open("/proc/meminfo") as f:
    sizes = {name: int(rest.split()[0]) << 10 for name, rest in (line.split(":") for line in f)}
wanted = (sizes["MemAvailable"] + sizes["SwapFree"] + sizes["MemTotal"]) // 2 + 2**30
resource.setrlimit(resource.RLIMIT_AS, (2**33,) * 2)  # if nobody looks, this refuses it
def refused(call):
    try:
        call()
    except MemoryError as error:
        assert "MB are free" in f"{error} {error.__cause__}", error
        return
    sys.exit("no error")
refused(lambda: layer(np.ones((wanted // 2**18, 1), np.float32)))
refused(lambda: layer.forward(np.ones((wanted // 2**18, 1), np.float32)))
refused(lambda: gn.Dense(2**16, wanted // 2**18))
refused(lambda: gn.GRU(3, 64).stream(wanted // 2**8))
refused(lambda: gn.GRU(3, 64).sessions(wanted // 2**8))
refused(lambda: gn.Chain([gn.Dense(3, 64)]).sessions(wanted // 2**4))  # which have no state
layer(x)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others do not say what is free")
def test_requests_for_more_than_is_free_are_refused():
    """Between what is free and all that there is, the system gives it, and ends who uses it."""
    run = subprocess.run(
        [sys.executable, "-c", MORE_THAN_IS_FREE], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
