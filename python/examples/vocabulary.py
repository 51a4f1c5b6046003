"""The next one of many thousand words: what a softmax over all of them costs, and four ways out.

A GRU reads the words of an English text, and says which one comes next. What it says goes through
the softmax over all words, or through one of the layers that look at a few of them in training:

- classes: first the class of the word, then the word in it [1]_
- tree: a way through Huffman's binary tree [2]_
- sampled: the word among some others that are drawn [3]_
- noise-contrastive: the word told from noise [4]_

All learn for the same time. Perplexity is measured exactly, on words that are held out. The simple
method knows how frequent each word is. The text is the Collaborative International Dictionary of
English (Debian: `apt-get install dict-gcide`) or `--text FILE`; with `--quick` it is the manual
that Python carries.

    python vocabulary.py --minutes 6

.. [1] J. Goodman, "Classes for Fast Maximum Entropy Training", ICASSP 2001.
.. [2] F. Morin and Y. Bengio, "Hierarchical Probabilistic Neural Network Language Model", AISTATS
   2005.
.. [3] S. Jean, K. Cho, R. Memisevic and Y. Bengio, "On Using Very Large Target Vocabulary for
   Neural Machine Translation", ACL 2015.
.. [4] A. Mnih and Y. W. Teh, "A Fast and Simple Algorithm for Training Neural Probabilistic
   Language Models", ICML 2012.
"""

from __future__ import annotations

import gzip
import pydoc_data.topics
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
import gru_native
from gru_native import GRU, Chain, Dense, Embedding, clip_gradients, load, losses, optim, save

NAME, MINUTES = "vocabulary", 6.0
OPTIONS: dict[str, dict[str, Any]] = {
    "--text": {"type": Path, "metavar": "FILE", "help": "learn from this UTF-8 text"},
    "--steps": {
        "type": int,
        "metavar": "N",
        "help": "train each for N steps, however long it takes",
    },
}
GCIDE = Path("/usr/share/dictd/gcide.dict.dz")
WINDOW, BATCH = 20, 20  # words
RATE = 3e-3

Numbers = NDArray[np.int64]


class Text(NamedTuple):
    """Words by their numbers, the most frequent first; the others are all number 0."""

    learnt: Numbers
    held_out: Numbers
    counts: Numbers


def read(options: common.Options) -> str:
    file = options.own["text"]
    if file is not None:
        return str(Path(file).read_text("utf-8"))
    if options.quick:
        return " ".join(pydoc_data.topics.topics.values())
    if not GCIDE.exists():
        raise SystemExit("this needs a large text: apt-get install dict-gcide, or --text FILE")
    with gzip.open(GCIDE, "rt", encoding="utf-8", errors="replace") as entries:
        return re.sub(r"\[[^]]*\]|\\[^\\\n]*\\|[{}]", "", entries.read())  # no sources, no sounds


def numbered(text: str, least: int) -> Text:
    """Words that were seen so often; of each ten stretches of 500 words the last is held out."""
    words = re.findall(r"[a-z]+(?:'[a-z]+)?|[.,;:?!]", text.lower())
    counts = Counter(words)
    known = [word for word, n in counts.most_common() if n >= least]
    number = {word: i + 1 for i, word in enumerate(known)}
    ids = np.array([number.get(word, 0) for word in words])
    last = np.arange(len(ids)) // 500 % 10 == 9
    return Text(ids[~last], ids[last], np.bincount(ids[~last], minlength=len(known) + 1) + 1)


class Full:
    """The softmax over all words, with the methods of the others."""

    def __init__(self, inputs: int, words: int, seed: int) -> None:
        self.dense = Dense(inputs, words, seed=seed)

    def __call__(self, x: Any, targets: Numbers) -> float:
        return losses.cross_entropy(self.dense(x), targets)[0]

    def forward(self, x: Any, targets: Numbers) -> tuple[float, Any]:
        logits, tape = self.dense.forward(x)
        loss, dlogits = losses.cross_entropy(logits, targets)
        return loss, (tape, dlogits)

    def backward(self, tape: Any) -> Any:
        return self.dense.backward(*tape)


