"""MaxPool as plans compute it, against windows one by one."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import gru_native.onnx  # noqa: E402
from gru_native import _core  # noqa: E402
from onnx_builder import Builder  # noqa: E402


def one_by_one(x, taps, strides, before, outputs):
    y = np.full((*x.shape[:2], *outputs), -np.inf, x.dtype)
    for place in np.ndindex(*outputs):
        part = x
        for axis, (i, k, s, b) in enumerate(zip(place, taps, strides, before, strict=True)):
            first = i * s - b
            part = part.take(
                range(max(0, first), max(0, min(first + k, x.shape[2 + axis]))), 2 + axis
            )
        if part.size:
            y[(slice(None), slice(None), *place)] = part.max((2, 3))
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_windows_of_any_size(seed, dtype):
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(1, 4, 2), *rng.integers(1, 18, 2))
    if seed % 7 == 0:
        shape = (1, 300, *shape[2:])  # more than one block of numbers
    x = rng.standard_normal(shape).astype(dtype)
    for value in (np.nan, np.inf, -np.inf):
        x[rng.random(shape) < 0.01] = value
    x = x.transpose(3, 0, 2, 1).copy().transpose(1, 3, 2, 0) if seed % 2 else x
    given = [tuple(int(n) for n in rng.integers(low, 16, 2)) for low in (1, 1, 0, 1)]
    with np.errstate(invalid="ignore"):
        expected = one_by_one(x, *given)
    np.testing.assert_array_equal(_core.largest_of_windows(x, *given), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(20))
def test_pools_of_a_model(seed, dtype):
    """Those that a plan computes otherwise are among them: with dilations, or far beyond x."""
    rng, b = np.random.default_rng(seed), Builder(17)
    taps = rng.integers(1, 6, 2).tolist()
    attributes = {"kernel_shape": taps, "strides": rng.integers(1, 4, 2).tolist()}
    attributes["pads"] = [int(rng.integers(0, k)) for k in taps * 2]
    attributes["ceil_mode"] = int(rng.integers(0, 2))
    if seed % 3 == 0:
        attributes["dilations"] = rng.integers(1, 3, 2).tolist()
    y = b.node("MaxPool", "x", **attributes)
    both = [y, b.node("MaxPool", y, kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[9, 1])]
    loaded = gru_native.onnx.load(b.model({"x": [2, 3, 11, 12]}, both, dtype=dtype, rank=4))
    x = rng.standard_normal((2, 3, 11, 12)).astype(dtype)
    expected = loaded(x)  # as it is computed without a plan, which ONNX's own cases test
    for _ in range(2):
        for actual, wanted in zip(loaded(x), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
            assert actual.dtype == dtype


def test_errors_name_the_argument():
    x = np.zeros((1, 2, 5, 6), np.float32)
    usual = {"taps": (1, 1), "strides": (1, 1), "before": (0, 0), "outputs": (2, 2)}
    for name, wrong in [
        ("taps", (0, 1)),
        ("strides", (1, 0)),
        ("before", (0, -1)),
        ("outputs", (1,)),
        ("taps", (1, 1 << 62)),
        ("strides", (1 << 62, 1)),
        ("before", (1 << 62, 0)),
    ]:
        with pytest.raises(ValueError, match=name):
            _core.largest_of_windows(x, **{**usual, name: wrong})
    with pytest.raises(ValueError, match="outputs"):
        _core.largest_of_windows(
            x, **{**usual, "strides": (1 << 39,) * 2, "outputs": (1 << 39,) * 2}
        )
    far = _core.largest_of_windows(x, **{**usual, "strides": (1 << 39,) * 2, "outputs": (1, 1)})
    assert far.shape == (1, 2, 1, 1)
    with pytest.raises(ValueError, match="x has"):
        _core.largest_of_windows(x[0], **usual)
    with pytest.raises(ValueError, match="x has"):
        _core.largest_of_windows(x[0, 0], **usual)
