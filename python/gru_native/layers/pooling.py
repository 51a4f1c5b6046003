"""Pools over time: of windows, or of all steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._arguments import flag, size, text
from ._operation import Operation, OverTime
from ._options import public


@public
class Pool(Operation):
    """One row of all steps of a sequence: x (seq, batch, size) gives y (batch, size).

    Parameters
    ----------
    kind : {"last", "mean", "max"}
        The last step, the mean of all steps, or the largest number of each column. With ``lengths``
        these are the sequence's own steps; a sequence of length 0 gives zeros.
    batch_first : bool, optional
        Whether x is (batch, seq, size) instead of (seq, batch, size).
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For an unknown kind or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. In a chain it has the size of what is before it,
    and what follows must be blocks that read rows: ``Dense``, ``Activation`` and ``LayerNorm``. It
    has no stream, since it needs the end of a sequence.
    """

    _positional = ("kind",)
    _named = {"batch_first": False}  # noqa: RUF012
    _over_time = True

    def __init__(
        self, kind: str, *, batch_first: bool = False, dtype: DTypeLike = np.float32
    ) -> None:
        self.kind = text("kind", kind)
        super().__init__(None, 0.0, batch_first, dtype)

    def _output_lengths(self, lengths: ArrayLike | None) -> Any:
        return None


@public
class MaxPool1d(OverTime):
    """The largest numbers of windows over time: x (seq, batch, channels) gives y.

    Parameters
    ----------
    kernel_size : int
        Steps of a window.
    stride : int, optional
        Steps of x from one window to the next; by default kernel_size.
    padding : int, optional
        Steps beyond a sequence on both sides, which count as none, at most half of kernel_size.
    dilation : int, optional
        Steps of x between those of a window.
    ceil_mode : bool, optional
        Whether the last window may reach further beyond the end, if it begins within the sequence.
    batch_first : bool, optional
        Whether x and y are (batch, seq, channels) instead of (seq, batch, channels).
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
    The options are attributes of the same names. They are those of ``torch.nn.MaxPool1d``, and so
    are the steps of y, (seq + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1. With
    ``lengths`` each sequence is taken as if it were alone, and y's lengths follow from the same
    formula. Without padding and ``ceil_mode`` it streams; its state is the steps that it still
    reads.
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
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        dilation: int = 1,
        ceil_mode: bool = False,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.kernel_size = size("kernel_size", kernel_size)
        self.stride = max(1, self.kernel_size) if stride is None else size("stride", stride)
        self.padding = size("padding", padding)
        self.dilation = size("dilation", dilation)
        self.ceil_mode = flag("ceil_mode", ceil_mode)
        super().__init__(None, 0.0, batch_first, dtype)

    def _unusual(self, name: str) -> bool:
        return _unusual(self, name)


@public
class AvgPool1d(OverTime):
    """The means of windows over time: x (seq, batch, channels) gives y.

    Parameters
    ----------
    kernel_size : int
        Steps of a window.
    stride : int, optional
        Steps of x from one window to the next; by default kernel_size.
    padding : int, optional
        Zeros on both sides of a sequence, at most half of kernel_size.
    ceil_mode : bool, optional
        Whether the last window may reach further beyond the end, if it begins within the sequence.
    count_include_pad : bool, optional
        Whether these zeros count in the number that a sum is divided by.
    batch_first : bool, optional
        Whether x and y are (batch, seq, channels) instead of (seq, batch, channels).
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
    The options are attributes of the same names. They are those of ``torch.nn.AvgPool1d``, and so
    are the steps of y, (seq + 2 padding - kernel_size) // stride + 1. With ``lengths`` each
    sequence is taken as if it were alone, and y's lengths follow from the same formula. Without
    padding and ``ceil_mode`` it streams; its state is the steps that it still reads.
    """

    _positional = ("kernel_size",)
    _named = {  # noqa: RUF012
        "stride": None,
        "padding": 0,
        "ceil_mode": False,
        "count_include_pad": True,
        "batch_first": False,
    }

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.kernel_size = size("kernel_size", kernel_size)
        self.stride = max(1, self.kernel_size) if stride is None else size("stride", stride)
        self.padding = size("padding", padding)
        self.ceil_mode = flag("ceil_mode", ceil_mode)
        self.count_include_pad = flag("count_include_pad", count_include_pad)
        super().__init__(None, 0.0, batch_first, dtype)

    def _unusual(self, name: str) -> bool:
        return _unusual(self, name)


def _unusual(pool: MaxPool1d | AvgPool1d, name: str) -> bool:
    """A stride is that of the windows unless it is another."""
    usual = pool.kernel_size if name == "stride" else pool._named[name]
    return bool(getattr(pool, name) != usual)
