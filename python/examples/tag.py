"""Capitals and punctuation for a text that has neither: a sequence of as many labels.

A GRU in two directions reads the letters of a text in small letters without punctuation, and says
of each whether it was a capital and which mark stood behind it. The text is the manual that Python
carries; the last tenth is held out. F1 is the harmonic mean of how many of the marks that it gives
are right, and how many that are right it gives; a mark is a capital or a sign of punctuation. The
simple method gives each word what it has most often.

    python tag.py --minutes 2
"""

from __future__ import annotations

import pydoc_data.topics
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from gru_native import GRU, Chain, Dense, Embedding, losses

NAME, MINUTES = "tag", 2.0
SIGNS = ("", ",", ".", ";", ":", "?", "!")
LETTERS = "abcdefghijklmnopqrstuvwxyz' "
WINDOW, BATCH = 96, 32

Numbers = NDArray[np.int64]


def manual() -> str:
    """The prose of Python's manual: paragraphs without code, in one line."""
    found = dict.fromkeys(  # some are in several chapters
        " ".join(paragraph.split())
        for topic in sorted(pydoc_data.topics.topics)
        for paragraph in pydoc_data.topics.topics[topic].split("\n\n")
        if re.fullmatch(r"[A-Z][a-z][-A-Za-z0-9 \n,.;:?!'\"“”()*]*[.:?!]", paragraph.strip())
    )
    return re.sub(r"[^-A-Za-z ,.;:?!']", "", " ".join(found)).replace("-", " ")


def labelled(text: str) -> tuple[str, Numbers]:
    """The letters, small and without punctuation; of each 2 * sign behind it + (1 if a capital)."""
    letters: list[str] = []
    labels: list[int] = []
    for c in text:
        if c in SIGNS[1:]:
            if letters and letters[-1] != " " and labels[-1] < 2:
                labels[-1] += 2 * SIGNS.index(c)
        elif c != " " or (letters and letters[-1] != " "):
            letters.append(c.lower())
            labels.append(int(c.isupper()))
    return "".join(letters), np.array(labels)


def restored(letters: str, labels: Numbers) -> str:
    """The other way round."""
    return "".join(
        (c.upper() if label % 2 else c) + SIGNS[label // 2]
        for c, label in zip(letters, labels, strict=True)
    )


def numbers(letters: str) -> Numbers:
    return np.array([LETTERS.index(c) for c in letters])


def lessons(ids: Numbers, labels: Numbers, seed: int) -> Callable[[], common.Lesson]:
    rng = np.random.default_rng(seed)

    def lesson() -> common.Lesson:
        at = np.arange(WINDOW)[:, None] + rng.integers(0, len(ids) - WINDOW, BATCH)
        return ids[at], None, lambda logits: losses.cross_entropy(logits, labels[at])

    return lesson


def said(chain: Chain, ids: Numbers) -> Numbers:
    """The likeliest labels; windows overlap, so that each letter has some text on both sides."""
    margin = WINDOW // 4
    padded = np.pad(ids, (margin, WINDOW), constant_values=LETTERS.index(" "))
    starts = np.arange(0, len(ids), WINDOW - 2 * margin)
    windows = padded[np.arange(WINDOW)[:, None] + starts]
    found = chain(windows)[0].argmax(-1)[margin:-margin]
    return np.asarray(found.T.reshape(-1)[: len(ids)])


def by_words(letters: str, labels: Numbers, text: str) -> Numbers:
    """What each word of the text has most often in what was learnt."""
    seen: dict[str, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for word in re.finditer(r"\S+", letters):
        seen[word[0]][tuple(labels[word.start() : word.end()].tolist())] += 1
    found = np.zeros(len(text), int)
    for word in re.finditer(r"\S+", text):
        if word[0] in seen:
            found[word.start() : word.end()] = seen[word[0]].most_common(1)[0][0]
    return found


def f1(found: Numbers, right: Numbers) -> dict[str, float]:
    """Of capitals, of signs, and of both."""
    capitals = np.stack([found % 2, right % 2])
    signs = np.stack([found // 2, right // 2])

    def of(parts: list[Numbers]) -> float:
        hits = sum(int(((p[0] == p[1]) & (p[1] > 0)).sum()) for p in parts)
        given, wanted = (sum(int((p[i] > 0).sum()) for p in parts) for i in (0, 1))
        return 200 * hits / max(1, given + wanted)

    return {"capitals": of([capitals]), "signs": of([signs]), "F1 %": of([capitals, signs])}


def run(options: common.Options) -> common.Result:
    letters, labels = labelled(manual())
    cut = 9 * len(letters) // 10
    ids, held_out, right = numbers(letters), letters[cut:], labels[cut:]
    hidden, seconds = (64, 18.0) if options.quick else (192, 60 * options.minutes)
    print(f"{cut:,} letters to learn from, {len(held_out):,} held out; {seconds:.0f} s of training")
    chain = Chain(
        [
            Embedding(len(LETTERS), 32, seed=options.seed),
            GRU(32, hidden, bidirectional=True, seed=options.seed + 1),
            Dense(2 * hidden, 2 * len(SIGNS), seed=options.seed + 2),
        ]
    )
    lesson = lessons(ids[:cut], labels[:cut], options.seed)
    common.learn(chain, lesson, common.Course(seconds), 4e-3)
    again = common.read_again(chain, options.out / "tag.safetensors")
    words, network = by_words(letters[:cut], labels[:cut], held_out), said(again, ids[cut:])
    rows = [
        {"method": "each word as most often", **f1(words, right)},
        {"method": "GRU in two directions", **f1(network, right)},
    ]
    print(f"\n{restored(held_out[:400], network[:400])}\n")
    common.picture(options.out / "f1.png", lambda axes: draw(axes, rows))
    return common.Result(rows[1]["F1 %"], rows[0]["F1 %"], True, rows)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    for i, row in enumerate(rows):
        names = [name for name in row if name != "method"]
        places = np.arange(len(names)) + 0.4 * i
        axes.bar(places, [row[name] for name in names], 0.4, label=row["method"])
    axes.set_xticks(np.arange(len(names)) + 0.2, names)
    axes.set(ylabel="F1, %", ylim=(0, 100))
    axes.legend()


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
