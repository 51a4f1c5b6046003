"""Reber's strings in an endless stream: an LSTM learns them, and when to forget.

Each string is a walk through Reber's graph between two T or two P: the first says what the last but
one will be. One string follows the other, unmarked, and the state is never reset [1]_. A string has
12 symbols on average, of which 7 are fair choices of two: no prediction is better than 7 ln2 / 12 =
0.40434 nats a symbol, and none that has lost the outer T or P is better than 8 ln2 / 12 = 0.46210.
Truncated back-propagation: each window begins with the state in which the last one ended, where its
gradient stops. An LSTM with a forget gate stands beside the cell of 1997, which has none and loses
the outer symbol. The simple method knows what follows the last three symbols how often.

    python reber.py --minutes 1

.. [1] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget: Continual Prediction with
   LSTM", Neural Computation 12, 2000.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from gru_native import LSTM, Chain, Dense, clip_gradients, losses, optim

NAME, MINUTES = "reber", 1.0
Symbols = NDArray[np.int64]

ALPHABET = "BEPSTVX"
# state: what may follow, each as likely, and where it leads; 6 is the end.
GRAPH: dict[int, tuple[tuple[str, int], ...]] = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
    5: (("E", 6),),
}
BEST, FORGETFUL = 7 * np.log(2) / 12, 8 * np.log(2) / 12
HIDDEN, STREAMS, WINDOW, WINDOWS, RATE, NORM = 24, 32, 40, 1200, 1e-2, 1.0
HELD_OUT = 120_000  # symbols


def string(rng: np.random.Generator) -> str:
    """One string of the embedded grammar: B, T or P, a string of Reber's, the same again, E."""
    outer, walk, state = "TP"[rng.integers(2)], "B", 0
    while state != 6:
        edges = GRAPH[state]
        symbol, state = edges[rng.integers(2)] if len(edges) > 1 else edges[0]
        walk += symbol
    return f"B{outer}{walk}{outer}E"


@dataclass
class Text:
    """Symbols (symbols, streams) by their places in ALPHABET; `outer` marks the last T or P."""

    symbols: Symbols
    outer: NDArray[np.bool_]


def streams(length: int, count: int, rng: np.random.Generator) -> Text:
    """Endless streams, side by side, each from the beginning of a string on."""
    symbols = np.empty((length, count), np.int64)
    outer = np.zeros((length, count), np.bool_)
    for stream in range(count):
        numbers: list[int] = []
        marks: list[bool] = []
        while len(numbers) < length:
            word = string(rng)
            numbers += map(ALPHABET.index, word)
            marks += [False] * (len(word) - 2) + [True, False]
        symbols[:, stream], outer[:, stream] = numbers[:length], marks[:length]
    return Text(symbols, outer)


def one_hot(symbols: Symbols) -> NDArray[np.float32]:
    return np.eye(len(ALPHABET), dtype=np.float32)[symbols]


class Model:
    """LSTM, then a score for each symbol that might be next."""

    def __init__(self, forget_gate: bool, seed: int) -> None:
        lstm = LSTM(len(ALPHABET), HIDDEN, forget_gate=forget_gate, seed=seed)
        if forget_gate:
            with lstm.editing() as weights:  # to remember, at first
                weights["bias_ih_l0"][HIDDEN : 2 * HIDDEN] = 1
        self.chain = Chain([lstm, Dense(HIDDEN, len(ALPHABET), seed=seed + 1)])
        self.adam = optim.Adam(self.chain, betas=(0.9, 0.99))

    def learn(self, symbols: Symbols, state: Any) -> tuple[float, Any]:
        """One window and the symbol after it: its cross-entropy before the step, its last state."""
        scores, state, tape = self.chain.forward(one_hot(symbols[:-1]), state)
        loss, dscores = losses.cross_entropy(scores, symbols[1:])
        gradients = self.chain.backward(tape, dscores).weights
        clip_gradients(gradients, NORM)
        self.adam.step(gradients)
        return float(loss), state


