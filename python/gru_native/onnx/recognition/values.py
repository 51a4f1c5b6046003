"""What the values of a graph can be while it is followed: see ``_follow``. Arrays are constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ...layers import Block
from ...layers._weights import Array
from .._model import Node

# What an axis is made of, the outermost first. An axis of size 1 may be made of nothing.
Axis: TypeAlias = tuple[str, ...]
BATCH_OR_TIME = ("first", "second")  # of the input: a recurrent layer says which is which
INPUTS, DIRECTIONS, UNITS = "inputs", "directions", "units"
CHANNELS, HEIGHT = "channels", "height"  # of images, whose width is time


@dataclass(frozen=True)
class Features:
    """The model's input, or what layers make of it, or a part of that."""

    blocks: tuple[Block | Node, ...]  # a Node: a function that ends the chain
    axes: tuple[Axis, ...]
    sizes: dict[str, int]
    time: str | None = None  # which of BATCH_OR_TIME, once it is known
    direction: int | None = None  # the one of two that is left
    last: bool = False  # the last step only is left
    padding: tuple[int, int] = (0, 0)  # zeros around the steps, for the convolution behind
    pooled: bool = False  # all steps have become one

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(prod(self.sizes[atom] for atom in axis) for axis in self.axes)

    @property
    def whole(self) -> Axis:
        """What an axis of all features is made of."""
        if self.images:
            return tuple(atom for atom in (CHANNELS, HEIGHT) if self.sizes[atom] != 1)
        if DIRECTIONS in self.sizes:
            return (DIRECTIONS, UNITS)
        return (UNITS,) if self.blocks else (INPUTS,)

    @property
    def images(self) -> bool:
        """Whether there are images; then atoms of size 1 are left out of the axes."""
        return CHANNELS in self.sizes

    @property
    def whole_features(self) -> bool:
        """All features are there, along whichever axis."""
        if self.images:
            return {atom for axis in self.axes for atom in axis}.issuperset(self.whole)
        return self.direction is None and self.padding == (0, 0) and self.whole in self.axes

    @property
    def complete(self) -> bool:
        """Nothing but steps is missing."""
        own = self.direction is None and self.padding == (0, 0) and not self.images
        return own and self.axes[-1:] == (self.whole,)


def behind(x: Features, block: Any, axis: int, width: int, **changed: Any) -> Features:
    """x behind one more block, which makes so many features of those along an axis."""
    sizes = {atom: x.sizes[atom] for atom in BATCH_OR_TIME} | {UNITS: width}
    sizes |= changed.pop("sizes", {})
    axes = (*x.axes[:axis], (UNITS,), *x.axes[axis + 1 :])
    return replace(x, blocks=(*x.blocks, block), axes=axes, sizes=sizes, **changed)


@dataclass(frozen=True)
class State:
    """Final states, in any form; of what is no step's output only they may be an output."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Joined:
    """Values of different layers, each of size 1 along the axis where they were joined."""

    parts: tuple[Features | State, ...]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        shape = list(self.parts[0].shape)
        shape[self.axis] = len(self.parts)
        return tuple(shape)


@dataclass(frozen=True)
class Given:
    """Another input of the model, or a part of it: initial states, lengths."""


@dataclass(frozen=True)
class Unknown:
    """What fits no layer, and why: an error only if the output needs it."""

    reason: str


Value: TypeAlias = Array | Features | State | Joined | Given | Unknown


def is_array(value: Any) -> bool:
    """Whether the graph knows it, or has none: it depends on no input."""
    return value is None or isinstance(value, np.ndarray)
