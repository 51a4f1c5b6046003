"""Layers in other processes: multiprocessing's start method "spawn", and what joblib and Ray do."""

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
