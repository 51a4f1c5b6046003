"""Convolutions as products: multiply-adds a second beside those of a dense layer.

python bench/convolutions.py [--seconds 1]

One thread, float32. A convolution forward, and its way back with and without the gradient of x, in
parts of the rate of Dense(512, 512) on 512 rows. The way back has twice the multiply-adds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from rich.console import Console

import gru_native
from gru_native import Conv1d, Conv2d, Dense
from measuring import machine, timing
from measuring.problem import Array
from measuring.table import Table, number

CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    **{
        f"Conv1d {n} -> {n}, 5 taps": (Conv1d(n, n, 5, seed=0), (500, 8, n))
        for n in (8, 16, 24, 32, 48, 64, 128)
    },
    "Conv1d 16 -> 64, 3 taps": (Conv1d(16, 64, 3, seed=0), (500, 8, 16)),
    "Conv1d 64 -> 16, 3 taps": (Conv1d(64, 16, 3, seed=0), (500, 8, 64)),
    **{
        f"Conv2d {n} -> {m}, 3 x 3": (Conv2d(n, m, 3, padding=1, seed=0), (2, n, 40, 50))
        for n, m in ((1, 16), (16, 16), (24, 24), (16, 32), (32, 32), (48, 48), (64, 64))
    },
    "Conv2d 32 -> 64, 3 x 3, stride 2": (
        Conv2d(32, 64, 3, stride=2, padding=1, seed=0),
        (2, 32, 40, 50),
    ),
    "Conv2d 48 -> 24, 1 x 1": (Conv2d(48, 24, 1, seed=0), (2, 48, 40, 50)),
    "Conv1d 64, depthwise, 9 taps": (
        Conv1d(64, 64, 9, padding=4, groups=64, seed=0),
        (500, 8, 64),
    ),
    "Conv2d 64, depthwise, 3 x 3": (
        Conv2d(64, 64, 3, padding=1, groups=64, seed=0),
        (2, 64, 40, 50),
    ),
}


def in_memory(block: Any, shape: tuple[int, ...]) -> Array:
    """An x that lies as the block reads it."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    if isinstance(block, Conv2d):
        return np.ascontiguousarray(x.transpose(3, 0, 2, 1)).transpose(1, 3, 2, 0)
    return x


def seconds_of(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Of each call the median, one after the other in turn."""
    rounds = 15
    counts = [
        max(2, int(seconds / (rounds * len(calls)) / max(timing.sample(call, 2), 1e-6)))
        for call in calls
    ]
    samples = [
        [timing.sample(c, n) for c, n in zip(calls, counts, strict=True)] for _ in range(rounds)
    ]
    return [float(s) for s in np.median(np.array(samples), 0)]


def line_of(name: str, seconds: float) -> list[str]:
    block, shape = CASES[name]
    x = in_memory(block, shape)
    y, tape = block.forward(x)
    dense, rows = Dense(512, 512, seed=0), np.ones((512, 512), np.float32)
    macs = y.size * prod(block.weights["weight"].shape[1:])
    dense_time, *times = seconds_of(
        [
            lambda: dense(rows),
            lambda: block(x),
            lambda: block.backward(tape, y),
            lambda: block.backward(tape, y, input_gradient=False),
        ],
        seconds,
    )
    rate = rows.size * 512 / dense_time
    parts = [n * macs / t / rate for n, t in zip((1, 2, 1), times, strict=True)]
    return [name, *(f"{part:.2f}" for part in parts), number(macs / times[0] / 1e9)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="to spend on each case")
    given = parser.parse_args(argv)
    gru_native.set_num_threads(1)
    lines = [line_of(name, given.seconds) for name in CASES]
    console = Console(width=140)
    console.print(machine.line(machine.describe({})) + "; 1 thread.")
    header = ("of the dense layer's rate", "forward", "backward", "without dx", "forward, GMAC/s")
    console.print(Table("Convolutions", header, lines).rich())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
