"""What a Boolean expression is worth, and how two of them are related, by a Tree-LSTM.

An expression such as `(not T xor F) and T` is a tree whose leaves are true or false and whose inner
nodes are `and`, `or`, `xor`, `unless` (a and not b: its sides are not alike) or `not`. A binary
NaryTreeLSTM [1]_ reads the symbols, and what stands on its roots are the paper's two heads: one
that says a class, here true or false; then one that says how related two trees are, here from 1 to
5: two more if they are worth the same, and two more if they have the same symbol at the root. It
trains on trees of depth up to 4 and is tested on trees of depth 5 to 8. The simple methods know the
symbol at the root, and the mean.

    python trees.py --minutes 1

.. [1] K. S. Tai, R. Socher and C. D. Manning, "Improved Semantic Representations From
   Tree-Structured Long Short-Term Memory Networks", ACL 2015.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from gru_native import NaryTreeLSTM, clip_gradients, optim
from heads import NodeClasses, Relatedness

NAME, MINUTES = "trees", 1.0
Floats = NDArray[np.float32]

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
TREES = 2000  # to measure with


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

    @property
    def tops(self) -> list[int]:
        """The symbols at the roots."""
        return [self.symbols[root] for root in self.roots]

    @property
    def relatedness(self) -> Floats:
        """Of the first half of the trees to the second half, one by one."""
        half = len(self.roots) // 2
        values, tops = np.array(self.values), np.array(self.tops)
        same = [(a[:half] == a[half:]).astype(np.float32) for a in (values, tops)]
        return np.asarray(1 + 2 * same[0] + 2 * same[1])


def random_forest(trees: int, depths: tuple[int, int], rng: np.random.Generator) -> Forest:
    forest = Forest()
    for _ in range(trees):
        forest.add(int(rng.integers(depths[0], depths[1] + 1)), rng)
    return forest


class Model:
    """NaryTreeLSTM and the two heads on its roots."""

    def __init__(self, seed: int) -> None:
        self.layer = NaryTreeLSTM(len(SYMBOLS), HIDDEN, 2, seed=seed)
        self.classes = NodeClasses(HIDDEN, 2, seed=seed + 1)
        self.related = Relatedness(HIDDEN, seed=seed + 2)

    @property
    def parts(self) -> dict[str, Any]:
        compare, say = self.related.layers
        return {"tree": self.layer, "class": self.classes.dense, "compare": compare, "say": say}

    @staticmethod
    def _inputs(forest: Forest) -> tuple[Floats, list[int], list[int]]:
        x = np.eye(len(SYMBOLS), dtype=np.float32)[forest.symbols]
        return x, forest.parents, forest.slots

    def accuracy(self, forest: Forest) -> float:
        h, _ = self.layer(*self._inputs(forest))
        return float(np.mean(self.classes(h[forest.roots]) == forest.values))

    def error(self, forest: Forest) -> float:
        """The mean square error of what is said of relatedness."""
        h, _ = self.layer(*self._inputs(forest))
        said = self.related(*np.split(h[forest.roots], 2))
        return float(np.mean((said - forest.relatedness) ** 2))

    def learn_values(self, forest: Forest, adam: optim.Adam) -> float:
        """One step. Returns the loss before it."""
        h, _, tape = self.layer.forward(*self._inputs(forest))
        loss, droots, of_head = self.classes.learn(h[forest.roots], forest.values)
        self._step(adam, forest, h, tape, droots, of_head)
        return loss

    def learn_relatedness(self, forest: Forest, adam: optim.Adam) -> float:
        """Likewise."""
        h, _, tape = self.layer.forward(*self._inputs(forest))
        left, right = np.split(h[forest.roots], 2)
        loss, dleft, dright, of_head = self.related.learn(left, right, forest.relatedness)
        self._step(adam, forest, h, tape, np.concatenate([dleft, dright]), of_head)
        return loss

    def _step(
        self, adam: optim.Adam, forest: Forest, h: Floats, tape: Any, droots: Any, of_head: Any
    ) -> None:
        dh = np.zeros_like(h)
        dh[forest.roots] = droots
        grads = [self.layer.backward(tape, dh), *of_head]
        clip_gradients([g for part in grads for g in part.weights.values()], NORM)
        adam.step(grads)


def train(
    model: Model, head: Any, learn: Any, course: common.Course, rng: np.random.Generator
) -> None:
    """The layer and one of the heads."""
    adam = optim.Adam([model.layer, *head.layers], betas=(0.9, 0.99))
    mean: float | None = None
    for done in course:
        adam.lr = RATE * (1 - done)
        loss = learn(random_forest(BATCH, TRAINED, rng), adam)
        mean = loss if mean is None else mean + 0.02 * (loss - mean)
        course.figures = f"loss {mean:.3f}"


def by_the_root(seen: Forest, forest: Forest) -> float:
    """The share that is right if only the symbol at the root is known."""
    likely = [
        np.mean([v for v, top in zip(seen.values, seen.tops, strict=True) if top == symbol] or [0])
        for symbol in range(len(SYMBOLS))
    ]
    return float(np.mean([likely[t] > 0.5 for t in forest.tops] == np.array(forest.values, bool)))


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    test, seen = random_forest(TREES, TESTED, rng), random_forest(TREES, TRAINED, rng)
    seconds = 4.0 if options.quick else 60 * options.minutes
    print(
        f"trees of depth {TRAINED[0]} to {TRAINED[1]} to learn from, {TREES:,} of depth "
        f"{TESTED[0]} to {TESTED[1]} to measure with; {seconds:.0f} s of training"
    )
    model = Model(options.seed)
    before = model.accuracy(test)
    train(model, model.classes, model.learn_values, common.Course(0.7 * seconds), rng)
    values = model.accuracy(seen), model.accuracy(test)
    depths = range(1, TESTED[1] + 3)
    curve = [model.accuracy(random_forest(500, (depth, depth), rng)) for depth in depths]
    train(model, model.related, model.learn_relatedness, common.Course(0.3 * seconds), rng)
    again = Model(options.seed + 1)
    common.keep(model.parts, options.out / "trees.npz")
    common.take_up(again.parts, options.out / "trees.npz")
    wanted = test.relatedness
    rows = [
        ("value, right %", "by the symbol at the root", 100 * by_the_root(seen, test)),
        ("value, right %", "Tree-LSTM, before training", 100 * before),
        ("value, right %", "Tree-LSTM, depths as trained on", 100 * values[0]),
        ("value, right %", "Tree-LSTM", 100 * values[1]),
        ("relatedness, mean square error", "the mean", float(wanted.var())),
        ("relatedness, mean square error", "Tree-LSTM", again.error(test)),
    ]
    common.picture(options.out / "depths.png", partial(draw, depths, curve))
    table = [dict(zip(("of deeper trees", "method", "result"), row, strict=True)) for row in rows]
    return common.Result(rows[3][2], rows[0][2], True, table)


def draw(depths: range, curve: list[float], axes: Any) -> None:
    axes.plot(depths, [100 * share for share in curve], "o-")
    axes.axvline(TRAINED[1] + 0.5, color="k", ls=":", label="deeper than trained on")
    axes.set(xlabel="depth", ylabel="values that are right, %", ylim=(45, 101))
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