def softmaxes(hidden: int, counts: Numbers, seed: int) -> dict[str, Callable[[], Any]]:
    """What makes each."""
    words, samples = len(counts), min(256, len(counts) // 8)

    def contrastive() -> Any:
        layer = losses.NoiseContrastive(hidden, words, samples, proposal=counts, seed=seed)
        with layer.editing() as weights:
            weights["bias"][...] = -np.log(words)  # near a distribution
        return layer

    return {
        "all words": lambda: Full(hidden, words, seed),
        "classes": lambda: losses.ClassSoftmax(hidden, words, seed=seed),
        "tree": lambda: losses.TreeSoftmax(hidden, words, counts=counts, seed=seed),
        "sampled": lambda: losses.SampledSoftmax(
            hidden, words, samples, proposal=counts, seed=seed
        ),
        "noise-contrastive": contrastive,
    }


class Model:
    """A GRU over words, and the softmax behind it."""

    def __init__(self, chain: Chain, softmax: Any) -> None:
        self.chain, self.softmax = chain, softmax

    @classmethod
    def new(cls, words: int, hidden: int, softmax: Any, seed: int) -> Model:
        columns = Embedding(words, hidden // 2, seed=seed)
        gru = GRU(hidden // 2, hidden, seed=seed + 1)
        return cls(Chain([columns, gru]), softmax)

    @property
    def last(self) -> Any:
        """The layer that has the weights of the softmax."""
        return self.softmax.dense if isinstance(self.softmax, Full) else self.softmax

    def learn(self, words: Numbers, state: Any, adam: optim.Adam) -> tuple[float, Any]:
        """One step. Returns the loss and the state at the window's end."""
        h, state, tape = self.chain.forward(words[:-1], state)
        loss, seen = self.softmax.forward(h, words[1:])
        of_softmax = self.softmax.backward(seen)
        grads = [self.chain.backward(tape, of_softmax.x), of_softmax]
        clip_gradients([g for part in grads for g in part.weights.values()], 1.0)
        adam.step(grads)
        return loss, state

    def perplexity(self, ids: Numbers) -> float:
        """Of the words, in streams side by side."""
        streams = ids[: len(ids) // BATCH * BATCH].reshape(BATCH, -1).T
        nats, state = 0.0, None
        for begin in range(0, len(streams) - 1, WINDOW):
            words = streams[begin : begin + WINDOW + 1]
            h, state = self.chain(words[:-1], state)
            nats += self.softmax(h, words[1:]) * (len(words) - 1)
        return float(np.exp(nats / (len(streams) - 1)))

    def read_again(self, folder: Path, name: str) -> Model:
        """Save it. Returns what its files hold."""
        files = [folder / f"{name}-{part}.safetensors" for part in ("gru", "softmax")]
        for layer, file in zip((self.chain, self.last), files, strict=True):
            save(layer, file)
        chain, last = map(load, files)
        assert isinstance(chain, Chain)
        if isinstance(last, Dense):
            softmax = Full(last.input_size, last.output_size, 0)
            softmax.dense = last
            return Model(chain, softmax)
        return Model(chain, last)


def train(
    model: Model, text: Text, course: common.Course, seed: int
) -> tuple[list[tuple[float, float]], float]:
    """The perplexity of some held-out words over the seconds of all steps, and those of one."""
    rng = np.random.default_rng(seed)
    adam = optim.Adam([model.chain, model.last], lr=RATE)
    length = len(text.learnt) // BATCH
    streams = text.learnt[: length * BATCH].reshape(BATCH, length).T
    state, at = None, length
    mean, busy, due = float(np.log(len(text.counts))), 0.0, 0.05
    curve: list[tuple[float, float]] = []
    for done in course:
        if done >= due:
            curve.append((busy, model.perplexity(text.held_out[:2000])))
            due = done * 1.6
        if at + WINDOW >= length:
            state, at = None, int(rng.integers(0, WINDOW))
        began = perf_counter()
        adam.lr = RATE * (1 - done)
        loss, state = model.learn(streams[at : at + WINDOW + 1], state, adam)
        busy, at = busy + perf_counter() - began, at + WINDOW
        mean += 0.02 * (loss - mean)
        course.figures = f"loss {mean:.3f}  {1e3 * busy / (course.taken + 1):.1f} ms a step"
    return curve, busy / max(1, course.taken)


def run(options: common.Options) -> common.Result:
    text = numbered(read(options), 1 if options.quick else 3)
    words = len(text.counts)
    hidden, steps = (64, 300) if options.quick else (256, None)
    if options.quick and options.threads is None:
        gru_native.set_num_threads(1)  # so small a network gains nothing by more
    judged = text.held_out[: 10_000 if options.quick else 20_000]
    made = softmaxes(hidden, text.counts, options.seed + 2)
    each, steps = 60 * options.minutes / len(made), options.own["steps"] or steps
    length = f"{steps:,} steps" if steps else f"{each:.0f} s"
    print(
        f"{len(text.learnt):,} words to learn from, {len(text.held_out):,} held out; "
        f"{words:,} different ones; {length} of training for each network"
    )
    share = text.counts / text.counts.sum()
    alone = float(np.exp(-np.log(share[judged]).mean()))
    rows: list[dict[str, Any]] = [{"softmax": "frequency alone", "perplexity": alone}]
    curves = {}
    for name, make in made.items():
        print(name, file=sys.stderr)
        model = Model.new(words, hidden, make(), options.seed)
        course = common.Course(each, steps)
        curve, step = train(model, text, course, options.seed)
        again = model.read_again(options.out, name.replace(" ", "-"))
        perplexity = again.perplexity(judged)
        curves[name] = [*curve, (step * course.taken, perplexity)]
        figures = {"ms a step": 1e3 * step, "steps": course.taken}
        rows.append({"softmax": name, "perplexity": perplexity, **figures})
    common.picture(options.out / "perplexity.png", lambda axes: draw(axes, curves))
    rows[0] |= {"ms a step": 0.0, "steps": 0}
    best = min(row["perplexity"] for row in rows[2:])
    return common.Result(best, alone, False, rows)


def draw(axes: Any, curves: dict[str, list[Any]]) -> None:
    for name, curve in curves.items():
        axes.plot(*zip(*curve, strict=True), "o-", label=name)
    axes.set(xlabel="seconds", ylabel="perplexity", xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES, own=OPTIONS))
