"""Convolutions of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, flag, function, size, text
from ._images import WithWindows
from ._options import public
from ._sides import Sides, both, sides, windows


@public
class Conv2d(WithWindows):
    """A convolution of images, then a function: x (batch, channels, height, width) gives y.

    Parameters
    ----------
    in_channels : int
        Channels of x.
    out_channels : int
        Channels of y.
    kernel_size : int or tuple of int
        (height, width) of the window that each y is made of; one number: both.
    stride : int or tuple of int, optional
        Places of x from one y to the next.
    padding : {"same", "valid"}, int or tuple of int, optional
        Zeros around an image: as many as make y as large as x; none; or numbers, on both sides.
    dilation : int or tuple of int, optional
        Places of x between the ones that a y is made of.
    groups : int, optional
        Parts of x and y that have no weights in common.
    bias : bool, optional
        Whether there is a bias.
    activation : str or tuple, optional
        What follows, by a name of ``Activation``.
    batch_first : bool, optional
        That of the chain; images are (batch, channels, height, width) either way.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, channels that ``groups`` does not divide, an unknown padding or function,
        a stride with ``"same"`` or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names, those of both sides as (height, width), or
    one number where they are the same. The
    weights are those of ``torch.nn.Conv2d``: ``weight`` (out_channels, in_channels / groups,
    height, width) and ``bias`` (out_channels,). They start uniform in +-1/sqrt(in_channels / groups
    * height * width of the window). x may be without a batch, (channels, height, width). With
    ``lengths``, the widths of the images, each is taken as if it were alone, with its zeros at its
    own end. y is a view of memory in the order (width, batch, height, channels). Images have no
    stream.
    """

    _positional = ("in_channels", "out_channels", "kernel_size")
    _named = {  # noqa: RUF012
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "bias": True,
        "activation": "identity",
        "batch_first": False,
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sides,
        stride: Sides = 1,
        padding: str | Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: Function = "identity",
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.in_channels = size("in_channels", in_channels)
        self.out_channels = size("out_channels", out_channels)
        self.kernel_size = sides("kernel_size", kernel_size)
        self.stride = sides("stride", stride)
        named = isinstance(padding, str)
        self.padding: Any = text("padding", padding) if named else sides("padding", padding)  # type: ignore[arg-type]
        self.dilation = sides("dilation", dilation)
        self.groups = size("groups", groups)
        self.bias = flag("bias", bias)
        self.activation = function("activation", activation)
        height, width = both(self.kernel_size)
        inputs = self.in_channels * height * width / max(1, self.groups)
        super().__init__(seed, max(1.0, inputs) ** -0.5, batch_first, dtype)

    @property
    def _channels(self) -> int:  # type: ignore[override]
        return self.in_channels

    def _output_channels(self, channels: int) -> int:
        return self.out_channels

    def _outputs(self, side: int, n: int) -> int:
        dilation, kernel = both(self.dilation)[side], both(self.kernel_size)[side]
        zeros = {"same": dilation * (kernel - 1), "valid": 0}
        padding = self.padding
        around = zeros[padding] if isinstance(padding, str) else 2 * both(padding)[side]
        return windows(n, kernel, both(self.stride)[side], dilation, around)
