"""The matrices of ONNX Runtime's DynamicQuantizeLSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ....layers._weights import Array

QUANTIZED = "DynamicQuantizeLSTM"
SCALES = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")


class Numbers(NamedTuple):
    """Whole numbers without their zero points, and the scale of each row."""

    q: Array  # (directions, rows, columns)
    scale: Array  # (directions, rows), float32

    @property
    def fits(self) -> bool:
        """Whether a layer of int8 holds them, which has no -128."""
        return bool(np.abs(self.q).max(initial=0) <= 127 and (self.scale > 0).all())


def in_whole_numbers(role: str, tensors: Mapping[str, Array]) -> Numbers:
    """W or R with rows by gate, as the LSTM has them.

    They come as (directions, columns, rows) of int8 or uint8, with scales and zero points
    (directions,) or (directions, rows). Raises ValueError or TypeError, naming the tensor.
    """
    matrix = tensors[role]
    if matrix.dtype not in (np.int8, np.uint8):
        raise TypeError(f"{role} has dtype {matrix.dtype}; expected int8 or uint8")
    if matrix.ndim != 3:
        raise ValueError(f"{role} has shape {matrix.shape}; expected 3 dimensions")
    directions, _, rows = matrix.shape

    def of_rows(name: str, dtype: np.dtype[np.generic], values: Array | None) -> Array:
        if values is None:
            raise ValueError(f"{name} is missing; expected a tensor")
        if values.dtype != dtype:
            raise TypeError(f"{name} has dtype {values.dtype}; expected {dtype}")
        if values.shape not in ((directions,), (directions, rows)):
            raise ValueError(
                f"{name} has shape {values.shape}; expected ({directions},) or "
                f"({directions}, {rows})"
            )
        return np.broadcast_to(values.reshape(directions, -1), (directions, rows))

    scale = of_rows(f"{role}_scale", np.dtype(np.float32), tensors.get(f"{role}_scale"))
    if not np.isfinite(scale).all():
        raise ValueError(f"{role}_scale is not finite; expected finite numbers")
    zero = np.zeros(directions, matrix.dtype)
    zero = of_rows(f"{role}_zero_point", matrix.dtype, tensors.get(f"{role}_zero_point", zero))
    q = matrix.astype(np.int16) - zero.astype(np.int16)[:, None, :]
    return Numbers(np.ascontiguousarray(q.swapaxes(1, 2)), np.ascontiguousarray(scale))
