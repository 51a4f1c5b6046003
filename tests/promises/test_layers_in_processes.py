"""Layers and streams in other processes: start method "spawn", and what joblib and Ray do."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import gru_native
from copies import LAYERS, arguments_of, arrays_in
from helpers import assert_same_bits

NAMES = ("lstm_variant", "gru", "nary", "graph", "grconv", "output_rnn", "chain")


@pytest.fixture(scope="module")
def pool():
    """Two processes that import everything anew."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def trained(layer, arguments, rate):
    """The layer after a step of training, as a worker does it; and its result."""
    *outputs, tape = layer.forward(*arguments)
    gradients = layer.backward(tape, outputs[0]).weights
    with layer.editing() as weights:
        for name, gradient in gradients.items():
            weights[name] -= rate * gradient
    return layer, layer(*arguments)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_goes_to_a_process_and_comes_back(pool, name):
    layer = LAYERS[name](seed=1)
    arguments = arguments_of(layer)
    jobs = [pool.submit(trained, layer, arguments, rate) for rate in (0.125, 0.25)]
    before = layer.state_dict()
    for rate, job in zip((0.125, 0.25), jobs, strict=True):
        twin = pickle.loads(pickle.dumps(layer))  # what was sent
        _, expected = trained(twin, arguments, rate)
        back, result = job.result(timeout=120)
        for actual, wanted in zip(arrays_in(result), arrays_in(expected), strict=True):
            assert_same_bits(actual, wanted)
        for weight_name, weight in back.weights.items():
            assert_same_bits(np.asarray(weight), np.asarray(twin.weights[weight_name]))
            assert not weight.flags.writeable
    for weight_name, weight in layer.weights.items():
        assert_same_bits(np.asarray(weight), before[weight_name])


def continued(online, x):
    """A stream or RTRL after a few more steps, as a worker takes them; and its results."""
    return online, [online(step) for step in x]


ONLINE = {
    "stream": lambda: gru_native.LSTM.variant("FGR", 3, 21, dtype=np.float64, seed=1).stream(2),
    "chain's stream": lambda: LAYERS["chain"](seed=1).stream(2),
    "stream of few bits": lambda: gru_native.GRU(3, 21, seed=1).quantize("int8").stream(2),
    "rtrl": lambda: gru_native.RTRL(gru_native.LSTM(3, 5, peephole=True, seed=1), 2),
}


@pytest.mark.parametrize("make", ONLINE.values(), ids=ONLINE)
def test_a_stream_goes_on_in_a_process_and_comes_back(pool, make):
    online = make()
    dtype = np.float64 if isinstance(online, gru_native._core.Stream64) else np.float32
    x = np.random.default_rng(2).standard_normal((9, 2, 3)).astype(dtype)
    continued(online, x[:3])
    job = pool.submit(continued, copy.deepcopy(online), x[3:6])  # it is pickled some time later
    _, expected = continued(online, x[3:6])
    back, result = job.result(timeout=120)
    for actual, wanted in zip(result, expected, strict=True):
        assert_same_bits(actual, wanted)
    for actual, wanted in zip(continued(back, x[6:])[1], continued(online, x[6:])[1], strict=True):
        assert_same_bits(actual, wanted)
    if isinstance(online, gru_native.RTRL):
        dy = expected[0]
        for name, gradient in online.gradient(dy).items():
            assert_same_bits(back.gradient(dy)[name], gradient)


def test_methods_are_mapped(pool):
    layer = gru_native.GRU(3, 4, seed=1)
    xs = [np.random.default_rng(seed).standard_normal((5, 3), np.float32) for seed in range(6)]
    for x, (y, h) in zip(xs, pool.map(layer, xs), strict=True):
        assert_same_bits(y, layer(x)[0])
        assert_same_bits(h, layer(x)[1])


def test_errors_come_back_as_they_are(pool):
    job = pool.submit(gru_native.GRU(3, 4), np.zeros((5, 2), np.float32))
    with pytest.raises(ValueError, match=r"x has shape \(5, 2\)"):
        job.result(timeout=120)
