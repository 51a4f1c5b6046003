"""What the LSTM's variants cost beside the plain cell: python bench/variants.py [--seconds 4].

All variants of one shape are timed in turn, round after round. "by MAC" is the ratio of the times
for one multiply-add of the products: a cell that lacks a gate has fewer of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from machine import describe
from problem import Array, Runner
from timing import measure

import gru_native

SIZE = 256
STEPS = 100
BATCHES = (1, 32)
PLAIN = "NP"  # Greff's name of the cell without peepholes

LAYERS: dict[str, Callable[[], gru_native.LSTM]] = {
    name: lambda name=name: gru_native.LSTM.variant(name, SIZE, SIZE, seed=1)  # type: ignore[misc]
    for name in (PLAIN, "V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG")
} | {
    "clip": lambda: gru_native.LSTM(SIZE, SIZE, cell_clip=50.0, seed=1),
    "relu": lambda: gru_native.LSTM(SIZE, SIZE, input_activation="relu", seed=1),
}


def multiply_adds(layer: gru_native.LSTM) -> int:
    """Of the products, for one row at one step."""
    return sum(w.size for w in layer.weights.values() if w.ndim == 2)


def inference(layer: gru_native.LSTM, x: Array) -> Runner:
    return Runner("", 0, lambda: layer(x), lambda: {"y": layer(x)[0]})


def training(layer: gru_native.LSTM, x: Array) -> Runner:
    def call() -> object:
        y, _, tape = layer.forward(x)
        return layer.backward(tape, y)

    return Runner("", 0, call, lambda: {"y": layer(x)[0]})


def table(batch: int, kind: Callable[[gru_native.LSTM, Array], Runner], seconds: float) -> None:
    layers = {name: make() for name, make in LAYERS.items()}
    x = np.random.default_rng(2).standard_normal((STEPS, batch, SIZE), np.float32)
    timings = measure([kind(layer, x) for layer in layers.values()], seconds, 5)
    plain, macs = timings[0].median, multiply_adds(layers[PLAIN])
    print(f"\n{kind.__name__}, T={STEPS} B={batch} H={SIZE}\n")
    print("| variant | us a call | quartiles | / plain | by MAC |\n| --- | --: | --: | --: | --: |")
    for (name, layer), t in zip(layers.items(), timings, strict=True):
        ratio = t.median / plain
        print(
            f"| {name} | {t.median * 1e6:.0f} | {t.lower * 1e6:.0f} to {t.upper * 1e6:.0f} "
            f"| {ratio:.2f} | {ratio * macs / multiply_adds(layer):.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="to spend on each table")
    parser.add_argument("--threads", type=int, default=None, help="default: all cores")
    options = parser.parse_args()
    if options.threads:
        gru_native.set_num_threads(options.threads)
    where = describe({})
    print(
        f"{where['cpu']}, {where['isa']}, {gru_native.get_num_threads()} threads, {where['date']}"
    )
    for kind in (inference, training):
        for batch in BATCHES:
            table(batch, kind, options.seconds)


if __name__ == "__main__":
    main()
