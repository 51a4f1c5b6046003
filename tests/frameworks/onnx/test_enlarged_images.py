"""Convolutions that read images of repeated dots, as Resize makes them, as they were before.

The oracle is the evaluator of the onnx package; bits are held against those of the whole image.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402
from onnx_images import SIZE, WINDOWS, assert_agrees, conv, image, model, numbers, ops_of  # noqa: E402


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("outputs", [5, 24, 40, 48, 70])
@pytest.mark.parametrize("factors", [(2, 2), (3, 1), (1, 2)])
def test_repeated_dots(window, outputs, factors, threads):
    kernel, attributes = window
    block = gru_native.Conv2d(
        12,
        outputs,
        kernel,
        attributes.get("strides", 1),
        tuple(attributes.get("pads", [0, 0])[:2]),
        attributes.get("dilations", 1),
        seed=1,
    )
    down, across = factors
    small = [numbers(seed, 30, 2, 12, 4).transpose(1, 3, 2, 0) for seed in range(2)]
    large = [x.repeat(down, 2).repeat(across, 3) for x in small]
    others = [numbers(seed, 30 * across, 2, 12 * down, 4).transpose(1, 3, 2, 0) for seed in (5, 6)]
    for parts, whole, which in [
        ((small[0], *others), (large[0], *others), (1, 0, 0)),
        ((others[0], small[0], others[1]), (others[0], large[0], others[1]), (0, 1, 0)),
        ((small[0], others[0], small[1]), (large[0], others[0], large[1]), (1, 0, 1)),
        ((small[0], small[0], small[1]), (large[0], large[0], large[1]), (1, 1, 1)),
    ]:
        joined = np.concatenate(whole, 1)
        repeats = tuple(factors if repeated else (1, 1) for repeated in which)
        for swish in (False, True):
            expected = block._core.swish(joined) if swish else block(joined)
            expected = np.pad(expected, ((0, 0), (0, 0), (1, 1), (2, 2)))
            for count in (1, 2, 3):
                threads(count)
                actual = block._core.of_parts(parts, swish, (1, 2), repeats)
                np.testing.assert_array_equal(actual, expected)


NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def enlarged(b, x, scales=(1, 1, 2, 2), **attributes):
    scales = b.tensor(np.array(scales, np.float32))
    return b.node("Resize", x, "", scales, **{**NEAREST, **attributes})


def pyramid(b, outputs=48, kernel=(1, 1), small="core", **attributes):
    """Results of two convolutions of an image beside one of half its sides."""
    low = b.node("MaxPool", image(b, small, 6), kernel_shape=[2, 2], strides=[2, 2])
    y = enlarged(b, low)
    both = b.node("Concat", y, image(b, "core", 6), axis=1)
    ends = [conv(b, both, (12, outputs), kernel, **attributes) for _ in range(2)]
    return y, [b.node("Relu", ends[0]), b.node("Mul", ends[1], b.node("Sigmoid", ends[1]))]


@pytest.mark.parametrize(("kernel", "attributes"), WINDOWS)
@pytest.mark.parametrize("outputs", [4, 48, 96])
def test_enlarged_images(kernel, attributes, outputs):
    b = Builder(17)
    _, ends = pyramid(b, outputs, kernel, **attributes)
    loaded = assert_agrees(model(b, ends), 0)
    moves_only = kernel == (1, 1) and not attributes
    assert ops_of(loaded).count("Resize") == (not moves_only)


def test_enlarged_images_that_are_needed():
    for how in ("output", "reader", "second", "twice", "alone", "third", "of another"):
        b = Builder(17)
        y, ends = pyramid(b)
        if how == "output":
            ends.append(y)
        elif how == "reader":
            ends.append(b.node("Tanh", y))
        elif how == "second":
            ends.append(conv(b, b.node("Concat", image(b, "core", 6), y, axis=1), (12, 48)))
        elif how == "twice":
            ends.append(conv(b, b.node("Concat", y, y, axis=1), (12, 48)))
        elif how == "alone":
            ends.append(conv(b, y, (6, 48)))
        elif how == "third":
            wide = enlarged(b, image(b, "core", 6), (1, 1, 1, 1.5))
            ends.append(conv(b, b.node("Concat", wide, wide, axis=1), (12, 48)))
        else:
            low = b.node("MaxPool", y, kernel_shape=[4, 5], strides=[4, 5])
            other = b.node("Concat", enlarged(b, low, (1, 1, 4, 5)), image(b, "core", 6), axis=1)
            ends.append(conv(b, b.node("Slice", other, *both_sides(b)), (12, 48)))
        assert_agrees(model(b, ends), how == "of another")


def both_sides(b):
    return [b.tensor(np.array(n)) for n in ([0, 0], [8, 8], [2, 3])]


@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 1, 3), (1, 1, 1.5, 2), (1, 2, 2, 2)])
@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel", "align_corners"])
def test_enlarged_in_other_ways(scales, mode):
    b = Builder(17)
    x = image(b, "core", 6)
    y = enlarged(b, x, scales, coordinate_transformation_mode=mode)
    sizes = [6 * scales[1], int(8 * scales[2]), int(10 * scales[3])]
    constant = b.tensor(numbers(1, 2, *sizes))
    both = b.node("Concat", y, constant, axis=1)
    loaded = gru_native.onnx.load(model(b, conv(b, both, (2 * sizes[0], 48))))
    x = numbers(7, 2, 3, *SIZE)
    expected = loaded(x)  # as it is computed without a plan, which ONNX's own cases test
    for _ in range(2):
        np.testing.assert_allclose(loaded(x), expected, 1e-4, 1e-4)
