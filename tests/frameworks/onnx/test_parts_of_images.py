"""Convolutions that read images side by side where they lie, instead of one that joins them.

The oracle is the evaluator of the onnx package; bits are held against those of the joined image.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402
from onnx_images import KINDS, SIZE, WINDOWS, assert_agrees, conv, image, model, numbers  # noqa: E402


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("outputs", [8, 24, 48, 70])
def test_images_of_one_width(dtype, window, outputs):
    for channels in (1, 4, 17):
        b = Builder(17)
        parts = [image(b, "core", channels, dtype) for _ in range(3)]
        y = b.node("Concat", *parts, axis=1)
        y = b.node("Relu", conv(b, y, (3 * channels, outputs), window[0], dtype, **window[1]))
        assert_agrees(model(b, y, dtype), 0, dtype)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_memory_of_any_order(window, first, second):
    for channels in ((2, 2), (3, 16)):
        b = Builder(17)
        parts = [image(b, *given) for given in zip((first, second), channels, strict=True)]
        y = b.node("Concat", *parts, axis=-3)
        y = conv(b, y, (sum(channels), 24), window[0], **window[1])
        gate = b.node("Sigmoid", y)
        wide = (first == "some") + (second == "some")  # those along the width
        assert_agrees(model(b, b.node("Mul", y, gate)), wide)


def test_the_input_itself():
    b = Builder(17)
    y = b.node("Concat", "x", image(b, "core", 4), "x", axis=1)
    assert_agrees(model(b, conv(b, y, (10, 24), (3, 3), pads=[1, 1, 1, 1])), 0)


def test_one_image_in_any_order():
    for kind in KINDS:
        for kernel, attributes in WINDOWS:
            b = Builder(17)
            y = conv(b, image(b, kind, 6), (6, 20), kernel, **attributes)
            assert_agrees(model(b, y), kind == "some")


def test_space_to_depth_of_slices():
    b, parts = Builder(17), []
    for across in (0, 1):
        for down in (0, 1):
            ends = [b.tensor(np.array(n)) for n in ([down, across], [99, 99], [2, 3], [2, 2])]
            parts.append(b.node("Slice", "x", *ends))
    y = b.node("Concat", *parts, axis=1)
    assert_agrees(model(b, conv(b, y, (12, 24), (3, 3), pads=[1, 1, 1, 1])), 0)


@pytest.mark.parametrize("how", ["another reader", "an output", "as weights", "another axis"])
def test_joins_that_are_needed(how):
    b = Builder(17)
    parts = [image(b, "core", 4), image(b, "core", 4)]
    y = b.node("Concat", *parts, axis=2 if how == "another axis" else 1)
    outputs = []
    if how == "another reader":
        outputs.append(b.node("Tanh", y))
    elif how == "an output":
        outputs.append(y)
    if how == "as weights":  # of 2 outputs
        one = b.node("GlobalMaxPool", y)
        outputs.append(
            b.node("Conv", b.node("Concat", y, y, axis=1), b.node("Concat", one, one, axis=1))
        )
        proto = b.model({"x": [2, 3, *SIZE]}, outputs, rank=4)
        assert_agrees(proto, 3)
        return
    outputs.append(conv(b, y, (4 if how == "another axis" else 8, 5)))
    assert_agrees(model(b, outputs), 1)


def test_parts_that_are_needed_elsewhere():
    b = Builder(17)
    first, second = image(b, "core", 4), image(b, "core", 4)
    y = conv(b, b.node("Concat", first, second, axis=1), (8, 5))
    late = b.node("Mul", b.node("Add", first, second), b.tensor(np.float32(3)))
    again = conv(b, b.node("Concat", late, first, late, axis=1), (12, 5), (3, 3))
    assert_agrees(model(b, [y, late, again]), 0)


def test_one_part_twice_and_one_part_only():
    b = Builder(17)
    part = image(b, "core", 6)
    twice = conv(b, b.node("Concat", part, part, axis=1), (12, 9))
    once = conv(b, b.node("Concat", part, axis=1), (6, 24))
    assert_agrees(model(b, [twice, once]), 0)


def test_a_join_of_joins():
    b = Builder(17)
    inner = b.node("Concat", image(b, "core", 2), image(b, "rows", 4), axis=1)
    outer = b.node("Concat", inner, image(b, "core", 6), inner, axis=1)
    assert_agrees(model(b, conv(b, outer, (18, 7))), 1)


@pytest.mark.parametrize("widths", [(4, 4), (4, 6)])
def test_several_convolutions_of_one_join(widths):
    """Of different widths it would be copied by each."""
    b = Builder(17)
    y = b.node("Concat", *(image(b, "core", n) for n in widths), axis=1)
    readers = [conv(b, y, (sum(widths), 5)), conv(b, y, (sum(widths), 7))]
    assert_agrees(model(b, readers), widths == (4, 6))


def test_convolutions_that_do_not_read_parts():
    """Those with more zeros on one side."""
    b = Builder(17)
    y = b.node("Concat", image(b, "core", 4), image(b, "core", 4), axis=1)
    assert_agrees(model(b, conv(b, y, (8, 5), (2, 2), pads=[1, 1, 0, 0])), 1)


@pytest.mark.parametrize("groups", [2, 4, 16])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 2)])
def test_groups_read_parts(kernel, groups):
    """A group may have channels of several parts."""
    b = Builder(17)
    widths = (6, 3, 7)
    y = b.node("Concat", *(image(b, "core", n) for n in widths), axis=1)
    assert_agrees(model(b, conv(b, y, (16 // groups, 16), kernel, group=groups)), 0)


def test_a_constant_part():
    b = Builder(17)
    constant = b.tensor(numbers(3, 2, 4, *SIZE))
    y = b.node("Concat", constant, image(b, "core", 4), constant, axis=1)
    assert_agrees(model(b, conv(b, y, (12, 5))), 0)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("outputs", [5, 24, 40, 48])
def test_the_bits_are_those_of_the_joined_image(window, outputs, threads):
    kernel, attributes = window
    pads = attributes.get("pads", [0, 0])[:2]
    block = gru_native.Conv2d(
        12,
        outputs,
        kernel,
        attributes.get("strides", 1),
        tuple(pads),
        attributes.get("dilations", 1),
        seed=1,
    )
    images = [numbers(seed, 90, 2, 73, 4).transpose(1, 3, 2, 0) for seed in range(3)]
    images[1] = np.ascontiguousarray(images[1])
    for parts in (images, [images[0], images[2], images[0]]):
        expected = block(np.concatenate(parts, 1))
        for count in (1, 2, 3, 5):
            threads(count)
            np.testing.assert_array_equal(block._core.of_parts(tuple(parts), False), expected)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("outputs", [5, 24, 40, 48])
def test_zeros_around_results(window, outputs, threads):
    kernel, attributes = window
    strides, dilations = attributes.get("strides", 1), attributes.get("dilations", 1)
    for function in ("identity", "sigmoid"):
        block = gru_native.Conv2d(
            *(6, outputs, kernel, strides, 0, dilations), seed=1, activation=function
        )
        x = numbers(3, 90, 2, 73, 6).transpose(1, 3, 2, 0)
        y = block(x)
        for swish in (False, True):
            wanted = block._core.swish(x) if swish else y
            for down, across in ((1, 2), (3, 0), (0, 1)):
                expected = np.pad(wanted, ((0, 0), (0, 0), (down, down), (across, across)))
                for count in (1, 2, 3):
                    threads(count)
                    actual = block._core.of_parts((x,), swish, (down, across))
                    np.testing.assert_array_equal(actual, expected)


PADDED = {"pads": [1, 2, 1, 2]}
OTHERS = [
    ("conv", (3, 5), PADDED),
    ("conv", (3, 5), {**PADDED, "strides": [2, 2]}),
    ("conv", (2, 3), {**PADDED, "dilations": [2, 1]}),
    ("conv", (3, 3), {"pads": [1, 1, 1, 1]}),
    ("conv", (1, 1), {}),
    ("conv", (3, 3), {"pads": [1, 2, 0, 1]}),
    ("conv", (3, 1), {**PADDED, "group": 2}),
    ("join", (3, 5), PADDED),
    ("Tanh", None, {}),
    ("output", None, {}),
]


@pytest.mark.parametrize("first", range(len(OTHERS)))
@pytest.mark.parametrize("second", range(len(OTHERS)))
def test_zeros_for_what_reads_a_convolution(first, second):
    """Those that all of its readers need, if all of them are convolutions."""
    b, outputs = Builder(17), []
    for kind in ("Relu", "Sigmoid", None):
        x = conv(b, "x", (3, 6), (3, 3), pads=[1, 1, 1, 1])
        if kind is not None:
            x = b.node("Mul", x, b.node(kind, x)) if kind == "Sigmoid" else b.node(kind, x)
        for what, kernel, attributes in (OTHERS[first], OTHERS[second]):
            channels = (6 // attributes.get("group", 1), 6)
            if what == "conv":
                y = conv(b, x, channels, kernel, **attributes)
                y = conv(b, b.node("LeakyRelu", y), (6, 4), (3, 5), **PADDED)
            elif what == "join":
                y = conv(b, b.node("Concat", x, x, axis=1), (12, 5), kernel, **attributes)
            else:
                y = x if what == "output" else b.node(what, x)
            outputs.append(b.node("Identity", y))
    assert_agrees(model(b, outputs), 0)


def test_memory_off_the_grid_of_numbers():
    block = gru_native.Conv2d(4, 5, 1, seed=1)
    records = np.zeros((2, 2, 6, 7), np.dtype([("tag", "i1"), ("value", "<f4")]))
    records["value"] = numbers(1, 2, 2, 6, 7)
    whole = records["value"].copy()
    expected = block(np.concatenate([whole, whole], 1))
    actual = block._core.of_parts((records["value"], whole), False)
    np.testing.assert_array_equal(actual, expected)


def test_errors_name_the_argument():
    core = gru_native.Conv2d(4, 5, 3, seed=1)._core
    part = numbers(1, 2, 2, 6, 7)
    for wrong, error in [
        ((part,), ValueError),
        ((part, part, part), ValueError),
        ((part, part[:1]), ValueError),
        ((part, part[..., :6]), ValueError),
        ((part, part[0]), ValueError),
        ((part[..., :2, :], part[..., :2, :]), ValueError),
        ((part[..., :0], part[..., :0]), ValueError),
        ((part, part.astype(np.float64)), TypeError),
        ((), ValueError),
    ]:
        with pytest.raises(error, match="parts"):
            core.of_parts(wrong, False)
    for wrong in (
        ((0, 1), (1, 1)),
        ((1, 1), (4, 1)),
        ((1, 1 << 40), (1, 1)),
        ((1, 1), (1, -1)),
        ((1, 1),),
    ):
        with pytest.raises(ValueError, match="repeats"):
            core.of_parts((part, part), False, (0, 0), wrong)
    for zeros in ((-1, 0), (0, 1 << 40)):
        with pytest.raises(ValueError, match="zeros"):
            core.of_parts((part, part), False, zeros)
    with pytest.raises(TypeError, match="no convolution of images"):
        gru_native.Conv1d(4, 5, 3, seed=1)._core.of_parts((part,), False)
