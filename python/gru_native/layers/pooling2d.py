"""Pools of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import flag, size
from ._images import WithWindows
from ._options import public
from ._sides import Sides, both, sides, windows


class _Pool2d(WithWindows):
    """Windows over images, channel by channel."""

    kernel_size: Sides
    stride: Sides
    padding: Sides
    ceil_mode: bool
    dilation: Sides = 1

    def _set(
        self, kernel_size: Sides, stride: Sides | None, padding: Sides, ceil_mode: bool
    ) -> None:
        self.kernel_size = sides("kernel_size", kernel_size)
        window = both(self.kernel_size)
        usual = sides("stride", (max(1, window[0]), max(1, window[1])))
        self.stride = usual if stride is None else sides("stride", stride)
        self.padding = sides("padding", padding)
        self.ceil_mode = flag("ceil_mode", ceil_mode)

    def _outputs(self, side: int, n: int) -> int:
        kernel, stride = both(self.kernel_size)[side], both(self.stride)[side]
        dilation, padding = both(self.dilation)[side], both(self.padding)[side]
        return windows(
            n, kernel, stride, dilation, 2 * padding, padding if self.ceil_mode else None
        )

    def _unusual(self, name: str) -> bool:
        usual = self.kernel_size if name == "stride" else self._named[name]
        return bool(getattr(self, name) != usual)


@public
class MaxPool2d(_Pool2d):
    """The largest numbers of windows: x (batch, channels, height, width) gives y.

    Parameters
    ----------
    kernel_size : int or tuple of int
        (height, width) of a window; one number: both.
    stride : int or tuple of int, optional
        Places from one window to the next; by default kernel_size.
    padding : int or tuple of int, optional
        Places beyond an image on both sides, which count as none, at most half of kernel_size.
    dilation : int or tuple of int, optional
        Places of x between those of a window.
    ceil_mode : bool, optional
        Whether the last windows may reach further beyond the image, if they begin within it.
    batch_first : bool, optional
        That of the chain; images are (batch, channels, height, width) either way.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For sizes below 1, a padding that is no half of a window or another dtype; the text names
        the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names, those of both sides as (height, width), or one
    number where they are the same. They are those of ``torch.nn.MaxPool2d``, and so is the size of
    y. With ``lengths``, the widths of the images, each is taken as if it were alone. y is a view of
    memory in the order (width, batch, height, channels). Images have no stream.
    """

    _positional = ("kernel_size",)
    _named = {  # noqa: RUF012
        "stride": None,
        "padding": 0,
        "dilation": 1,
        "ceil_mode": False,
        "batch_first": False,
    }

    def __init__(
        self,
        kernel_size: Sides,
        stride: Sides | None = None,
        padding: Sides = 0,
        dilation: Sides = 1,
        ceil_mode: bool = False,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.dilation = sides("dilation", dilation)
        super().__init__(None, 0.0, batch_first, dtype)


@public
class AvgPool2d(_Pool2d):
    """The means of windows: x (batch, channels, height, width) gives y.

    Parameters
    ----------
    kernel_size : int or tuple of int
        (height, width) of a window; one number: both.
    stride : int or tuple of int, optional
        Places from one window to the next; by default kernel_size.
    padding : int or tuple of int, optional
        Zeros on both sides of an image, at most half of kernel_size.
    ceil_mode : bool, optional
        Whether the last windows may reach further beyond the image, if they begin within it.
    count_include_pad : bool, optional
        Whether the zeros count in the number that a sum is divided by.
    divisor_override : int, optional
        What a sum is divided by instead.
    batch_first : bool, optional
        That of the chain; images are (batch, channels, height, width) either way.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For sizes below 1, a padding that is no half of a window or another dtype; the text names
        the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names, those of both sides as (height, width), or one
    number where they are the same. They are those of ``torch.nn.AvgPool2d``, and so is the size of
    y. With ``lengths``, the widths of the images, each is taken as if it were alone. y is a view of
    memory in the order (width, batch, height, channels). Images have no stream.
    """

    _positional = ("kernel_size",)
    _named = {  # noqa: RUF012
        "stride": None,
        "padding": 0,
        "ceil_mode": False,
        "count_include_pad": True,
        "divisor_override": None,
        "batch_first": False,
    }

    def __init__(
        self,
        kernel_size: Sides,
        stride: Sides | None = None,
        padding: Sides = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag("count_include_pad", count_include_pad)
        given = divisor_override
        self.divisor_override = None if given is None else size("divisor_override", given)
        super().__init__(None, 0.0, batch_first, dtype)
