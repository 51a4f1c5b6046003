"""Which language a line is in: a sequence to one class, by its last state or by the mean of all.

A GRU reads the characters of messages of Django's catalogues (`pip install django`) in 24
languages. What it says of the line is either its last state, or the mean of its states over the
line, through a dense layer. One message in ten is held out in all languages. The simple method is
naive Bayes: the likeliest language of the characters, each by itself.

    python classify.py --minutes 2
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import catalogues
import common
from gru_native import GRU, Chain, Dense, Embedding, Pool, losses

NAME, MINUTES = "classify", 2.0
LANGUAGES = [
    *("cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "lt"),
    *("lv", "nb", "nl", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "tr", "cy"),
]
LONGEST = 40  # characters of a line
BATCH = 32

Lines = list[tuple[str, int]]  # and the number of the language


def lines() -> tuple[Lines, Lines]:
    """To learn from, and held out."""
    groups: tuple[Lines, Lines] = ([], [])
    for i, language in enumerate(LANGUAGES):
        english_first = catalogues.messages("de" if language == "en" else language)
        for english, other in english_first.items():
            line = english if language == "en" else other
            if len(line) >= 6:
                groups[catalogues.is_held_out(english)].append((line[:LONGEST], i))
    learnt, held_out = groups
    known = {*held_out}  # long lines may begin alike
    return [pair for pair in learnt if pair not in known], held_out


def numbers(texts: Sequence[str], alphabet: dict[str, int]) -> tuple[NDArray[np.int64], list[int]]:
    """(longest, lines): characters by number, 0 for others and past the ends; and the lengths."""
    ids = np.zeros((max(map(len, texts)), len(texts)), np.int64)
    for b, text in enumerate(texts):
        ids[: len(text), b] = [alphabet.get(c, 0) for c in text]
    return ids, [*map(len, texts)]


def lessons(learnt: Lines, alphabet: dict[str, int], seed: int) -> Callable[[], common.Lesson]:
    rng = np.random.default_rng(seed)

    def lesson() -> common.Lesson:
        chosen = [learnt[i] for i in rng.integers(0, len(learnt), BATCH)]
        ids, lengths = numbers([text for text, _ in chosen], alphabet)
        languages = [language for _, language in chosen]
        return ids, lengths, lambda logits: losses.cross_entropy(logits, languages)

    return lesson


def said(chain: Chain, texts: Sequence[str], alphabet: dict[str, int]) -> NDArray[np.int64]:
    """The likeliest language of each."""
    found = []
    for start in range(0, len(texts), 256):
        ids, lengths = numbers(texts[start : start + 256], alphabet)
        found.append(chain(ids, lengths=lengths)[0].argmax(-1))
    return np.concatenate(found)


def naive_bayes(learnt: Lines, texts: Sequence[str]) -> NDArray[np.int64]:
    """The language in which the characters are likeliest, each by itself."""
    seen = [Counter[str]() for _ in LANGUAGES]
    for text, language in learnt:
        seen[language].update(text)
    known = {c for counts in seen for c in counts}
    log_p = [
        {c: np.log((counts[c] + 1) / (counts.total() + len(known))) for c in known}
        for counts in seen
    ]
    return np.array(
        [int(np.argmax([sum(p.get(c, 0.0) for c in text) for p in log_p])) for text in texts]
    )


def run(options: common.Options) -> common.Result:
    learnt, held_out = lines()
    texts, right = [text for text, _ in held_out], np.array([i for _, i in held_out])
    alphabet = {c: i + 1 for i, c in enumerate(sorted({c for text, _ in learnt for c in text}))}
    hidden, seconds = (64, 14.0) if options.quick else (128, 60 * options.minutes)
    print(
        f"{len(learnt):,} lines in {len(LANGUAGES)} languages to learn from, "
        f"{len(texts):,} held out; {seconds / 2:.0f} s of training for each network"
    )
    short = np.array([len(text) < 20 for text in texts])
    rows: list[dict[str, Any]] = []

    def judge(method: str, found: NDArray[np.int64]) -> None:
        good = found == right
        shares = {"right %": good, "of short lines %": good[short], "of others %": good[~short]}
        rows.append({"method": method, **{k: 100 * float(v.mean()) for k, v in shares.items()}})

    judge("naive Bayes", naive_bayes(learnt, texts))
    confusion = np.zeros((len(LANGUAGES), len(LANGUAGES)))
    for kind in ("last", "mean"):
        chain = Chain(
            [
                Embedding(len(alphabet) + 1, 32, seed=options.seed),
                GRU(32, hidden, seed=options.seed + 1),
                Pool(kind),
                Dense(hidden, len(LANGUAGES), seed=options.seed + 2),
            ]
        )
        print(f"by the {kind}", file=sys.stderr)
        course = common.Course(seconds / 2)
        common.learn(chain, lessons(learnt, alphabet, options.seed), course, 8e-3)
        again = common.read_again(chain, options.out / f"{kind}.safetensors")
        found = said(again, texts, alphabet)
        judge(f"GRU, {kind}", found)
        confusion[:] = 0
        np.add.at(confusion, (right, found), 1)
    common.picture(options.out / "confusion.png", lambda axes: draw(axes, confusion), size=(7, 6.5))
    return common.Result(rows[-1]["right %"], rows[0]["right %"], True, rows)


def draw(axes: Any, confusion: NDArray[np.float64]) -> None:
    """Of each language the shares that were taken for others."""
    axes.imshow(confusion / confusion.sum(1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(LANGUAGES)), LANGUAGES)
    axes.set_yticks(range(len(LANGUAGES)), LANGUAGES)
    axes.set(xlabel="said (by the mean)", ylabel="right")


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
