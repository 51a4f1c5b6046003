"""Executed work of convolutions and pools against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import any_lengths, check, numbers, pick
from gru_native import complexity


def run(layer, rng, dtype, seq_len, batch, inputs, least):
    lengths = None
    if rng.integers(2):
        lengths = np.where(any_lengths(rng, seq_len, batch) > 0, seq_len - rng.integers(2), 0)
        lengths[0] = seq_len
    x = numbers(rng, dtype, seq_len, batch, inputs)
    y = layer(x, lengths=lengths)
    check(
        layer,
        lambda: layer.forward(x, lengths=lengths),
        complexity.count(layer, seq_len, batch, lengths),
        numbers(rng, dtype, *(y[0] if isinstance(y, tuple) else y).shape),
        inference=lambda: layer(x, lengths=lengths),
    )


@pytest.mark.parametrize("seed", range(40))
def test_convolutions_over_time(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    groups, kernel, dilation = (int(n) for n in rng.integers(1, [4, 5, 4]))
    inputs, outputs = groups * int(rng.integers(1, 9)), groups * int(rng.integers(1, 20))
    layer = gru_native.Conv1d(
        inputs,
        outputs,
        kernel,
        stride=int(rng.integers(1, 4)),
        dilation=dilation,
        groups=groups,
        padding=pick(rng, "causal", "valid", int(rng.integers(0, 3))),
        bias=bool(rng.integers(2)),
        activation=str(rng.choice(["identity", "tanh", "relu"])),
        dtype=dtype,
        seed=1,
    )
    least = (kernel - 1) * dilation + 2
    run(layer, rng, dtype, least + int(rng.integers(6)), 2, inputs, least)


@pytest.mark.parametrize("seed", range(40))
def test_images(seed):
    rng = np.random.default_rng(seed)
    o = {"dtype": pick(rng, np.float32, np.float64)}
    groups = int(rng.integers(1, 3))
    sides = [tuple(int(n) for n in rng.integers(1, high, 2)) for high in (4, 4, 3)]
    kernel, stride, dilation = sides
    padding = pick(rng, "valid", tuple(int(n) for n in rng.integers(0, 3, 2)))
    channels = groups * int(rng.integers(1, 20))
    pool = [gru_native.MaxPool2d, gru_native.AvgPool2d][seed % 2]
    chain = gru_native.Chain(
        [
            gru_native.Image(14, **o),
            gru_native.Conv2d(1, 2 * groups, 2, seed=1, activation="tanh", **o),
            gru_native.Conv2d(
                2 * groups,
                channels,
                kernel,
                stride,
                padding,
                dilation,
                groups,
                bool(rng.integers(2)),
                seed=2,
                **o,
            ),
            pool((2, 1), (1, 2), (1, 0), ceil_mode=bool(rng.integers(2)), **o),
            gru_native.Columns(**o),
        ]
    )
    run(chain, rng, o["dtype"], 9 + int(rng.integers(6)), 2, 14, 9)
