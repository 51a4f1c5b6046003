"""Layer normalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import flag, number, size
from ._operation import Operation, ones_and_zeros
from ._options import public
from ._weights import Array


@public
class LayerNorm(Operation):
    """Layer normalisation: y = weight (x - mean) / sqrt(variance + eps) + bias, at every step.

    Mean and variance are those of the numbers of one x.

    Parameters
    ----------
    normalized_shape : int
        Numbers in each x and y.
    eps : float, optional
        What is added to the variance.
    elementwise_affine : bool, optional
        Whether there is a weight.
    bias : bool, optional
        Whether there is a bias, too, if there is a weight.
    batch_first : bool, optional
        Whether x and y are (batch, seq, size) instead of (seq, batch, size). It matters only for
        calls with ``lengths``, in a ``Chain`` and in its streams.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For a size below 1, an eps below 0 or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.LayerNorm``:
    ``weight`` and ``bias``, both (normalized_shape,). They start as ones and zeros.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016.
    """

    _positional = ("normalized_shape",)
    _named = {"eps": 1e-5, "elementwise_affine": True, "bias": True, "batch_first": False}  # noqa: RUF012

    def __init__(
        self,
        normalized_shape: int,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.normalized_shape = size("normalized_shape", normalized_shape)
        self.eps = number("eps", eps)
        self.elementwise_affine = flag("elementwise_affine", elementwise_affine)
        self.bias = flag("bias", bias)
        super().__init__(None, 0.0, batch_first, dtype)

    @property
    def input_size(self) -> int:
        """Numbers in each x."""
        return self.normalized_shape

    def _output_size(self, input_size: int | None) -> int:
        return self.normalized_shape

    def _fill(self, name: str, w: Array, bound: float) -> None:
        w[...] = ones_and_zeros(name, w.shape)
