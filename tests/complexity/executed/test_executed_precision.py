"""Executed work of layers with weights of few bits, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import any_lengths, counted, executed, numbers, pick, recurrent
from gru_native import complexity


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(40))
def test_recurrent(seed, precision, threads):
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    seq_len, batch = (int(n) for n in rng.integers(1, [6, 80]))
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, np.float32, seq_len, batch, spec.input_size)
    fast = layer.quantize(precision)
    gru_native.set_num_threads(threads)
    try:
        work = executed(fast, x, lengths=lengths)[1]
    finally:
        gru_native.set_num_threads(1)
    count = complexity.count(fast, seq_len, batch, lengths, training=False)
    assert work == counted(count.passes)[0], layer
    asked = complexity.count(layer, seq_len, batch, lengths, training=False, precision=precision)
    assert asked.passes == count.passes


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(20))
def test_chain(seed, precision):
    rng = np.random.default_rng(seed)
    chain = gru_native.Chain(
        [
            gru_native.Dense(3, 7, activation=pick(rng, "relu", "softmax"), seed=1),
            gru_native.GRU(7, 300, seed=2),
            gru_native.LSTM(300, 6, bidirectional=True, seed=3),
            gru_native.Dense(12, int(rng.integers(1, 20)), seed=4),
        ]
    )
    steps, batch = (int(n) for n in rng.integers(1, [5, 40]))
    x = numbers(rng, np.float32, steps, batch, 3)
    fast = chain.quantize(precision)
    work = executed(fast, x)[1]
    assert work == counted(complexity.count(fast, steps, batch, training=False).passes)[0]


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(10))
def test_output_rnn(seed, precision, taught):
    rng = np.random.default_rng(seed)
    sizes = (int(n) for n in rng.integers(1, 60, 3))
    layer = gru_native.OutputRNN(*sizes, bias=bool(rng.integers(2)), activation="relu", seed=1)
    steps, batch = (int(n) for n in rng.integers(1, [6, 80]))
    x = numbers(rng, np.float32, steps, batch, layer.input_size)
    targets = numbers(rng, np.float32, steps, batch, layer.output_size) if taught else None
    fast = layer.quantize(precision)
    gru_native.set_num_threads(1 + seed % 2)
    try:
        work = executed(fast, x, targets=targets)[1]
    finally:
        gru_native.set_num_threads(1)
    count = complexity.count(fast, steps, batch, training=False, taught=taught)
    assert work == counted(count.passes)[0], layer
