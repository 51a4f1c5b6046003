"""Between sequences and images."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import size
from ._images import OfImages
from ._operation import Operation
from ._options import public


@public
class Image(Operation):
    """Sequences as images of one channel: (seq, batch, features) gives (batch, 1, features, seq).

    Parameters
    ----------
    features : int, optional
        Numbers in each x, which is the height of the images. A chain needs it only where sizes must
        be known before a call: in C++ and for ``input_size``.
    batch_first : bool, optional
        Whether x is (batch, seq, features) instead of (seq, batch, features).
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For ``features`` below 1 or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The width of an image is time: ``lengths`` of
    sequences are widths of images, and blocks that change the width change lengths as well. An
    image is a view of memory in the order (width, batch, height, channels). Images have no stream.
    """

    _positional = ()
    _named = {"features": None, "batch_first": False}  # noqa: RUF012
    _over_time = True

    def __init__(
        self,
        features: int | None = None,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.features = None if features is None else size("features", features)
        super().__init__(None, 0.0, batch_first, dtype)

    @property
    def input_size(self) -> int | None:
        """Numbers in each x; None: any."""
        return self.features

    def _output_channels(self, channels: int) -> int:
        return 1


@public
class Columns(OfImages):
    """Images as sequences: (batch, channels, height, width) to (width, batch, channels * height).

    Parameters
    ----------
    batch_first : bool, optional
        Whether y is (batch, width, channels * height).
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. Each step of y is a column of dots: the numbers of
    a channel from top to bottom, channel after channel. Images have no stream.
    """

    _positional = ()
    _named = {"batch_first": False}  # noqa: RUF012

    def __init__(self, *, batch_first: bool = False, dtype: DTypeLike = np.float32) -> None:
        super().__init__(None, 0.0, batch_first, dtype)

    def _output_channels(self, channels: int) -> int:
        return 0
