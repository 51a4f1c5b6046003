"""An LSTM learns an endless stream of embedded Reber strings, and when to forget.

    python bench/examples/embedded_reber.py                    # needs rich
    python bench/examples/embedded_reber.py --no-forget-gate   # the cell of 1997, which cannot

After Gers, Schmidhuber and Cummins (2000), "Learning to forget". Each string is a walk through
Reber's graph between two T or two P: the first says what the last but one will be. One string
follows the other, unmarked, and the state is never reset. A string has 12 symbols on average, of
which 7 are fair choices of two: no prediction is better than 7 ln2 / 12 = 0.40434 nats a symbol,
and none that has lost the outer T or P is better than 8 ln2 / 12 = 0.46210. Truncated
back-propagation: each window begins with the state in which the last one ended, where its gradient
stops.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gru_native

Symbols = NDArray[np.int64]
Show = Callable[[int, float], None]  # told the step and the running cross-entropy

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
HIDDEN, STREAMS, WINDOW, STEPS, RATE, NORM = 24, 32, 40, 1200, 1e-2, 1.0
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


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    p: NDArray[np.float32] = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p


def of_target(p: NDArray[np.float32], target: Symbols) -> NDArray[np.float32]:
    return np.take_along_axis(p, target[..., None], -1)[..., 0]


class Model:
    """LSTM, then a score for each symbol that might be next."""

    def __init__(self, forget_gate: bool, seed: int) -> None:
        lstm = gru_native.LSTM(len(ALPHABET), HIDDEN, forget_gate=forget_gate, seed=seed)
        if forget_gate:
            with lstm.editing() as weights:  # to remember, at first
                weights["bias_ih_l0"][HIDDEN : 2 * HIDDEN] = 1
        head = gru_native.Dense(HIDDEN, len(ALPHABET), seed=seed + 1)
        self.chain = gru_native.Chain([lstm, head])
        self.adam = gru_native.optim.Adam(self.chain, betas=(0.9, 0.99))

    def learn(self, symbols: Symbols, state: Any, rate: float) -> tuple[float, Any]:
        """One window and the symbol after it: its cross-entropy before the step, its last state."""
        scores, state, tape = self.chain.forward(one_hot(symbols[:-1]), state)
        p, target = softmax(scores), symbols[1:]
        loss = -float(np.log(of_target(p, target)).mean())
        dscores = (p - one_hot(target)) / target.size
        gradients = self.chain.backward(tape, dscores).weights
        gru_native.clip_gradients(gradients, NORM)
        self.adam.lr = rate
        self.adam.step(gradients)
        return loss, state


@dataclass
class Result:
    """Of a fresh stream: nats a symbol, and how often the last T or P is told from the other."""

    cross_entropy: float
    outer_accuracy: float


def judge(model: Model, text: Text) -> Result:
    scores, _ = model.chain(one_hot(text.symbols[:-1]))
    target, outer = text.symbols[1:], text.outer[1:]
    t, p = scores[outer][:, [ALPHABET.index("T"), ALPHABET.index("P")]].T
    right = (t > p) == (target[outer] == ALPHABET.index("T"))
    scores = scores - scores.max(-1, keepdims=True)
    nats = np.log(np.exp(scores).sum(-1)) - of_target(scores, target)
    return Result(float(nats.mean(dtype=np.float64)), float(right.mean()))


def run(
    steps: int = STEPS,
    seed: int = 0,
    forget_gate: bool = True,
    show: Show = lambda step, nats: None,
) -> Result:
    rng = np.random.default_rng(seed)
    text = streams(steps * WINDOW + 1, STREAMS, rng)
    model = Model(forget_gate, seed)
    state, running = None, np.log(len(ALPHABET))
    for step in range(steps):
        window = text.symbols[step * WINDOW : (step + 1) * WINDOW + 1]
        nats, state = model.learn(window, state, RATE * (1 - step / steps))
        running += 0.02 * (nats - running)
        show(step + 1, running)
    return judge(model, streams(HELD_OUT, 1, rng))


def main() -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-forget-gate", action="store_true")
    options = parser.parse_args()
    with Progress(
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} steps, {task.fields[nats]:.4f} nats a symbol"),
        TimeRemainingColumn(),
    ) as bar:
        task = bar.add_task("", total=options.steps, nats=np.log(len(ALPHABET)))
        result = run(
            options.steps,
            options.seed,
            not options.no_forget_gate,
            lambda step, nats: bar.update(task, completed=step, nats=nats),
        )
    print(
        f"a fresh stream of {HELD_OUT} symbols: {result.cross_entropy:.5f} nats a symbol, "
        f"{result.cross_entropy / BEST - 1:+.2%} on the least possible"
    )
    print(f"({BEST:.5f}; {FORGETFUL:.5f} without the outer T or P)")
    print(f"the last T or P is right {result.outer_accuracy:.2%} of the time")


if __name__ == "__main__":
    main()
