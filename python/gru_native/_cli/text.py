"""The text to learn from, as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableArgument

HELD_OUT = 0.07  # the share of the text, at its end, that is not trained on
LEAST = 10_000  # characters

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Corpus:
    """A text whose characters are given by their indices in its alphabet."""

    alphabet: str
    training: Indices
    held_out: Indices

    @classmethod
    def of(cls, text: str) -> Corpus:
        codes = np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
        alphabet, indices = np.unique(codes, return_inverse=True)
        end = round(len(text) * (1 - HELD_OUT))
        return cls("".join(map(chr, alphabet)), indices[:end], indices[end:])

    def bits_of_pairs(self) -> float:
        """Bits per character of the held-out text, by what most often follows the one before."""
        size = len(self.alphabet)
        pairs, counts = np.unique(self.training[:-1] * size + self.training[1:], return_counts=True)
        seen = np.bincount(self.training[:-1], minlength=size)
        before, wanted = self.held_out[:-1], self.held_out[:-1] * size + self.held_out[1:]
        at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        found = np.where(pairs[at] == wanted, counts[at], 0)
        return float(-np.log2((found + 1) / (seen[before] + size)).mean())  # each once more


def built_in_text() -> str:
    """Python's manual, as ``help("...")`` shows it: a few hundred kilobytes of English.

    Many of its topics repeat paragraphs of others. Each is taken once, since the held-out end would
    otherwise contain much that was trained on.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise UnusableArgument("this Python comes without pydoc_data; give a --text") from None
    paragraphs = "\n\n".join(topics.values()).split("\n\n")
    return "\n\n".join(dict.fromkeys(paragraphs))


def read_text(path: Path) -> str:
    """The text of a file; UnusableArgument if there is none, too little, or it is no UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnusableArgument(f"--text {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnusableArgument(
            f"--text {path}: byte {error.start} is no UTF-8; expected a text in UTF-8"
        ) from None
    if len(text) < LEAST:
        raise UnusableArgument(
            f"--text {path}: has {len(text)} characters; expected at least {LEAST}"
        )
    return text


def windows(
    text: Indices, length: int, batch: int, random: np.random.Generator
) -> Iterator[tuple[bool, Indices, Indices]]:
    """Over and over the text: ``first, characters, next characters``, each (length, batch).

    The text is cut into as many tracks as the batch has columns, and windows follow each other
    along the tracks, so that the state of one is where the next begins; ``first`` says when the
    tracks begin again, each time at other places.
    """
    track = len(text) // batch
    while True:
        tracks = np.roll(text, random.integers(len(text)))[: track * batch].reshape(batch, track).T
        for start in range(0, track - length, length):
            end = start + length
            yield start == 0, tracks[start:end], tracks[start + 1 : end + 1]
