"""Texts as numbers: those of whole words, or of what byte-pair encoding makes of them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

UNKNOWN = 1  # 0 is the end

Merge = tuple[str, str]


def words(text: str) -> list[str]:
    """Words and signs, each with the space before it; joined they are the text again."""
    return re.findall(r" ?\w+| ?[^\w\s]", f" {text}")


class Pieces:
    """The pieces of some texts, and their numbers.

    With ``merges`` the pieces are parts of words: letters, of which the most frequent neighbours
    become one, so many times. Without, they are the words that were seen twice.
    """

    def __init__(self, texts: Sequence[str], merges: int | None) -> None:
        counts = Counter(word for text in texts for word in words(text))
        self._merges = {} if merges is None else _merges(counts, merges)
        self._parts: dict[str, list[str]] | None = None if merges is None else {}
        if merges is None:
            found = {word for word, n in counts.items() if n > 1}
        else:
            found = {part for word in counts for part in (*word, *self._split(word))}
        self.names = ["", " ?", *sorted(found)]
        self._number = {name: i for i, name in enumerate(self.names)}

    def numbers(self, text: str) -> list[int]:
        parts = (part for word in words(text) for part in self._split(word))
        return [i for part in parts for i in self._known(part)]

    def text(self, ids: Iterable[int]) -> str:
        return "".join(self.names[i] for i in ids)[1:]

    def _known(self, part: str) -> list[int]:
        if part in self._number or self._parts is None:
            return [self._number.get(part, UNKNOWN)]
        return [self._number.get(letter, UNKNOWN) for letter in part]  # never seen by itself

    def _split(self, word: str) -> list[str]:
        if self._parts is None:
            return [word]
        if word not in self._parts:
            parts = [*word]
            while known := [pair for pair in pairwise(parts) if pair in self._merges]:
                parts = _merged(parts, min(known, key=self._merges.__getitem__))
            self._parts[word] = parts
        return self._parts[word]


def _merges(counts: Counter[str], most: int) -> dict[Merge, int]:
    """The pairs that become one, in their order."""
    parts = {word: [*word] for word in counts}
    pairs: Counter[Merge] = Counter()
    where: dict[Merge, set[str]] = defaultdict(set)

    def count(word: str, sign: int) -> None:
        for pair in pairwise(parts[word]):
            pairs[pair] += sign * counts[word]
            where[pair].add(word)

    for word in counts:
        count(word, 1)
    found: dict[Merge, int] = {}
    while len(found) < most and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        found[best] = len(found)
        for word in where.pop(best):
            count(word, -1)
            parts[word] = _merged(parts[word], best)
            count(word, 1)
        del pairs[best]
    return found


def _merged(parts: list[str], pair: Merge) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out
