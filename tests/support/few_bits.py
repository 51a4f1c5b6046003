"""What docs/guide/inference.md says of weights of few bits, in NumPy."""

import numpy as np


def int8(w):
    """Whole numbers, and a scale for each row."""
    scale = (np.abs(w).max(axis=-1) / np.float32(127)).astype(np.float32)
    return np.rint(w / scale[..., None]), scale


def stays_float(w):
    """Whether this matrix of int8 is multiplied as floats."""
    return w.shape[1] <= 28 and 4 * w.size <= 65536


def int8_product(a, w):
    """a W^T in whole numbers, with a scale for each row of both; small ones as floats."""
    if stays_float(w):
        return a @ widened(w, "int8").T
    q, scale = int8(w)
    largest = np.maximum(np.abs(a).max(axis=1, keepdims=True), np.float32(1e-30))
    whole = np.rint(a * (np.float32(127) / largest))
    return (whole.astype(np.int64) @ q.T.astype(np.int64)) * (largest / 127.0 * scale)


def bf16(a):
    """The nearest numbers of bf16, ties to even, as float32."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


def widened(w, precision):
    """What a matrix of few bits stands for."""
    if precision == "bf16":
        return bf16(w)
    q, scale = int8(w)
    return q.astype(np.float32) * scale[..., None]
