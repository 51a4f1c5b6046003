"""English into another language: what an encoder keeps of a message, and what attention adds.

The messages are those of Django's catalogues (`pip install django`); with `--catalogues` also those
of applications, such as wagtail or pretix. One message in ten is held out. Three networks learn to
translate them, each in a third of the time (with `--quick` the others hardly begin):

- GRU and attention: a bidirectional GRU, whose states the decoder looks at [1]_
- GRU: all that the decoder sees is the last state [2]_
- grConv: all that it sees is the top of a pyramid of gated recursive convolutions [2]_

They read and write words, or parts of words by byte-pair encoding [3]_. The simple methods are to
copy the message, and to look up each word. Quality is BLEU, by `sacrebleu`; also over the length of
a message, and over the words in it that were never seen in training, as in [2]_.

    python translate.py --to fr --minutes 6

.. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to Align
   and Translate", ICLR 2015.
.. [2] K. Cho, B. van Merrienboer, D. Bahdanau and Y. Bengio, "On the Properties of Neural Machine
   Translation: Encoder-Decoder Approaches", SSST-8, 2014.
.. [3] R. Sennrich, B. Haddow and A. Birch, "Neural Machine Translation of Rare Words with Subword
   Units", ACL 2016.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import catalogues
import common
import encoder_decoder
import gru_native
from encoder_decoder import END, START, padded
from gru_native import (
    GRU,
    AttentionDecoder,
    Chain,
    Embedding,
    GatedRecursiveConv,
    Pool,
    clip_gradients,
    load,
    optim,
    save,
)
from pieces import UNKNOWN, Pieces, words

NAME, MINUTES = "translate", 6.0
OPTIONS: dict[str, dict[str, Any]] = {
    "--to": {"default": "de", "metavar": "LANGUAGE", "help": "its code (default: de)"},
    "--units": {
        "choices": ("subwords", "words"),
        "default": "subwords",
        "help": "what is read and written (default: subwords)",
    },
    "--catalogues": {
        "nargs": "+",
        "default": ["django"],
        "metavar": "PACKAGE",
        "help": "whose messages to learn from (default: django)",
    },
}
LONGEST = 40  # pieces of a message
NETWORKS = ("grConv", "GRU", "GRU and attention")
LENGTHS = {"1": (1, 1), "2-3": (2, 3), "4-7": (4, 7), "8-15": (8, 15), "16 and more": (16, 1000)}
UNSEEN = {"0": (0, 0), "1": (1, 1), "2": (2, 2), "3 and more": (3, 1000)}

Pairs = list[tuple[str, str]]


class Translator:
    """A reader of pieces, perhaps with a pyramid on top, and a writer of pieces."""

    def __init__(
        self, reader: Chain, pyramid: GatedRecursiveConv | None, writer: AttentionDecoder
    ) -> None:
        self.reader, self.pyramid, self.writer = reader, pyramid, writer

    @classmethod
    def new(cls, kind: str, read: int, written: int, hidden: int, seed: int) -> Translator:
        """From and to so many pieces."""
        columns = hidden // 2
        blocks: list[Any] = [Embedding(read, columns, seed=seed)]
        attention = kind == "GRU and attention"
        if kind != "grConv":
            blocks.append(GRU(columns, hidden, bidirectional=attention, seed=seed + 1))
        if kind == "GRU":
            blocks.append(Pool("last"))
        writer = AttentionDecoder(
            written,
            columns,
            hidden,
            2 * hidden if attention else hidden,
            cell="gru",
            attention="additive" if attention else None,
            seed=seed + 2,
        )
        pyramid = GatedRecursiveConv(columns, hidden, seed=seed + 1) if kind == "grConv" else None
        return cls(Chain(blocks), pyramid, writer)

    @property
    def layers(self) -> list[Any]:
        return [self.reader, *([self.pyramid] if self.pyramid else []), self.writer]

    def read(self, rows: Sequence[list[int]]) -> tuple[Any, Any, Callable[[Any], list[Any]]]:
        """What the writer sees of them; the lengths, where it looks at positions; and the way back
        from the gradient of what it sees to those of the layers."""
        ids, lengths = padded(rows), [*map(len, rows)]
        seen, _, tape = self.reader.forward(ids, lengths=lengths)
        if self.pyramid is None:
            at = lengths if self.writer.attention else None
            return seen, at, lambda dseen: [self.reader.backward(tape, dseen)]
        pyramid = self.pyramid
        top, levels = pyramid.forward(seen, lengths)

        def back(dtop: Any) -> list[Any]:
            grads = pyramid.backward(levels, dtop)
            return [self.reader.backward(tape, grads.x), grads]

        return top, None, back

    def learn(self, rows: list[list[int]], wanted: list[list[int]], adam: optim.Adam) -> float:
        """One step. Returns the mean loss of a piece, in nats."""
        memory, lengths, back = self.read(rows)
        loss, of_writer = encoder_decoder.teach(self.writer, wanted, memory, lengths)
        grads = [*back(of_writer.memory), of_writer]
        clip_gradients([g for part in grads for g in part.weights.values()], 1.0)
        adam.step(grads)
        return loss

    def write(self, rows: Sequence[list[int]], beam_size: int = 5) -> list[list[int]]:
        """The likeliest translation of each."""
        found: list[list[int]] = []
        for begin in range(0, len(rows), 64):
            memory, lengths, _ = self.read(rows[begin : begin + 64])
            said = self.writer.generate(
                memory,
                memory_lengths=lengths,
                start=START,
                end=END,
                max_steps=2 * LONGEST,
                beam_size=beam_size,
                length_penalty=1.0,
            )
            found += [hypotheses[0].ids.tolist() for hypotheses in said]
        return found

    def save(self, folder: Path, name: str) -> None:
        save(self.reader, folder / f"{name}-reader.safetensors")
        save(self.writer, folder / f"{name}-writer.safetensors")
        if self.pyramid:
            common.keep({"grconv": self.pyramid}, folder / f"{name}-pyramid.npz")

    @classmethod
    def load(cls, folder: Path, name: str) -> Translator:
        reader, writer = (load(folder / f"{name}-{x}.safetensors") for x in ("reader", "writer"))
        assert isinstance(reader, Chain)
        assert isinstance(writer, AttentionDecoder)
        pyramid = None
        if (file := folder / f"{name}-pyramid.npz").exists():
            pyramid = GatedRecursiveConv(writer.memory_size // 2, writer.memory_size)
            common.take_up({"grconv": pyramid}, file)
        return cls(reader, pyramid, writer)


def pairs(to: str, packages: Sequence[str]) -> tuple[Pairs, Pairs]:
    """Messages to learn from, and held out."""
    groups: tuple[Pairs, Pairs] = ([], [])
    for english, other in catalogues.messages(to, packages).items():
        groups[catalogues.is_held_out(english)].append((english, other))
    if not groups[1]:
        raise SystemExit(
            f"--to {to}: the catalogues of {', '.join(packages)} have too little of it"
        )
    return groups


def dictionary(learnt: Pairs) -> dict[str, str]:
    """For each English word the one that most often comes along with it (Dice's coefficient)."""
    together: dict[str, Counter[str]] = defaultdict(Counter)
    english, other = Counter[str](), Counter[str]()
    for source, target in learnt:
        a, b = {*words(source)}, {*words(target)}
        english.update(a)
        other.update(b)
        for word in a:
            together[word].update(b)
    return {
        word: max(sorted(counts), key=lambda w: 2 * counts[w] / (english[word] + other[w]))
        for word, counts in together.items()
    }


def bleu(said: Sequence[str], right: Sequence[str]) -> float:
    """Of the whole; where there are no four words in a row, of shorter parts."""
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise SystemExit("this needs the judge of translations: pip install sacrebleu") from None
    score: float = BLEU(effective_order=True).corpus_score([*said], [[*right]]).score
    return score


def train(
    translator: Translator,
    rows: list[tuple[list[int], list[int]]],
    course: common.Course,
    size: int,
    rate: float,
    seed: int,
) -> None:
    """In batches of this size, at a rate that falls to zero.

    Some pieces that it reads are hidden, so that it knows what to do with unknown ones.
    """
    rng = np.random.default_rng(seed)
    adam = optim.Adam(translator.layers)
    mean: float | None = None
    lessons = encoder_decoder.batches(rows, size, rng)
    for done in course:
        adam.lr = rate * (1 - done)
        read, wanted = next(lessons)
        hidden = [[UNKNOWN if rng.random() < 0.1 else i for i in row] for row in read]
        loss = translator.learn(hidden, wanted, adam)
        mean = loss if mean is None else mean + 0.02 * (loss - mean)
        course.figures = f"loss {mean:.3f}"


def run(options: common.Options) -> common.Result:
    to, units = options.own["to"], options.own["units"]
    learnt, held_out = pairs(to, options.own["catalogues"])
    english, right = [source for source, _ in held_out], [target for _, target in held_out]
    merges = None if units == "words" else 2000
    source, target = (Pieces([pair[i] for pair in learnt], merges) for i in (0, 1))
    rows = [(source.numbers(a), target.numbers(b)) for a, b in learnt]
    rows = [pair for pair in rows if max(map(len, pair)) <= LONGEST]
    hidden, size, rate, seconds = 128, 32, 4e-3, 60 * options.minutes / len(NETWORKS)
    steps: dict[str, int] = {}
    if options.quick:
        if options.threads is None:
            gru_native.set_num_threads(1)  # so small a network gains nothing by more
        hidden, size, rate = 64, 16, 8e-3
        steps = dict(zip(NETWORKS, (150, 150, 2000), strict=True))
    print(
        f"{len(learnt):,} messages to learn from, {len(held_out):,} held out; "
        f"{len(source.names):,} and {len(target.names):,} {units}; "
        + (f"{sum(steps.values()):,} steps" if steps else f"3 times {seconds:.0f} s of training")
    )
    table = dictionary(learnt)
    said = {
        "copied": english,
        "word by word": ["".join(table.get(w, w) for w in words(s))[1:] for s in english],
    }
    parameters = dict.fromkeys(said, 0)
    asked = [source.numbers(s)[:LONGEST] for s in english]
    for kind in NETWORKS:
        print(kind, file=sys.stderr)
        new = Translator.new(kind, len(source.names), len(target.names), hidden, options.seed)
        train(new, rows, common.Course(seconds, steps.get(kind)), size, rate, options.seed)
        name = kind.lower().replace(" ", "-")
        new.save(options.out, name)
        parameters[kind] = sum(layer.num_parameters for layer in new.layers)
        said[kind] = [target.text(ids) for ids in Translator.load(options.out, name).write(asked)]
    known = {word for s, _ in learnt for word in words(s)}
    lengths = [len(s.split()) for s in english]
    unseen = [sum(word not in known for word in words(s)) for s in english]
    result: list[dict[str, Any]] = []
    for method, found in said.items():
        row = {"method": method, "parameters": parameters[method], "BLEU": bleu(found, right)}
        result.append(row)
        for axis, numbers, bins in (("words", lengths, LENGTHS), ("unseen", unseen, UNSEEN)):
            for label, (least, most) in bins.items():
                own = [i for i, n in enumerate(numbers) if least <= n <= most]
                if own:
                    row[f"{axis} {label}"] = bleu(*([t[i] for i in own] for t in (found, right)))
    for i in range(0, len(english), max(1, len(english) // 8)):
        print(f"{english[i][:70]!r} -> {said[NETWORKS[-1]][i][:70]!r}, right: {right[i][:70]!r}")
    for axis, label in (("words", "words of the message"), ("unseen", "words never seen before")):
        common.picture(options.out / f"{axis}.png", partial(draw, result, axis, label))
    baseline = max(row["BLEU"] for row in result[:2])
    return common.Result(result[-1]["BLEU"], baseline, True, result)


def draw(rows: list[dict[str, Any]], axis: str, label: str, axes: Any) -> None:
    for row in rows:
        bins = [name for name in row if name.startswith(f"{axis} ")]
        names = [name.removeprefix(f"{axis} ") for name in bins]
        axes.plot(names, [row[name] for name in bins], "o-", label=row["method"])
    axes.set(xlabel=label, ylabel="BLEU")
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES, own=OPTIONS))
