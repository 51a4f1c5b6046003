"""A Tree-LSTM learns to evaluate Boolean expressions, and goes on to deeper ones than it has seen.

    python bench/examples/boolean_trees.py [--steps 600] [--seed 0]

An expression such as `(not T xor F) and T` is a tree whose leaves are true or false and whose inner
nodes are `and`, `or`, `xor`, `unless` (a and not b: its sides are not alike) or `not`. A
binary NaryTreeLSTM reads the symbols; two scores from the root's h say true or false, and only the
root is graded. It trains on trees of depth up to 4 and is tested on trees of depth 5 to 8.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import gru_native

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
Show = Callable[[int, float], None]  # told the step and the running accuracy

SYMBOLS = ("F", "T", "not", "and", "or", "xor", "unless")
OPERATORS: dict[str, Callable[..., bool]] = {
    "not": lambda a: not a,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "xor": lambda a, b: a != b,
    "unless": lambda a, b: a and not b,
}
HIDDEN, BATCH, RATE, NORM = 32, 128, 1e-2, 1.0
TRAINED, TESTED = (1, 4), (5, 8)  # depths


@dataclass
class Forest:
    """Expressions as the layer takes them, their roots and what those are worth."""

    symbols: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, depth: int, rng: np.random.Generator) -> None:
        """A random expression of exactly this depth."""
        self.roots.append(len(self.parents))
        self.values.append(int(self._grow(depth, -1, 0, rng)))

    def _grow(self, depth: int, parent: int, slot: int, rng: np.random.Generator) -> bool:
        node = len(self.parents)
        leaf = depth == 0
        symbol = int(rng.integers(2) if leaf else rng.integers(2, len(SYMBOLS)))
        self.symbols.append(symbol)
        self.parents.append(parent)
        self.slots.append(slot)
        if leaf:
            return bool(symbol)
        operator = OPERATORS[SYMBOLS[symbol]]
        if SYMBOLS[symbol] == "not":
            return operator(self._grow(depth - 1, node, 0, rng))
        # One side is as deep as asked for, the other as it comes.
        depths = [depth - 1, int(rng.integers(depth))]
        rng.shuffle(depths)
        return operator(*(self._grow(d, node, k, rng) for k, d in enumerate(depths)))


def random_forest(trees: int, depths: tuple[int, int], rng: np.random.Generator) -> Forest:
    forest = Forest()
    for _ in range(trees):
        forest.add(int(rng.integers(depths[0], depths[1] + 1)), rng)
    return forest


class Model:
    """NaryTreeLSTM, then two scores of the root's h."""

    def __init__(self, seed: int) -> None:
        self.layer = gru_native.NaryTreeLSTM(len(SYMBOLS), HIDDEN, 2, seed=seed)
        self.readout = gru_native.Dense(HIDDEN, 2, bias=False, seed=seed + 1)
        self.adam = gru_native.optim.Adam([self.layer, self.readout], betas=(0.9, 0.99))

    @staticmethod
    def _inputs(forest: Forest) -> tuple[Floats, list[int], list[int]]:
        x = np.eye(len(SYMBOLS), dtype=np.float32)[forest.symbols]
        return x, forest.parents, forest.slots

    def accuracy(self, forest: Forest) -> float:
        h, _ = self.layer(*self._inputs(forest))
        return float(np.mean(self.readout(h[forest.roots]).argmax(1) == forest.values))

    def learn(self, forest: Forest, rate: float) -> float:
        """One step of Adam on the cross-entropy; the accuracy before it."""
        h, _, tape = self.layer.forward(*self._inputs(forest))
        scores, readout_tape = self.readout.forward(h[forest.roots])
        right = float(np.mean(scores.argmax(1) == forest.values))
        _, dscores = gru_native.losses.cross_entropy(scores, forest.values)
        of_readout = self.readout.backward(readout_tape, dscores)
        dh = np.zeros_like(h)
        dh[forest.roots] = of_readout.x
        gradients = [self.layer.backward(tape, dh).weights, of_readout.weights]
        gru_native.clip_gradients([g for weights in gradients for g in weights.values()], NORM)
        self.adam.lr = rate
        self.adam.step(gradients)
        return right


@dataclass
class Result:
    """Accuracies at the roots: after training, and on the deeper trees before it."""

    trained_depths: float
    deeper: float
    deeper_before: float


def run(steps: int, seed: int, show: Show = lambda step, accuracy: None) -> Result:
    rng = np.random.default_rng(seed)
    test = random_forest(2000, TESTED, rng)
    seen = random_forest(2000, TRAINED, rng)
    model = Model(seed)
    before = model.accuracy(test)
    running = 0.5
    for step in range(steps):
        right = model.learn(random_forest(BATCH, TRAINED, rng), RATE * (1 - step / steps))
        running += 0.02 * (right - running)
        show(step + 1, running)
    return Result(model.accuracy(seen), model.accuracy(test), before)


def main() -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with Progress(
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} steps, {task.fields[right]:.1%} right"),
        TimeRemainingColumn(),
    ) as bar:
        task = bar.add_task("", total=options.steps, right=0.5)
        result = run(
            options.steps,
            options.seed,
            lambda step, accuracy: bar.update(task, completed=step, right=accuracy),
        )
    print(f"depth {TRAINED[0]} to {TRAINED[1]}, as trained on: {result.trained_depths:.1%} right")
    print(
        f"depth {TESTED[0]} to {TESTED[1]}: {result.deeper:.1%} right, "
        f"{result.deeper_before:.1%} before training"
    )


if __name__ == "__main__":
    main()
