"""What layers of images have in common."""

from __future__ import annotations

from typing import Any

from ...layers._weights import Array
from .operation import Operation

FORMATS = ("channels_last", "channels_first")


class OfImages(Operation):
    """A layer that is one block of the core on images. Its options have data_format."""

    _rank = 4

    @property
    def _last(self) -> bool:
        return bool(self.options["data_format"] == "channels_last")

    @property
    def _sides(self) -> tuple[int, int]:
        """Where height and width stand in a shape with the batch."""
        return (1, 2) if self._last else (2, 3)

    def _compute(self, x: Any) -> Array:
        turned = x.transpose(0, 3, 1, 2) if self._last else x
        y: Array = self.layer(turned)
        return y.transpose(0, 2, 3, 1) if self._last else y


def both(value: tuple[int, ...], turned: bool) -> tuple[int, int]:
    """A number for each side as (height, steps). turned: the first one is of the steps."""
    first, second = value
    return (second, first) if turned else (first, second)
