"""The error function, as rational functions: NumPy has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...layers._weights import Array

# For float32, of x limited to -4 to 4: x P(x^2) / Q(x^2), as Eigen has it; the constants are last.
_P32 = (
    *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
    *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
)
_Q32 = (
    *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03),
    *(-7.37332916720468e-03, -1.42647390514189e-02),
)
# For float64: Cody, Rational Chebyshev approximations for the error function, 1969. Up to 0.46875,
# up to 4, and above.
_A = (
    *(1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2),
    *(3.77485237685302021e2, 3.20937758913846947e3),
)
_B = (
    *(1.0, 2.36012909523441209e1, 2.44024637934444173e2),
    *(1.28261652607737228e3, 2.84423683343917062e3),
)
_C = (
    *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0),
    *(6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2),
    *(1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
)
_D = (
    *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2),
    *(1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3),
    *(3.43936767414372164e3, 1.23033935480374942e3),
)
_P = (
    *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1),
    *(1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
)
_Q = (
    *(1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1),
    *(6.05183413124413191e-2, 2.33520497626869185e-3),
)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Of falling powers."""
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += x.dtype.type(c)
    return y


def erf(x: Array) -> Array:
    """Within some units in the last place of float32 and of float64."""
    if x.dtype.kind != "f":
        raise ValueError(f"takes floats; got {x.dtype}")
    if x.dtype != np.float64:
        limited = np.clip(x.astype(np.float32, copy=False), -4, 4)
        square = np.square(limited)
        y = limited * _polynomial(_P32, square) / _polynomial(_Q32, square)
        return np.asarray(y, x.dtype)
    size = np.abs(x)
    small = np.square(np.minimum(size, 0.46875))
    near = size * _polynomial(_A, small) / _polynomial(_B, small)
    middle = np.clip(size, 0.46875, 4)
    rest = _polynomial(_C, middle) / _polynomial(_D, middle)
    far = np.maximum(size, 4)
    inverse = 1 / np.square(far)
    tail = inverse * _polynomial(_P, inverse) / _polynomial(_Q, inverse)
    rest = np.where(size <= 4, rest, (1 / np.sqrt(np.pi) - tail) / far)
    return np.copysign(np.where(size <= 0.46875, near, 1 - np.exp(-np.square(size)) * rest), x)


def gelu(x: Array, approximate: bool) -> Array:
    """x times the normal distribution's share below x; approximate: by tanh."""
    half = x.dtype.type(0.5)
    if approximate:
        inner = x.dtype.type(np.sqrt(2 / np.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
        return np.asarray(half * x * (1 + np.tanh(inner)))
    return np.asarray(half * x * (1 + erf(x * x.dtype.type(np.sqrt(0.5)))))
