"""What layers of images have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ...layers._weights import Array
from .._windows import around
from .base import array_of
from .operation import Operation

FORMATS = ("channels_last", "channels_first")


class OfImages(Operation):
    """A layer that is one block of the core on images. Its options have data_format."""

    @property
    def _last(self) -> bool:
        return bool(self.options["data_format"] == "channels_last")

    @property
    def _sides(self) -> tuple[int, int]:
        """Where height and width stand in a shape with the batch."""
        return (1, 2) if self._last else (2, 3)

    def _checked(self, x: ArrayLike) -> Array:
        return images_of(x, str(self.layer.dtype), self.options["data_format"])

    def _pads(self, x: Array, window: Sequence[int]) -> list[tuple[int, int]]:
        """What "same" adds around the sides of x."""
        strides = self.options["strides"]
        return [
            around(x.shape[axis], *sizes)
            for axis, *sizes in zip(self._sides, window, strides, strict=True)
        ]

    def _compute(self, x: Any) -> Array:
        turned = x.transpose(0, 3, 1, 2) if self._last else x
        y: Array = self.layer(turned)
        return y.transpose(0, 2, 3, 1) if self._last else y


def images_of(x: ArrayLike, dtype: str, data_format: str) -> Array:
    """x as images. ValueError, with the expected axes, if it has not four."""
    last = data_format == "channels_last"
    axes = "height, width, channels" if last else "channels, height, width"
    return array_of(x, dtype, 4, f"(batch, {axes})")


def both(value: tuple[int, ...], turned: bool) -> tuple[int, int]:
    """A number for each side as (height, steps). turned: the first one is of the steps."""
    first, second = value
    return (second, first) if turned else (first, second)