def train(model: Model, course: common.Course, rng: np.random.Generator) -> list[float]:
    """The cross-entropy over the steps, as a running mean. Streams end after WINDOWS windows."""
    running, at, state = float(np.log(len(ALPHABET))), 0, None
    text = streams(WINDOWS * WINDOW + 1, STREAMS, rng)
    curve = []
    for done in course:
        if at + WINDOW >= len(text.symbols):
            text, at, state = streams(WINDOWS * WINDOW + 1, STREAMS, rng), 0, None
        model.adam.lr = RATE * (1 - done)
        nats, state = model.learn(text.symbols[at : at + WINDOW + 1], state)
        at += WINDOW
        running += 0.02 * (nats - running)
        curve.append(running)
        course.figures = f"{running:.4f} nats a symbol"
    return curve


def by_the_last_three(symbols: Symbols) -> Callable[[Any], tuple[Any, None]]:
    """What has followed the last three symbols, as scores like those of a chain."""
    seen = np.full((len(ALPHABET),) * 4, 0.01)
    np.add.at(seen, tuple(symbols[k : len(symbols) - 3 + k] for k in range(4)), 1)
    scores = np.log(seen / seen.sum(-1, keepdims=True))

    def chain(x: Any) -> tuple[Any, None]:
        ids = np.concatenate([np.zeros((2, x.shape[1]), int), x.argmax(-1)])
        return scores[ids[:-2], ids[1:-1], ids[2:]], None

    return chain


@dataclass
class Judged:
    """Of a fresh stream: nats a symbol, and how often the last T or P is told from the other."""

    cross_entropy: float
    outer_accuracy: float


def judge(chain: Callable[[Any], tuple[Any, Any]], text: Text) -> Judged:
    scores, _ = chain(one_hot(text.symbols[:-1]))
    target, outer = text.symbols[1:], text.outer[1:]
    t, p = scores[outer][:, [ALPHABET.index("T"), ALPHABET.index("P")]].T
    right = (t > p) == (target[outer] == ALPHABET.index("T"))
    nats, _ = losses.cross_entropy(np.asarray(scores, np.float64), target)
    return Judged(float(nats), float(right.mean()))


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    text = streams(HELD_OUT, 1, rng)
    seconds = 5.0 if options.quick else 60 * options.minutes
    print(f"{HELD_OUT:,} symbols to measure with; {seconds / 2:.0f} s of training for each network")
    seen = streams(HELD_OUT, 1, rng).symbols[:, 0]
    found = {"what followed the last three symbols": judge(by_the_last_three(seen), text)}
    curves = {}
    for name, forget_gate in (("without forget gate", False), ("with forget gate", True)):
        print(name, file=sys.stderr)
        model = Model(forget_gate, options.seed)
        curves[name] = train(model, common.Course(seconds / 2), rng)
        file = options.out / f"{name.replace(' ', '-')}.safetensors"
        found[f"LSTM {name}"] = judge(common.read_again(model.chain, file), text)
    rows = [
        {
            "method": method,
            "nats a symbol": of.cross_entropy,
            "above the least %": 100 * (of.cross_entropy / BEST - 1),
            "last T or P right %": 100 * of.outer_accuracy,
        }
        for method, of in found.items()
    ]
    common.picture(options.out / "curve.png", partial(draw, curves))
    return common.Result(rows[-1]["nats a symbol"], rows[0]["nats a symbol"], False, rows)


def draw(curves: dict[str, list[float]], axes: Any) -> None:
    for name, curve in curves.items():
        axes.plot(np.arange(1, len(curve) + 1), curve, label=name)
    axes.axhline(BEST, color="k", lw=1, label="the least possible")
    axes.axhline(FORGETFUL, color="k", lw=1, ls=":", label="without the outer T or P")
    axes.set(xlabel="step", ylabel="nats a symbol", ylim=(0.38, 0.7))
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
