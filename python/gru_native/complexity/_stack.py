"""What the layers of a stack have: what is equal is written down once, and given out as often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, TypeVar, overload


class Numbered(Protocol):
    """What has a layer's number in its name."""

    def _of_layer(self, layer: int) -> Any: ...


T = TypeVar("T", bound=Numbered)


class Run(NamedTuple):
    """Layers that have the same; in the names, "{}" stands for the layer's number."""

    items: tuple[Any, ...]  # of one layer
    first: int = 0
    layers: int = 1


class Stack(Sequence[T]):
    """The items of all layers, one layer after the other, made when they are asked for."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = [run for run in runs if run.items and run.layers > 0]

    def counted(self) -> Iterator[tuple[T, int]]:
        """Each item that differs from others by more than its layer, and how often it is there."""
        return ((item, run.layers) for run in self._runs for item in run.items)

    def mapped(self, change: Callable[[T], T]) -> Stack[T]:
        """With every item changed in the same way."""
        return Stack(run._replace(items=tuple(map(change, run.items))) for run in self._runs)

    @property
    def runs(self) -> Sequence[Run]:
        return self._runs

    def __len__(self) -> int:
        return sum(len(run.items) * run.layers for run in self._runs)

    def __iter__(self) -> Iterator[T]:
        for run in self._runs:
            for layer in range(run.first, run.first + run.layers):
                for item in run.items:
                    yield item._of_layer(layer)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        place = range(len(self))[index]  # counts from the end, too, and raises IndexError
        for run in self._runs:
            size = len(run.items) * run.layers
            if place < size:
                layer, item = divmod(place, len(run.items))
                return run.items[item]._of_layer(run.first + layer)  # type: ignore[no-any-return]
            place -= size
        raise IndexError(index)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Stack):
            return self._runs == other._runs or tuple(self) == tuple(other)
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self, 8)))
        return f"<{len(self)} items: {shown}{', ...' if len(self) > 8 else ''}>"


def joined(parts: Iterable[Sequence[T]]) -> Stack[T]:
    """All of these, one after the other."""
    runs = (part.runs if isinstance(part, Stack) else [Run(tuple(part))] for part in parts)
    return Stack(chain.from_iterable(runs))


def counted(items: Sequence[T]) -> Iterator[tuple[T, int]]:
    """Of what may be a stack: each item, and how often it is there."""
    return items.counted() if isinstance(items, Stack) else ((item, 1) for item in items)
