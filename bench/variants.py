"""What the LSTM's variants cost beside the plain cell: python bench/variants.py [--seconds 4].

All variants of one shape are timed in turn, round after round. "by MAC" is the ratio of the times
for one multiply-add of the products: a cell that lacks a gate has fewer of them. "by weight of a
step" is that for one of the recurrent weights, which each step reads: with one sequence, this and
not the multiplying is what takes a step's time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import gru_native
from measuring.machine import describe
from measuring.problem import Array, Runner
from measuring.timing import measure

SIZES = (64, 256)
STEPS = 100
BATCHES = (1, 32)
PLAIN = "NP"  # Greff's name of the cell without peepholes


def layers_of(size: int) -> dict[str, gru_native.LSTM]:
    named = (PLAIN, "V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "FGR")
    layers = {name: gru_native.LSTM.variant(name, size, size, seed=1) for name in named}
    layers["clip"] = gru_native.LSTM(size, size, cell_clip=50.0, seed=1)
    layers["relu"] = gru_native.LSTM(size, size, input_activation="relu", seed=1)
    layers["layer norm"] = gru_native.LSTM(size, size, layer_norm=True, seed=1)
    return layers


def multiply_adds(layer: gru_native.LSTM) -> int:
    """Of the products, for one row at one step."""
    return sum(w.size for w in layer.weights.values() if w.ndim == 2)


def step_weights(layer: gru_native.LSTM) -> int:
    """Of the recurrent products."""
    names = ("weight_hh_l0", "weight_rr_l0")
    return sum(w.size for name, w in layer.weights.items() if name in names)


def inference(layer: gru_native.LSTM, x: Array) -> Runner:
    return Runner("", 0, lambda: layer(x), lambda: {"y": layer(x)[0]})


def training(layer: gru_native.LSTM, x: Array) -> Runner:
    def call() -> object:
        y, _, tape = layer.forward(x)
        return layer.backward(tape, y)

    return Runner("", 0, call, lambda: {"y": layer(x)[0]})


def table(
    size: int, batch: int, kind: Callable[[gru_native.LSTM, Array], Runner], seconds: float
) -> None:
    layers = layers_of(size)
    x = np.random.default_rng(2).standard_normal((STEPS, batch, size), np.float32)
    timings = measure([kind(layer, x) for layer in layers.values()], seconds, 5)
    plain = layers[PLAIN]
    print(f"\n{kind.__name__}, T={STEPS} B={batch} H={size}\n")
    print("| variant | us a call | quartiles | / plain | by MAC | by weight of a step |")
    print("| --- | --: | --: | --: | --: | --: |")
    for (name, layer), t in zip(layers.items(), timings, strict=True):
        ratio = t.median / timings[0].median
        by_mac = ratio * multiply_adds(plain) / multiply_adds(layer)
        by_weight = ratio * step_weights(plain) / step_weights(layer)
        print(
            f"| {name} | {t.median * 1e6:.0f} | {t.lower * 1e6:.0f} to {t.upper * 1e6:.0f} "
            f"| {ratio:.2f} | {by_mac:.2f} | {by_weight:.2f} |"
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
        for size in SIZES:
            for batch in BATCHES:
                table(size, batch, kind, options.seconds)


if __name__ == "__main__":
    main()
