"""What the tensors of a Keras model are within a chain: sequences or images, and their axes.

An image of Keras has two axes beside its channels, and a chain takes one of them as time. Which one
it is shows where the image becomes steps, so ``starts`` has all that it may be. A chain's columns
are channel by channel, those of a Reshape behind the channels mostly dot by dot: ``order`` says
where the numbers are, until a layer's weights are put in this order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AvgPool1d,
    BatchNorm1d,
    Block,
    Conv1d,
    Dense,
    LayerNorm,
    MaxPool1d,
    Pool,
)
from ..layers._weights import Array

Sizes = tuple[int | None, ...]
Zeros = tuple[tuple[int, int], tuple[int, int]]  # before and behind, of the height and of the steps
T = TypeVar("T")


class Axes(NamedTuple):
    """Of an image, where in a shape without the batch."""

    steps: int
    height: int
    channels: int


@dataclass(frozen=True)
class Place:
    """A tensor: its shape in Keras, without the batch, and what it is in a chain."""

    shape: Sizes | None  # None: not known
    axes: Axes | None = None  # of images
    order: Array | None = None  # Keras's feature k is the chain's order[k]
    zeros: Zeros | None = None  # around an image, which the next layer has to put there

    def image(self, name: str, data_format: str) -> tuple[bool, Sizes]:
        """Of the image that a layer reads: whether its first side is the steps, and its sizes.

        The sizes are those of height, steps and channels.
        """
        if self.axes is None or self.shape is None:
            raise ValueError(f"layer {name!r} reads no images; a Chain has no such path")
        if self.axes.channels != (2 if data_format == "channels_last" else 0):
            raise ValueError(
                f"layer {name!r} has {data_format}, but the channels are axis "
                f"{self.axes.channels + 1} of what it reads"
            )
        sides = [self.shape[self.axes[i]] for i in (1, 0, 2)]
        return self.axes.steps < self.axes.height, tuple(sides)

    def sized(self, height: int | None, steps: int | None, channels: int | None) -> Place:
        """An image with these sizes at the same axes."""
        assert self.axes is not None
        shape: list[int | None] = [None, None, None]
        for axis, size in zip(self.axes, (steps, height, channels), strict=True):
            shape[axis] = size
        return Place(tuple(shape), self.axes)

    def with_features(self, gives: int | None, keeps_steps: bool = True) -> Place:
        """What a layer on sequences gives; None: as many features as it reads, 0: any."""
        if self.shape is None:
            return replace(self, shape=(None, gives) if gives else None)
        features = self.shape[-1] if gives is None else gives or None
        steps = self.shape[:-1] if keeps_steps else (None,) * (len(self.shape) - 1)
        return replace(self, shape=(*steps, features))


def starts(shape: Sizes | None) -> list[Place]:
    """What the input of a model may be. shape is with the batch."""
    if shape is None:
        return [Place(None)]
    if len(shape) != 4:
        return [Place(shape[1:])]
    last, first = ((1, 0, 2), (0, 1, 2)), ((2, 1, 0), (1, 2, 0))
    return [Place(shape[1:], Axes(*axes)) for axes in (*last, *first)]


class Ended(ValueError):
    """What a chain cannot express, and how many layers before it could."""

    def __init__(self, done: int, error: ValueError) -> None:
        super().__init__(str(error))
        self.done = done


@contextmanager
def ended(done: int) -> Iterator[None]:
    """Errors say that so many layers went before."""
    try:
        yield
    except ValueError as error:
        raise Ended(done, error) from error


def check_end(name: str, place: Place) -> None:
    """What a chain gives must have the numbers of what the model gives."""
    if place.order is not None or place.zeros is not None:
        what = "dots of columns" if place.zeros is None else "zeros around images"
        raise ValueError(f"layer {name!r} ends with {what}, which a Chain has in another order")


def first_that_goes(shape: Sizes | None, build: Callable[[Place], T]) -> T:
    """What build makes of the first start that it can go on from, else the farthest error."""
    farthest: Ended | None = None
    for start in starts(shape):
        try:
            return build(start)
        except Ended as error:
            if farthest is None or error.done > farthest.done:
                farthest = error
    assert farthest is not None
    raise ValueError(str(farthest)) from farthest


def in_order(name: str, blocks: list[Block], order: Array) -> tuple[list[Block], Array | None]:
    """Blocks that read features in the chain's order, and the order that is still open."""
    made: list[Block] = []
    open_order: Array | None = order
    for block in blocks:
        if open_order is None or isinstance(block, (Activation, MaxPool1d, AvgPool1d, Pool)):
            made.append(block)
        elif isinstance(block, (BatchNorm1d, LayerNorm)):
            made.append(_moved(block, tuple(block.weights), 0, order))
        elif isinstance(block, (RNN, LSTM, GRU)):
            ends = ("", "_reverse") if block.bidirectional else ("",)
            names = tuple(f"weight_ih_l0{end}" for end in ends)
            made.append(_moved(block, names, 1, order))
            open_order = None
        elif isinstance(block, Dense) or (isinstance(block, Conv1d) and block.groups == 1):
            made.append(_moved(block, ("weight",), 1, order))
            open_order = None
        else:
            raise ValueError(
                f"layer {name!r} reads the dots of a column one by one, where a Chain has them "
                "channel by channel; expected a Dense or recurrent layer first"
            )
    return made, open_order


def _moved(block: Any, names: tuple[str, ...], axis: int, order: Array) -> Any:
    """A copy whose weights have their inputs where the chain has them."""
    made = copy.deepcopy(block)
    back = np.argsort(order)
    with made.editing() as w:
        for name in names:
            w[name] = np.take(block.weights[name], back, axis)
    return made
