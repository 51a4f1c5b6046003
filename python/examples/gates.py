"""How a sequence is put together, by a pyramid that learns it by itself.

Gated recursive convolution (grConv) [1]_ joins neighbours, level by level, until one vector is
left; its gates say at each place whether something new is made of the two, or one of them is
passed on. Here it learns what Boolean expressions in brackets are worth, such as `true and ( no
or yes )`, out of expressions and their values alone, and is measured on others. The simple method
counts the words. `gates.png` shows how an expression is put together: dark lines are open gates.

    python gates.py --minutes 2

.. [1] K. Cho, B. van Merrienboer, D. Bahdanau and Y. Bengio, "On the Properties of Neural Machine
   Translation: Encoder-Decoder Approaches", SSST-8, 2014.
"""

from __future__ import annotations

import sys
import zlib
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
import gru_native
from encoder_decoder import padded
from gru_native import (
    Dense,
    Embedding,
    GatedRecursiveConv,
    clip_gradients,
    draw_gates,
    losses,
    optim,
)

NAME, MINUTES = "gates", 2.0
WORDS = ("no", "yes", "false", "true", "and", "or", "xor", "(", ")")
COLUMNS, HIDDEN, BATCH, RATE = 16, 48, 64, 5e-3
SHOWN = "true and ( no or yes )"
LENGTHS = {"1-3 words": (1, 3), "4-7": (4, 7), "8-11": (8, 11), "more": (12, 1000)}

Words = list[str]


class Expressions(NamedTuple):
    words: list[Words]
    values: list[int]

    @property
    def ids(self) -> NDArray[np.int64]:
        """(longest, expressions), zeros past the ends."""
        return padded([[WORDS.index(word) for word in words] for words in self.words])

    @property
    def lengths(self) -> list[int]:
        return [*map(len, self.words)]


def expression(depth: int, rng: np.random.Generator) -> tuple[Words, bool]:
    """A random one of at most this depth, and what it is worth."""
    if depth == 0 or rng.random() < 0.2:
        value = bool(rng.integers(2))
        return [WORDS[value + 2 * rng.integers(2)]], value
    (left, a), (right, b) = (expression(depth - 1, rng) for _ in range(2))
    operator = WORDS[4 + rng.integers(3)]
    value = {"and": a and b, "or": a or b, "xor": a != b}[operator]
    sides = [side if len(side) == 1 else ["(", *side, ")"] for side in (left, right)]
    return [*sides[0], operator, *sides[1]], value


def is_held_out(words: Words) -> bool:
    """One expression in ten, in all runs, and the one that is drawn; none of a single word."""
    text = " ".join(words)
    return text == SHOWN or (len(words) > 1 and zlib.crc32(text.encode()) % 10 == 0)


def expressions(
    count: int, depth: int, rng: np.random.Generator, held_out: bool = False
) -> Expressions:
    found: list[tuple[Words, bool]] = []
    while len(found) < count:
        words, value = expression(depth, rng)
        if is_held_out(words) == held_out:
            found.append((words, value))
    return Expressions([words for words, _ in found], [int(value) for _, value in found])


class Model:
    """Columns for the words, the pyramid, and two scores of what is at its top."""

    def __init__(self, seed: int) -> None:
        self.columns = Embedding(len(WORDS), COLUMNS, seed=seed)
        self.pyramid = GatedRecursiveConv(COLUMNS, HIDDEN, seed=seed + 1)
        self.head = Dense(HIDDEN, 2, seed=seed + 2)

    @property
    def parts(self) -> dict[str, Any]:
        return {"columns": self.columns, "pyramid": self.pyramid, "head": self.head}

    def learn(self, some: Expressions, adam: optim.Adam) -> float:
        """One step. Returns the loss before it."""
        x, looked_up = self.columns.forward(some.ids)
        top, levels = self.pyramid.forward(x, some.lengths)
        logits, scored = self.head.forward(top)
        loss, dlogits = losses.cross_entropy(logits, some.values)
        of_head = self.head.backward(scored, dlogits)
        of_pyramid = self.pyramid.backward(levels, of_head.x)
        grads: list[Any] = [self.columns.backward(looked_up, of_pyramid.x), of_pyramid, of_head]
        clip_gradients([g for part in grads for g in part.weights.values()], 1.0)
        adam.step(grads)
        return float(loss)

    def right(self, some: Expressions) -> NDArray[np.bool_]:
        top = self.pyramid(self.columns(some.ids), some.lengths)
        return np.asarray(self.head(top).argmax(-1) == some.values)

    def gates(self, some: Expressions) -> list[NDArray[Any]]:
        _, gates = self.pyramid(self.columns(some.ids), some.lengths, return_gates=True)
        return gates


