"""Convolutions that read images side by side where they lie, instead of one that joins them.

The oracle is the evaluator of the onnx package; bits are held against those of the joined image.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402

SIZE = (8, 10)


def numbers(seed, *shape, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def conv(b, x, channels, kernel=(1, 1), dtype=np.float32, **attributes):
    weight = numbers(len(b.nodes), channels[1], channels[0], *kernel, dtype=dtype)
    bias = numbers(len(b.nodes) + 99, channels[1], dtype=dtype)
    return b.node("Conv", x, b.tensor(0.3 * weight), b.tensor(bias), **attributes)


def image(b, kind, channels, dtype=np.float32):
    """One of SIZE in memory of some order."""
    if kind == "core":
        return conv(b, "x", (3, channels), dtype=dtype)
    if kind == "rows":  # as (batch, channels, height, width)
        return b.node("Reshape", conv(b, "x", (3, channels), dtype=dtype), shape_of(b, channels))
    if kind == "turned":
        y = b.node("Transpose", conv(b, "x", (3, channels), dtype=dtype), perm=[0, 1, 3, 2])
        return b.node("Reshape", y, shape_of(b, channels))
    if kind == "backwards":
        ends = [b.tensor(np.array(n)) for n in ([-1, -1], [-99, -99], [3, 1], [-1, -1])]
        return b.node("Slice", conv(b, "x", (3, channels), dtype=dtype), *ends)
    if kind == "some":  # every second channel, and every second column of twice as many
        wide = b.node("Concat", *[conv(b, "x", (3, 2 * channels), dtype=dtype)] * 2, axis=3)
        ends = [b.tensor(np.array(n)) for n in ([1, 0], [99, 99], [1, 3], [2, 2])]
        return b.node("Slice", wide, *ends)
    if kind == "spread":  # of one dot
        y = b.node(
            "Expand", b.tensor(numbers(5, channels, 1, 1, dtype=dtype)), shape_of(b, channels)
        )
        return b.node("Slice", y, *(b.tensor(np.array([n])) for n in (0, 99, 2)))
    assert kind == "largest"
    y = conv(b, "x", (3, channels), dtype=dtype)
    return b.node("MaxPool", y, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def shape_of(b, channels):
    return b.tensor(np.array([2, channels, *SIZE]))


def model(b, outputs, dtype=np.float32):
    return b.model({"x": [2, 3, *SIZE]}, outputs, dtype=dtype, rank=4)


def ops_of(loaded):
    (plan,) = loaded._planner._plans.values()
    return [step.node.op for step in plan._steps]


def assert_agrees(proto, joins, dtype=np.float32):
    """joins: the Concats that are computed."""
    loaded, oracle = gru_native.onnx.load(proto), ReferenceEvaluator(proto)
    for seed in range(4):
        x = numbers(seed + 7, 2, 3, *SIZE, dtype=dtype)
        given = x.copy()
        outputs = loaded(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        np.testing.assert_array_equal(x, given)
        for actual, wanted in zip(outputs, oracle.run(None, {"x": x}), strict=True):
            assert actual.dtype == dtype
            np.testing.assert_allclose(actual, wanted, 1e-4, 1e-4)
    assert ops_of(loaded).count("Concat") == joins
    return loaded


WINDOWS = [
    ((1, 1), {}),
    ((1, 1), {"strides": [2, 3]}),
    ((3, 3), {"pads": [1, 1, 1, 1]}),
    ((3, 2), {"strides": [2, 1], "dilations": [2, 1]}),
    ((4, 1), {"pads": [2, 0, 2, 0], "strides": [4, 1]}),
    ((1, 1), {"pads": [1, 2, 1, 2]}),
]
KINDS = ["core", "rows", "turned", "backwards", "some", "largest", "spread"]


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
    """Groups, and more zeros on one side."""
    b = Builder(17)
    y = b.node("Concat", image(b, "core", 4), image(b, "core", 4), axis=1)
    uneven = conv(b, y, (8, 5), (2, 2), pads=[1, 1, 0, 0])
    grouped = conv(b, b.node("Concat", y, y, axis=1), (8, 6), group=2)
    assert_agrees(model(b, [uneven, grouped]), 2)


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
    for wrong in (((0, 1), (1, 1)), ((1, 1), (4, 1)), ((1, 1 << 40), (1, 1)), ((1, 1), (1, -1))):
        with pytest.raises(ValueError, match="repeats"):
            core.of_parts((part, part), False, (0, 0), wrong)
    for zeros in ((-1, 0), (0, 1 << 40)):
        with pytest.raises(ValueError, match="zeros"):
            core.of_parts((part, part), False, zeros)
    with pytest.raises(TypeError, match="no convolution of images"):
        gru_native.Conv1d(4, 5, 3, seed=1)._core.of_parts((part,), False)
