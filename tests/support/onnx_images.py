"""Models of convolutions of images that lie in memory in all ways; the oracle is that of onnx."""

import numpy as np
from onnx.reference import ReferenceEvaluator

import gru_native.onnx

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
