"""Convolutions."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, flag, function, size, text
from ._operation import OverTime
from ._options import public


@public
class Conv1d(OverTime):
    """A convolution over time, then a function: x (seq, batch, channels) gives y.

    With dilation it is a layer of a time-delay network or of a WaveNet. Where padding is
    ``"causal"`` or ``"valid"`` it streams; its state then is the steps that it still reads.

    Parameters
    ----------
    in_channels : int
        Numbers in each x.
    out_channels : int
        Numbers in each y.
    kernel_size : int
        Steps that each y is made of.
    stride : int, optional
        Steps of x from one y to the next.
    dilation : int, optional
        Steps of x between the ones that a y is made of.
    groups : int, optional
        Parts of x and y that have no weights in common.
    padding : {"causal", "same", "valid"} or int, optional
        Zeros around each sequence: before it, as many as make y end with x; on both sides, as many
        as make y as long as x; none; or a number on both sides.
    bias : bool, optional
        Whether there is a bias.
    activation : str or tuple, optional
        What follows, by a name of ``Activation``.
    batch_first : bool, optional
        Whether x and y are (batch, seq, channels) instead of (seq, batch, channels).
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
    The options are attributes of the same names. The weights are those of ``torch.nn.Conv1d``:
    ``weight`` (out_channels, in_channels / groups, kernel_size) and ``bias`` (out_channels,). They
    start uniform in +-1/sqrt(in_channels / groups * kernel_size). y has
    (seq + zeros - dilation (kernel_size - 1) - 1) // stride + 1 steps. With ``lengths`` each
    sequence is taken as if it were alone, with its zeros at its own end, and y's lengths follow
    from the same formula.
    """

    _positional = ("in_channels", "out_channels", "kernel_size")
    _named = {  # noqa: RUF012
        "stride": 1,
        "dilation": 1,
        "groups": 1,
        "padding": "causal",
        "bias": True,
        "activation": "identity",
        "batch_first": False,
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: str | int = "causal",
        bias: bool = True,
        activation: Function = "identity",
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.in_channels = size("in_channels", in_channels)
        self.out_channels = size("out_channels", out_channels)
        self.kernel_size = size("kernel_size", kernel_size)
        self.stride = size("stride", stride)
        self.dilation = size("dilation", dilation)
        self.groups = size("groups", groups)
        named = isinstance(padding, str)
        self.padding = text("padding", padding) if named else size("padding", padding)
        self.bias = flag("bias", bias)
        self.activation = function("activation", activation)
        inputs = self.in_channels * self.kernel_size / max(1, self.groups)
        super().__init__(seed, max(1.0, inputs) ** -0.5, batch_first, dtype)

    @property
    def input_size(self) -> int:
        """Numbers in each x."""
        return self.in_channels

    def _output_size(self, input_size: int | None) -> int:
        return self.out_channels
