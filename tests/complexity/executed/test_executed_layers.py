"""Executed work of streams, dense layers, chains and pyramids, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import any_lengths, check, counted, executed, numbers, pick, recurrent
from gru_native import complexity
from helpers import ACTIVATION_NAMES, DENSE_ACTIVATION_NAMES


@pytest.mark.parametrize("seed", range(20))
def test_streams(seed):
    """Chunk after chunk; only the first one has no state."""
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    while spec.bidirectional:
        spec, layer = recurrent(rng, np.float32)
    stream = layer.stream(batch_size=2)
    for i in range(3):
        steps = int(rng.integers(1, 5))
        work = executed(stream, numbers(rng, np.float32, steps, 2, spec.input_size))[1]
        count = complexity.count(layer, steps, 2, state=i > 0, training=False)
        assert work == counted(count.passes)[0], layer


@pytest.mark.parametrize("seed", range(60))
def test_dense(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    inputs, outputs, seq_len, batch = (int(n) for n in rng.integers(1, 40, 4))
    layer = gru_native.Dense(
        inputs,
        outputs,
        bias=bool(rng.integers(2)),
        activation=str(rng.choice(DENSE_ACTIVATION_NAMES)),
        dtype=dtype,
        seed=1,
    )
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, dtype, seq_len, batch, inputs)
    check(
        layer,
        lambda: layer.forward(x, lengths=lengths),
        complexity.count(layer, seq_len, batch, lengths),
        numbers(rng, dtype, seq_len, batch, outputs),
        inference=lambda: layer(x, lengths=lengths),
    )


@pytest.mark.parametrize("seed", range(10))
def test_chain(seed):
    rng = np.random.default_rng(seed)
    lengths = any_lengths(rng, 4, 3)
    chain = gru_native.Chain(
        [
            gru_native.Dense(3, 7, activation="relu", seed=1),
            gru_native.GRU(7, 9, seed=2),
            gru_native.LSTM(9, 6, bidirectional=True, seed=3),
            gru_native.Dense(12, int(rng.integers(1, 20)), seed=4),
        ]
    )
    x = numbers(rng, np.float32, 4, 3, 3)
    check(
        chain,
        lambda: chain.forward(x, lengths=lengths),
        complexity.count(chain, 4, 3, lengths),
        numbers(rng, np.float32, 4, 3, chain.output_size),
        inference=lambda: chain(x, lengths=lengths),
    )


@pytest.mark.parametrize("seed", range(60))
def test_pyramid(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    inputs, hidden, seq_len, batch = (int(n) for n in rng.integers(1, [20, 40, 9, 5]))
    layer = gru_native.GatedRecursiveConv(
        inputs, hidden, activation=str(rng.choice(ACTIVATION_NAMES)), dtype=dtype, seed=1
    )
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, dtype, seq_len, batch, inputs)
    check(
        layer,
        lambda: layer.forward(x, lengths),
        complexity.count(layer, seq_len, batch, lengths),
        numbers(rng, dtype, batch, hidden),
        inference=lambda: layer(x, lengths),
    )
