"""A function of each number."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, function
from ._operation import Operation
from ._options import public


@public
class Activation(Operation):
    """A function of each number of x.

    Parameters
    ----------
    name : str or tuple
        Which function: ``"tanh"``, ``"sigmoid"``, ``"relu"``, ``"softsign"``, ``"softplus"``,
        ``"leaky_relu"``, ``"thresholded_relu"``, ``"elu"``, ``"affine"``, ``"scaled_tanh"``,
        ``"hard_sigmoid"`` or ``"identity"``; or a tuple of one and its numbers, such as
        ``("leaky_relu", 0.02)``. They are ONNX's functions of these names.
    batch_first : bool, optional
        Whether x and y are (batch, seq, size) instead of (seq, batch, size). It matters only for
        calls with ``lengths``, in a ``Chain`` and in its streams.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For an unknown function or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. In a chain it has the size of what is before it.
    """

    _positional = ("name",)
    _images = (True, False)
    _named = {"batch_first": False}  # noqa: RUF012

    def __init__(
        self, name: Function, *, batch_first: bool = False, dtype: DTypeLike = np.float32
    ) -> None:
        self.name = function("name", name)
        super().__init__(None, 0.0, batch_first, dtype)