def train(model: Model, depth: int, course: common.Course, rng: np.random.Generator) -> None:
    adam = optim.Adam([*model.parts.values()])
    mean = np.log(2)
    for done in course:
        adam.lr = RATE * (1 - done)
        mean += 0.02 * (model.learn(expressions(BATCH, depth, rng), adam) - mean)
        course.figures = f"loss {mean:.3f}"


def by_counts(learnt: Expressions, some: Expressions) -> NDArray[np.bool_]:
    """What is linear in how often each word comes, by least squares."""

    def counted(of: Expressions) -> NDArray[np.float64]:
        return np.array([[1, *map(words.count, WORDS)] for words in of.words], float)

    weights, *_ = np.linalg.lstsq(counted(learnt), 2 * np.array(learnt.values) - 1, rcond=None)
    return np.asarray((counted(some) @ weights > 0) == some.values)


def made_new(gates: list[NDArray[Any]], some: Expressions) -> tuple[float, float]:
    """How open the gate for something new is: where a part in brackets is whole, and elsewhere."""
    whole: list[float] = []
    other: list[float] = []
    for b, words in enumerate(some.words):
        for level in range(len(words) - 1):
            for first in range(len(words) - 1 - level):
                part = words[first : first + level + 2]
                (whole if is_whole(part) else other).append(gates[level][first, b, 0])
    return float(np.mean(whole)), float(np.mean(other))


def is_whole(part: Words) -> bool:
    """Whether it is in brackets, and the last one closes the first."""
    open_ones = np.cumsum([(word == "(") - (word == ")") for word in part])
    return part[0] == "(" and open_ones[-1] == 0 and bool((open_ones[:-1] > 0).all())


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    depth, steps = (2, 800) if options.quick else (3, None)
    if options.quick and options.threads is None:
        gru_native.set_num_threads(1)  # so small a network gains nothing by more
    learnt = expressions(5000, depth, rng)
    held_out = expressions(1000, depth, rng, held_out=True)
    course = common.Course(60 * options.minutes, steps)
    length = f"{steps} steps" if steps else f"{course.seconds:.0f} s"
    print(f"1,000 expressions are held out; {length} of training")
    model, again = Model(options.seed), Model(options.seed + 1)
    train(model, depth, course, rng)
    common.keep(model.parts, options.out / "gates.npz")
    common.take_up(again.parts, options.out / "gates.npz")
    found = {"counts of words": by_counts(learnt, held_out), "grConv": again.right(held_out)}
    lengths = np.array(held_out.lengths)
    rows: list[dict[str, Any]] = []
    for method, right in found.items():
        row: dict[str, Any] = {"method": method, "right %": 100 * float(right.mean())}
        for name, (least, most) in LENGTHS.items():
            own = (lengths >= least) & (lengths <= most)
            if own.any():
                row[name] = 100 * float(right[own].mean())
        rows.append(row)
    whole, other = made_new(again.gates(held_out), held_out)
    print(f"something new is made at {whole:.0%} of wholes in brackets, at {other:.0%} elsewhere")
    shown = Expressions([SHOWN.split()], [1])
    gates = again.gates(shown)
    print(draw_gates(gates, shown.words[0]))
    common.picture(options.out / "lengths.png", partial(common.bars, rows, "length"))
    try:
        draw_gates(gates, shown.words[0], path=options.out / "gates.png")
    except ImportError:
        print("gates.png is not drawn: matplotlib is not installed", file=sys.stderr)
    return common.Result(rows[1]["right %"], rows[0]["right %"], True, rows)


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
