"""Activation functions on NumPy arrays, for keras/ and onnx/, against the oracle's."""

import numpy as np
import pytest

from gru_native.layers import _functions as functions
from reference.functions import ACTIVATIONS, ROW_ACTIVATIONS, WITH_NUMBERS
from reference.sigmoid import sigmoid

SELU = (1.6732632423543772, 1.0507009873554805)
# Name -> the oracle's function in float64, and numbers of its own where it has some.
EXPECTED = {
    "sigmoid": (ACTIVATIONS["sigmoid"][0], ()),
    "relu": (ACTIVATIONS["relu"][0], ()),
    "leaky_relu": (WITH_NUMBERS["leaky_relu"][0], (0.2,)),
    "thresholded_relu": (WITH_NUMBERS["thresholded_relu"][0], (0.7,)),
    "elu": (WITH_NUMBERS["elu"][0], (1.3,)),
    "selu": (lambda a, alpha, gamma: gamma * WITH_NUMBERS["elu"][0](a, alpha), SELU),
    "hard_sigmoid": (WITH_NUMBERS["hard_sigmoid"][0], (1 / 6, 0.5)),
    "softplus": (WITH_NUMBERS["softplus"][0], ()),
    "softsign": (WITH_NUMBERS["softsign"][0], ()),
    "silu": (lambda a: a * sigmoid(a), ()),
    "softmax": (ROW_ACTIVATIONS["softmax"], ()),
    "log_softmax": (ROW_ACTIVATIONS["log_softmax"], ()),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXPECTED)
def test_as_the_oracle(name, dtype):
    expected, numbers = EXPECTED[name]
    x = (np.random.default_rng(0).standard_normal((40, 9)) * 5).astype(dtype)
    x[0, :6] = [0, -0.0, 80, -80, 3e4, -3e4]
    with np.errstate(over="raise", invalid="raise"):
        y = getattr(functions, name)(x, *numbers)
    assert y.dtype == dtype
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(y, expected(x.astype(np.float64), *numbers), tolerance, tolerance)


def test_each_function_has_a_case():
    own = {
        name
        for name, f in vars(functions).items()
        if getattr(f, "__module__", "") == functions.__name__
    }
    assert own - {"quiet_sigmoid"} == set(EXPECTED)  # which is sigmoid within its errstate


def test_softmax_along_another_axis():
    x = np.random.default_rng(1).standard_normal((3, 4, 5))
    for name in ("softmax", "log_softmax"):
        y = getattr(functions, name)(x, 1)
        expected = ROW_ACTIVATIONS[name](np.moveaxis(x, 1, -1))
        np.testing.assert_allclose(np.moveaxis(y, 1, -1), expected, 1e-13)
