"""What is being said, phoneme by phoneme: deep bidirectional LSTMs with CTC, and the transducer.

As in the paper [1]_, LSTMs with peepholes in two directions, one on top of the other, read the
sound, and learn from the phonemes alone, without times: by connectionist temporal classification
(CTC), or as the encoder of a transducer, whose second network knows the phonemes so far. Beam
searches find what was said. Beside CTC with 1, 2 and 3 layers stands one of 3 layers and about as
many weights that reads in one direction. The transducer begins at random, or with the layers that
have learnt by CTC. All learn from as many phrases. An error rate of phonemes (PER) counts
substitutions, deletions and insertions. espeak-ng says parts of Python's manual (see speech.py);
voices and phrases of the test are unseen. The simple method is a Gaussian for each phoneme, which
knew the times when it learnt.

    python recognise.py --minutes 8

.. [1] A. Graves, A. Mohamed and G. Hinton, "Speech Recognition with Deep Recurrent Neural
   Networks", ICASSP 2013, arXiv:1303.5778.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import common
import speech
from gru_native import LSTM, Chain, Dense, clip_gradients, decoding, losses, optim
from pronounce import error_rates

NAME, MINUTES = "recognise", 6.0
STACKED, ROWS = 2, 16  # frames that make a step, so that there are fewer; sequences at once
READ = STACKED * speech.BANDS
BEAM = 8
STEPS_QUICK = 400


def steps(said: speech.Utterance) -> speech.Floats:
    """What the networks read of it."""
    whole = len(said.frames) // STACKED * STACKED
    return said.frames[:whole].reshape(-1, READ)


def batches(
    learnt: Sequence[speech.Utterance], numbers: dict[str, int], seed: int
) -> Iterator[tuple[speech.Floats, speech.Numbers, speech.Numbers, speech.Numbers]]:
    """For ever: x, its lengths, phonemes, their lengths, all of about one length."""
    rng = np.random.default_rng(seed)
    by_length = sorted(learnt, key=lambda said: len(said.frames))
    while True:
        begin = rng.integers(len(by_length) - ROWS + 1)
        chosen = by_length[begin : begin + ROWS]
        x, lengths = speech.padded([*map(steps, chosen)])
        rows = [[numbers[phoneme] for phoneme in said.phonemes] for said in chosen]
        counts = np.array([*map(len, rows)])
        targets = np.zeros((ROWS, counts.max()), np.int64)
        for target, row in zip(targets, rows, strict=True):
            target[: len(row)] = row
        yield x, lengths, targets, counts


class CTC:
    """A network that says a phoneme or a blank at every step."""

    def __init__(self, network: Chain) -> None:
        self.parts = {"network": network}

    @classmethod
    def new(cls, layers: int, units: int, classes: int, seed: int, *, both: bool = True) -> CTC:
        lstm = LSTM(READ, units, layers, peephole=True, bidirectional=both, seed=seed)
        return cls(Chain([lstm, Dense((1 + both) * units, classes, seed=seed + 1)]))

    def learn(self, x: Any, lengths: Any, targets: Any, counts: Any) -> tuple[float, list[Any]]:
        """The mean loss of a sequence, and gradients."""
        (network,) = self.parts.values()
        logits, _, tape = network.forward(x, lengths=lengths)
        loss, dlogits = losses.ctc(logits, targets, lengths, counts)
        return float(loss.mean()), [network.backward(tape, dlogits / ROWS)]

    def find(self, x: Any, lengths: Any) -> list[Any]:
        logits, _ = self.parts["network"](x, lengths=lengths)
        return decoding.ctc_beam(logits, lengths, beam_size=BEAM)


class Transducer:
    """An encoder, a network of the phonemes so far, and one that says what comes next."""

    def __init__(self, encoder: Chain, prediction: Chain, output: Chain) -> None:
        self.parts = {"encoder": encoder, "prediction": prediction, "output": output}
        classes = prediction.input_size
        self.one_hot = np.eye(classes, dtype=np.float32)
        self.one_hot[0] = 0  # before the first

    @classmethod
    def new(cls, reader: LSTM, units: int, classes: int, seed: int) -> Transducer:
        """An encoder whose layers begin as those of ``reader``, a bidirectional LSTM."""
        to_join = Dense(2 * reader.hidden_size, units, seed=seed + 2)
        prediction = Chain(
            [LSTM(classes, units, seed=seed + 3), Dense(units, units, seed=seed + 4)]
        )
        output = Dense(units, classes, seed=seed + 5)
        with output.editing() as weights:
            weights["bias"][0] = 5  # most of what it says are blanks
        return cls(Chain([copy.deepcopy(reader), to_join]), prediction, Chain([output]))

    def learn(self, x: Any, lengths: Any, targets: Any, counts: Any) -> tuple[float, list[Any]]:
        """The mean loss of a sequence, and gradients."""
        encoder, prediction, output = self.parts.values()
        fed = self.one_hot[np.pad(targets, ((0, 0), (1, 0))).T]
        encoded, _, tape_e = encoder.forward(x, lengths=lengths)
        predicted, _, tape_p = prediction.forward(fed)
        # (rows, steps, phonemes + 1, numbers): each with each
        joined = np.tanh(encoded.swapaxes(0, 1)[:, :, None] + predicted.swapaxes(0, 1)[:, None])
        rows = joined.reshape(1, -1, joined.shape[-1])
        logits, _, tape_o = output.forward(rows)
        logits = logits.reshape(*joined.shape[:-1], -1)
        loss, dlogits = losses.transducer(logits, targets, lengths, counts)
        of_output = output.backward(tape_o, dlogits.reshape(1, -1, dlogits.shape[-1]) / ROWS)
        dsum = of_output.x.reshape(joined.shape) * (1 - joined * joined)
        of_encoder = encoder.backward(tape_e, dsum.sum(2).swapaxes(0, 1))
        of_prediction = prediction.backward(tape_p, dsum.sum(1).swapaxes(0, 1))
        return float(loss.mean()), [of_encoder, of_prediction, of_output]

    def find(self, x: Any, lengths: Any) -> list[Any]:
        encoder, prediction, output = self.parts.values()
        joint = decoding.TransducerJoint(prediction, output, join="add", activation="tanh")
        encoded, _ = encoder(x, lengths=lengths)
        return decoding.transducer_beam(joint, encoded, lengths, beam_size=BEAM, max_symbols=3)


def learn(
    model: CTC | Transducer, source: Iterator[Any], course: common.Course, rate: float
) -> None:
    adam = optim.Adam([*model.parts.values()], lr=rate)
    mean = float("nan")
    for done in course:
        adam.lr = rate * (1 - done)
        loss, grads = model.learn(*next(source))
        clip_gradients([g for each in grads for g in each.weights.values()], 5.0)
        adam.step(grads)
        mean = loss if np.isnan(mean) else mean + 0.02 * (loss - mean)
        course.figures = f"loss {mean:.2f}  {ROWS * course.taken:,} phrases"


def error_rate(
    find: Callable[[Any, Any], list[Any]],
    judged: Sequence[speech.Utterance],
    numbers: dict[str, int],
) -> float:
    """Of the phonemes, in percent."""
    names = [*numbers]
    found: list[tuple[str, ...]] = []
    for start in range(0, len(judged), 32):
        x, lengths = speech.padded([steps(said) for said in judged[start : start + 32]])
        found += [tuple(names[i] for i in best[0].ids) for best in find(x, lengths)]
    return error_rates(found, [[tuple(said.phonemes)] for said in judged])[0]


def by_gaussians(
    learnt: list[speech.Utterance], judged: list[speech.Utterance], numbers: dict[str, int]
) -> float:
    """The phoneme of each frame by itself, those that last 30 ms or longer."""
    names, gaussians = [*numbers], speech.Gaussians(learnt, numbers)
    found = [
        tuple(names[i] for i, run in groupby(gaussians(said.frames)) if i and len([*run]) > 2)
        for said in judged
    ]
    return error_rates(found, [[tuple(said.phonemes)] for said in judged])[0]


def save_and_read(model: CTC | Transducer, folder: Path, name: str) -> CTC | Transducer:
    stem = name.replace(" ", "-")
    files = {part: f"{stem}-{part}.safetensors" for part in model.parts}
    again = (common.read_again(model.parts[part], folder / file) for part, file in files.items())
    return type(model)(*again)


def run(options: common.Options) -> common.Result:
    few = 1200 if options.quick else None
    learnt, judged, numbers = speech.learnt_and_judged(
        options.out, 3, (0.0, 20.0), options.seed, few
    )
    classes, seed = len(numbers), options.seed
    units, seconds = (64, 15.0) if options.quick else (80, 60 * options.minutes)

    def ctc(layers: int, units: int = units, both: bool = True) -> CTC:
        return CTC.new(layers, units, classes, seed, both=both)

    def transducer(begins_as: CTC) -> Transducer:
        reader: Any = begins_as.parts["network"].blocks[0]
        return Transducer.new(reader, units, classes, seed)

    models: dict[str, Callable[[], CTC | Transducer]] = {
        "transducer 3 layers": lambda: transducer(ctc(3)),
        "CTC 1 layer": lambda: ctc(1),
        "CTC 2 layers": lambda: ctc(2),
        "CTC 3 layers one way": lambda: ctc(3, 17 * units // 10, False),
        "CTC 3 layers": lambda: ctc(3),
        "transducer after CTC": lambda: transducer(trained["CTC 3 layers"]),
    }
    if options.quick:
        models = {
            "CTC 1 layer": models["CTC 1 layer"],
            "transducer after CTC": lambda: transducer(trained["CTC 1 layer"]),
        }
    print(
        f"{speech.minutes(learnt):.0f} minutes of speech to learn from, "
        f"{speech.minutes(judged):.1f} to judge by, {classes - 1} phonemes; "
        f"{len(models)} networks, about {seconds:.0f} s of training for all of them"
    )
    simple = by_gaussians(learnt, judged, numbers)
    weights, phrases = 2 * speech.BANDS * classes, len(learnt)
    rows: list[dict[str, Any]] = [
        {"method": "Gaussians", "weights": weights, "phrases": phrases, "PER %": simple}
    ]
    trained: dict[str, Any] = {}
    steps = STEPS_QUICK if options.quick else None
    for name, make_model in models.items():
        print(name, file=sys.stderr)
        trained[name] = model = make_model()
        course = common.Course(seconds / 4, steps)  # the first takes a quarter of all
        learn(model, batches(learnt, numbers, seed), course, 4e-3)
        steps = steps or course.taken
        again = save_and_read(model, options.out, name)
        weights = sum(part.num_parameters for part in again.parts.values())
        rate = error_rate(again.find, judged, numbers)
        phrases = ROWS * course.taken
        rows.append({"method": name, "weights": weights, "phrases": phrases, "PER %": rate})
    common.picture(options.out / "errors.png", lambda axes: draw(axes, rows))
    return common.Result(min(row["PER %"] for row in rows[1:]), simple, False, rows)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows))
    bars = axes.barh(places, [row["PER %"] for row in rows])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_yticks(places, [row["method"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="wrong phonemes of unseen voices, %")


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
