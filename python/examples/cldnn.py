"""Which phoneme is being said: convolutions, LSTM and dense layers as one network, and its parts.

As in the paper [1]_, two convolutions over bands and time, with a pool over bands between them,
look at 11 frames of sound, so that it matters less how high a voice is; a linear layer makes fewer
numbers of them; an LSTM follows these through time; and dense layers separate the phonemes. All are
one chain that learns as a whole (CLDNN). Beside it stand parts of it, with about as many weights,
that learn from as many phrases. All say the phoneme of 5 frames before. espeak-ng says parts of
Python's manual in noise (see speech.py); voices and phrases of the test are unseen. The simple
method is a Gaussian for each phoneme.

    python cldnn.py --minutes 8

.. [1] T. N. Sainath, O. Vinyals, A. Senior and H. Sak, "Convolutional, Long Short-Term Memory,
   Fully Connected Deep Neural Networks", ICASSP 2015.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

import common
import speech
from gru_native import LSTM, Chain, Columns, Conv1d, Conv2d, Dense, Image, MaxPool2d, losses

NAME, MINUTES = "cldnn", 6.0
CONTEXT, DELAY = 10, 5  # frames before the present one that a window holds, and behind the label
ROWS = 8
SILENT = -1  # no error is counted


def looking(maps: int, numbers: int, seed: int) -> list[Any]:
    """The convolutions and the linear layer: windows of 11 frames become one step."""
    first, second = maps, 2 * maps
    height = (speech.BANDS - 9 + 1) // 3 - 4 + 1
    return [
        Image(speech.BANDS),
        Conv2d(1, first, (9, 9), activation="relu", seed=seed),
        MaxPool2d((3, 1)),
        Conv2d(first, second, (4, 3), activation="relu", seed=seed + 1),
        Columns(),
        Dense(second * height, numbers, seed=seed + 2),
    ]


def separating(read: int, units: int, classes: int, seed: int) -> list[Any]:
    """The dense layers."""
    first = Dense(read, units, activation="relu", seed=seed)
    return [first, Dense(units, classes, seed=seed + 1)]


def networks(classes: int, maps: int, seed: int) -> dict[str, Callable[[], Chain]]:
    """About 100,000 weights each."""
    bands, window = speech.BANDS, CONTEXT + 1

    def lstm(read: int, units: int) -> LSTM:
        return LSTM(read, units, peephole=True, seed=seed + 10)

    def dense(read: int, units: int) -> list[Any]:
        return separating(read, units, classes, seed + 20)

    def read_out(units: int) -> Dense:
        return Dense(units, classes, seed=seed + 20)

    return {
        "DNN": lambda: Chain(
            [
                Conv1d(bands, 165, window, padding="valid", activation="relu", seed=seed),
                *dense(165, 165),
            ]
        ),
        "CNN DNN": lambda: Chain([*looking(maps, 230, seed), *dense(230, 230)]),
        "LSTM": lambda: Chain([lstm(bands, 136), read_out(136)]),
        "LSTM DNN": lambda: Chain([lstm(bands, 124), *dense(124, 96)]),
        "CNN LSTM": lambda: Chain([*looking(maps, 64, seed), lstm(64, 116), read_out(116)]),
        "CLDNN": lambda: Chain([*looking(maps, 64, seed), lstm(64, 106), *dense(106, 96)]),
    }


def begun(chain: Chain) -> Chain:
    """With weights as large as rectified numbers need, so that they reach the end."""
    with chain.editing() as weights:
        for name, array in weights.items():
            if name.endswith(".weight"):  # of convolutions and dense layers
                array *= np.sqrt(6)  # their variance becomes 2 / inputs
    return chain


def heard(
    chosen: Sequence[speech.Utterance], numbers: dict[str, int], chain: Chain
) -> tuple[speech.Floats, speech.Numbers, speech.Numbers]:
    """x (frames, rows, bands), its lengths, and a label for each step that the chain gives."""
    frames = [np.pad(said.frames, ((CONTEXT, DELAY), (0, 0)), "edge") for said in chosen]
    x, lengths = speech.padded(frames)
    has_windows = isinstance(chain.blocks[0], (Image, Conv1d))  # which begin with the first whole
    before = DELAY if has_windows else DELAY + CONTEXT
    labels = np.full((len(x) - CONTEXT * has_windows, len(chosen)), SILENT)
    for b, said in enumerate(chosen):
        labels[before : before + len(said.names), b] = speech.labels_of(said, numbers)
    return x, lengths, labels


def lessons(
    learnt: Sequence[speech.Utterance], numbers: dict[str, int], chain: Chain, seed: int
) -> Callable[[], common.Lesson]:
    """Phrases of about one length."""
    rng = np.random.default_rng(seed)
    by_length = sorted(learnt, key=lambda said: len(said.frames))

    def lesson() -> common.Lesson:
        begin = int(rng.integers(len(by_length) - ROWS + 1))
        x, lengths, labels = heard(by_length[begin : begin + ROWS], numbers, chain)
        return x, lengths, lambda logits: losses.cross_entropy(logits, labels, ignore=SILENT)

    return lesson


def accuracy(chain: Chain, judged: Sequence[speech.Utterance], numbers: dict[str, int]) -> float:
    """Of the frames, in percent."""
    right = frames = 0
    for start in range(0, len(judged), 64):
        x, lengths, labels = heard(judged[start : start + 64], numbers, chain)
        found = chain(x, lengths=lengths)[0].argmax(-1)
        right += int(((found == labels) & (labels != SILENT)).sum())
        frames += int((labels != SILENT).sum())
    return 100 * right / frames


def run(options: common.Options) -> common.Result:
    few = 1000 if options.quick else None
    learnt, judged, numbers = speech.learnt_and_judged(
        options.out, 3, (0.0, 20.0), options.seed, few
    )
    chains = networks(len(numbers), 4 if options.quick else 12, options.seed)
    if options.quick:
        chains = {name: chains[name] for name in ("DNN", "LSTM", "CLDNN")}
    # Three networks have convolutions, which take nearly all of the time.
    seconds = 6.0 if options.quick else 60 * options.minutes * 0.28
    print(
        f"{speech.minutes(learnt):.0f} minutes of speech to learn from, "
        f"{speech.minutes(judged):.1f} to judge by, {len(numbers) - 1} phonemes; "
        f"{seconds:.0f} s of training for CLDNN, for {len(chains) - 1} others as many phrases"
    )
    found: dict[str, dict[str, Any]] = {}
    steps: int | None = None
    for name in ("CLDNN", *(name for name in chains if name != "CLDNN")):
        print(name, file=sys.stderr)
        chain = begun(chains[name]())
        course, began = common.Course(seconds, steps), perf_counter()
        common.learn(chain, lessons(learnt, numbers, chain, options.seed), course, 2e-3)
        took, steps = perf_counter() - began, steps or course.taken
        file = f"{name.lower().replace(' ', '-')}.safetensors"
        again = common.read_again(chain, options.out / file)
        found[name] = {
            "network": name,
            "weights": again.num_parameters,
            "phrases": ROWS * course.taken,
            "seconds": took,
            "right %": accuracy(again, judged, numbers),
        }
    simple = speech.Gaussians(learnt, numbers).accuracy(judged, numbers)
    weights = 2 * speech.BANDS * len(numbers)
    rows: list[dict[str, Any]] = [
        {
            "network": "Gaussians",
            "weights": weights,
            "phrases": len(learnt),
            "seconds": "",
            "right %": simple,
        },
        *(found[name] for name in chains),
    ]
    common.picture(options.out / "right.png", lambda axes: draw(axes, rows))
    return common.Result(rows[-1]["right %"], simple, True, rows)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows))
    bars = axes.barh(places, [row["right %"] for row in rows])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_yticks(places, [row["network"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="right frames of unseen voices, %", xlim=(0, 100))


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
