"""Which server has which rows of which weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from ..layers._weights import Array

LARGEST = 1 << 24  # rows of a piece

# An array in the shape of its piece, (rows, values) of some of its rows, or nothing.
Gradient: TypeAlias = Array | tuple[Array, Array] | None


class Piece(NamedTuple):
    """Some rows of a weight, by its first axis; as a table (end - begin, width)."""

    name: str
    begin: int
    end: int
    width: int


class Plan:
    """All weights, cut into shards of nearly the same size, each at least a row.

    Optimizers change each number by itself, so the cuts change no result.
    """

    def __init__(self, weights: Mapping[str, Array], shards: int) -> None:
        self.shapes = {name: w.shape for name, w in weights.items() if w.size}
        rows = [shape[0] for shape in self.shapes.values()]
        cuts = _cuts(rows, [weights[name].size for name in self.shapes], shards)
        first = [0, *accumulate(rows)]
        self.shards: list[list[Piece]] = [[] for _ in range(shards)]
        for (name, shape), offset in zip(self.shapes.items(), first, strict=False):
            width = weights[name].size // shape[0]
            ends = [*range(offset, offset + shape[0], LARGEST), *cuts, offset + shape[0]]
            inside = sorted({c for c in ends if offset <= c <= offset + shape[0]})
            for begin, end in pairwise(inside):
                shard = self.shards[bisect_right(cuts, begin) - 1]
                shard.append(Piece(name, begin - offset, end - offset, width))

    def cut(self, arrays: Mapping[str, Array]) -> list[list[Array]]:
        """The tables of each shard."""
        return [
            [_table(arrays[p.name][p.begin : p.end], p) for p in shard] for shard in self.shards
        ]

    def cut_gradients(self, gradients: Mapping[str, Gradient]) -> list[list[Gradient]]:
        """What each shard has to know of checked gradients."""
        return [[_part(gradients.get(p.name), p) for p in shard] for shard in self.shards]

    def join(self, shards: Sequence[Sequence[Array]]) -> dict[str, Array]:
        """The arrays of which these are the tables."""
        parts: dict[str, list[Array]] = {name: [] for name in self.shapes}
        for pieces, tables in zip(self.shards, shards, strict=True):
            for piece, table in zip(pieces, tables, strict=True):
                parts[piece.name].append(table)
        return {
            name: (tables[0] if len(tables) == 1 else np.concatenate(tables)).reshape(shape)
            for (name, shape), tables in zip(self.shapes.items(), parts.values(), strict=True)
        }

    def cut_states(self, states: Mapping[str, Array]) -> list[dict[str, Array]]:
        """The ``state_dict`` of each shard's optimizer, from those by the weights' names."""
        cut: list[dict[str, Array]] = [{} for _ in self.shards]
        for own, pieces in zip(cut, self.shards, strict=True):
            for i, p in enumerate(pieces):
                for full, state in states.items():
                    name, _, kind = full.rpartition(".")
                    if name == p.name:
                        whole = state if state.ndim == 0 else state[p.begin : p.end]
                        own[f"{i}.weight.{kind}"] = (
                            whole.copy() if state.ndim == 0 else whole.reshape(-1, p.width)
                        )
        return cut

    def join_states(self, shards: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """What ``cut_states`` takes. Of the numbers of steps of a weight's pieces, the largest."""
        parts: dict[str, list[Array]] = {}
        for pieces, states in zip(self.shards, shards, strict=True):
            for full, state in states.items():
                i, _, kind = full.partition(".weight.")
                parts.setdefault(f"{pieces[int(i)].name}.{kind}", []).append(state)
        return {
            full: np.max(tables)
            if tables[0].ndim == 0
            else np.concatenate(tables).reshape(self.shapes[full.rpartition(".")[0]])
            for full, tables in parts.items()
        }


def _cuts(rows: list[int], sizes: list[int], shards: int) -> list[int]:
    """The row, counted through all weights, at which each shard begins."""
    total, before = sum(sizes), [0, *accumulate(sizes)]
    first = [0, *accumulate(rows)]
    cuts = [0]
    for k in range(1, shards):
        wanted = total * k // shards
        i = bisect_right(before, wanted) - 1
        row = first[i] + round((wanted - before[i]) * rows[i] / sizes[i])
        cuts.append(min(max(row, cuts[-1] + 1), first[-1] - (shards - k)))
    return cuts


def _table(rows: Array, piece: Piece) -> Array:
    return rows.reshape(-1, piece.width)


def _part(gradient: Gradient, piece: Piece) -> Gradient:
    if gradient is None:
        return None
    if not isinstance(gradient, tuple):
        return _table(gradient[piece.begin : piece.end], piece)
    rows, values = gradient
    begin, end = np.searchsorted(rows, [piece.begin, piece.end])
    return rows[begin:end] - piece.begin, _table(values[begin:end], piece)


def mean(gradients: Sequence[Gradient]) -> Gradient:
    """Of the gradients of one piece, which are added in their order; none of them counts as 0."""
    given = [g for g in gradients if g is not None]
    if not given:
        return None
    number = given[0][1].dtype.type if isinstance(given[0], tuple) else given[0].dtype.type
    if all(isinstance(g, tuple) for g in given):
        rows = np.unique(np.concatenate([g[0] for g in given]))
        values = np.zeros((len(rows), *given[0][1].shape[1:]), number)
        for own, added in given:
            values[np.searchsorted(rows, own)] += added
        return rows, values / number(len(gradients))
    dense = [g for g in given if not isinstance(g, tuple)]
    total: Array = np.zeros_like(dense[0])
    for g in given:
        if isinstance(g, tuple):
            total[g[0]] += g[1]
        else:
            total += g
    average: Array = total / number(len(gradients))
    return average
