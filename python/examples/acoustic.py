"""Which phoneme is being said: the LSTM with a projection as an acoustic model.

As in the paper [1]_, a network in one direction reads frames of sound, normalised and some of them
stacked, and says which phoneme was said 5 frames before, so that it has heard a little of what
comes. It learns by truncated back-propagation: windows of 20 frames, the state carried on to the
next window, and cleared where an utterance ends and the next one takes its place. The LSTM and the
LSTM with a projection, both with peepholes, stand beside an RNN and a network with a window of 16
frames (DNN), all of about as many weights and trained for as long. espeak-ng says parts of Python's
manual (see speech.py); voices and phrases of the test are unseen. The simple method is a Gaussian
for each phoneme.

    python acoustic.py --minutes 8

.. [1] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
   Architectures for Large Vocabulary Speech Recognition", 2014, arXiv:1402.1128.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

import common
import speech
from gru_native import LSTM, RNN, Chain, Dense, clip_gradients, losses, optim, reset_rows

NAME, MINUTES = "acoustic", 4.0
DELAY, WINDOW, ROWS = 5, 20, 16
STACKED = {"DNN": 16, "RNN": 3, "LSTM": 3, "LSTMP": 3}  # frames, the last of them the present one
UNITS = {"DNN": 256, "RNN": 410, "LSTM": 184, "LSTMP": 284}
UNITS_QUICK = {"DNN": 80, "RNN": 170, "LSTM": 72, "LSTMP": 95}
RATES = {"DNN": 1e-3, "RNN": 1e-3, "LSTM": 4e-3, "LSTMP": 4e-3}
SILENT = -1  # no error is counted


class Lesson(NamedTuple):
    """An utterance as a network reads it."""

    x: speech.Floats  # (frames, BANDS times the stacked)
    labels: speech.Numbers  # of DELAY frames before; SILENT at the begin


def lesson(said: speech.Utterance, numbers: dict[str, int], stacked: int) -> Lesson:
    """Its last frame is repeated, so that the last label can come out."""
    frames = np.pad(said.frames, ((stacked - 1, DELAY), (0, 0)), "edge")
    x = np.lib.stride_tricks.sliding_window_view(frames, stacked, axis=0)
    labels = np.pad(speech.labels_of(said, numbers), (DELAY, 0), constant_values=SILENT)
    return Lesson(np.swapaxes(x, 1, 2).reshape(len(x), -1), labels)


Reading: TypeAlias = Callable[[speech.Utterance], Lesson]


def windows(
    learnt: Sequence[speech.Utterance], read: Reading, rng: np.random.Generator
) -> Iterator[tuple[speech.Floats, speech.Numbers, NDArray[np.bool_]]]:
    """For ever: x and labels of a window, and which rows of it begin an utterance."""

    def row() -> Iterator[tuple[speech.Floats, speech.Numbers, bool]]:
        while True:
            x, labels = read(learnt[int(rng.integers(len(learnt)))])
            rest = -len(x) % WINDOW
            x = np.pad(x, ((0, rest), (0, 0)))
            labels = np.pad(labels, (0, rest), constant_values=SILENT)
            for i in range(0, len(x), WINDOW):
                yield x[i : i + WINDOW], labels[i : i + WINDOW], i == 0

    rows = [row() for _ in range(ROWS)]
    while True:
        xs, labels, fresh = zip(*map(next, rows), strict=True)
        yield np.stack(xs, 1), np.stack(labels, 1), np.array(fresh)


def network(kind: str, units: int, classes: int, seed: int) -> Chain:
    read = speech.BANDS * STACKED[kind]
    first: list[Any]
    if kind == "DNN":
        first = [
            Dense(read, units, activation="relu", seed=seed),
            Dense(units, units, activation="relu", seed=seed + 1),
        ]
    elif kind == "RNN":
        first = [RNN(read, units, seed=seed)]
    elif kind == "LSTM":
        first = [LSTM(read, units, peephole=True, seed=seed)]
    else:
        units_of_r = units // 4
        first = [LSTM(read, units, proj_size=units_of_r, peephole=True, seed=seed)]
        units = units_of_r
    return Chain([*first, Dense(units, classes, seed=seed + 2)])


def accuracy(chain: Chain, judged: Sequence[speech.Utterance], read: Reading) -> float:
    """Of the frames, in percent."""
    right = frames = 0
    for start in range(0, len(judged), 64):
        part = [*map(read, judged[start : start + 64])]
        x, lengths = speech.padded([lesson.x for lesson in part])
        found = chain(x, lengths=lengths)[0].argmax(-1)
        for b, (_, labels) in enumerate(part):
            right += int((found[DELAY : len(labels), b] == labels[DELAY:]).sum())
            frames += len(labels) - DELAY
    return 100 * right / frames


def learn(
    chain: Chain,
    read: Reading,
    learnt: Sequence[speech.Utterance],
    judged: Sequence[speech.Utterance],
    course: common.Course,
    rate: float,
    seed: int,
) -> list[tuple[float, float]]:
    """Returns the accuracy at some seconds of the training."""
    adam = optim.Adam(chain, lr=rate)
    source = windows(learnt, read, np.random.default_rng(seed))
    state: Any = None
    frames, due = 0, 0.0
    curve: list[tuple[float, float]] = []
    for done in course:
        if done >= due:
            curve.append((done * course.seconds, accuracy(chain, judged, read)))
            due = max(done, due) + 0.1
        adam.lr = rate * (1 - done)
        x, labels, fresh = next(source)
        y, state, tape = chain.forward(x, reset_rows(state, fresh) if state else None)
        _, dy = losses.cross_entropy(y, labels, ignore=SILENT)
        grads = chain.backward(tape, dy, input_gradient=False)
        clip_gradients(grads.weights, 1.0)
        adam.step(grads)
        frames += int((labels != SILENT).sum())
        course.figures = f"{frames:,} frames  {curve[-1][1]:.1f} % right"
    return [*curve, (course.seconds, accuracy(chain, judged, read))]


def real_time(chain: Chain, x: speech.Floats) -> float:
    """The time that it takes frame by frame, as a share of that of the sound."""
    stream = chain.stream()
    began = perf_counter()
    for frame in x:
        stream(frame)
    return (perf_counter() - began) / (0.01 * len(x))


def run(options: common.Options) -> common.Result:
    seconds = 10.0 if options.quick else 60 * options.minutes
    few = 600 if options.quick else None
    learnt, judged, numbers = speech.learnt_and_judged(
        options.out, 5, (5.0, 25.0), options.seed, few
    )
    each = seconds / len(UNITS)
    print(
        f"{speech.minutes(learnt):.0f} minutes of speech to learn from, "
        f"{speech.minutes(judged):.1f} to judge by, {len(numbers) - 1} phonemes; "
        f"{len(UNITS)} networks, {each:.0f} s of training for each"
    )
    simple = speech.Gaussians(learnt, numbers).accuracy(judged, numbers)
    weights = 2 * speech.BANDS * len(numbers)
    rows: list[dict[str, Any]] = [
        {"network": "Gaussians", "weights": weights, "right %": simple, "real-time factor": ""}
    ]
    curves = {}
    for kind, units in (UNITS_QUICK if options.quick else UNITS).items():
        print(kind, file=sys.stderr)
        chain = network(kind, units, len(numbers), options.seed)
        read = partial(lesson, numbers=numbers, stacked=STACKED[kind])
        course = common.Course(each)
        curves[kind] = learn(chain, read, learnt, judged[:40], course, RATES[kind], options.seed)
        again = common.read_again(chain, options.out / f"{kind.lower()}.safetensors")
        heard = np.concatenate([read(said).x for said in judged[:10]])
        rows.append(
            {
                "network": kind,
                "weights": again.num_parameters,
                "right %": accuracy(again, judged, read),
                "real-time factor": real_time(again, heard),
            }
        )
    common.picture(options.out / "curve.png", lambda axes: draw(axes, curves, simple))
    return common.Result(rows[-1]["right %"], simple, True, rows)


def draw(axes: Any, curves: dict[str, list[tuple[float, float]]], simple: float) -> None:
    for kind, curve in curves.items():
        seconds, right = zip(*curve, strict=True)
        axes.plot(seconds, right, "o-", label=kind)
    axes.axhline(simple, color="gray", ls=":", label="Gaussians")
    axes.set(xlabel="seconds of training", ylabel="right frames of unseen voices, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
