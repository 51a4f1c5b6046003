"""Convolutions of 8 bits as ONNX Runtime writes them, which the core computes in one call.

The oracle is ONNX Runtime, of the graph as it is.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

import gru_native.onnx  # noqa: E402
from gru_native.onnx._whole_convolutions import WHOLE  # noqa: E402
from onnx_builder import Builder  # noqa: E402


def whole_convolution(
    b, rng, x, channels, kernel=(3, 3), *, bias=True, kind=np.uint8, scale_shape=(), **attributes
):
    """The nodes of one, in either order where there are two, and its output."""
    weight = rng.integers(
        *((0, 256) if kind == np.uint8 else (-128, 128)), (*channels[::-1], *kernel)
    )
    zero = np.array(rng.integers(100, 150) if kind == np.uint8 else 0, kind)
    scale = b.tensor(np.full(scale_shape, 0.01 * rng.random() + 0.001, np.float32))
    q, step, offset = b.node("DynamicQuantizeLinear", x, outputs=3)

    def either(op, *inputs):
        return b.node(op, *inputs[:: 1 if rng.random() < 0.5 else -1])

    y = b.node(
        "ConvInteger", q, b.tensor(weight.astype(kind)), offset, b.tensor(zero), **attributes
    )
    if bias:
        numbers = b.tensor(rng.standard_normal(channels[1]).astype(np.float32))
        quotient = b.node("Div", numbers, either("Mul", step, scale))
        whole = b.node("Cast", b.node("Floor", quotient), to=onnx.TensorProto.INT32)
        sizes = np.array([1, -1, *[1] * len(kernel)])
        y = either("Add", y, b.node("Reshape", whole, b.tensor(sizes)))
    factor = either("Mul", step, scale)
    return either("Mul", b.node("Cast", y, to=onnx.TensorProto.FLOAT), factor)


def fused(loaded):
    return sum(node.op == WHOLE for node in loaded._program.nodes)


def assert_agrees(model, x):
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options)
    expected = session.run(None, {"x": x})
    loaded = gru_native.onnx.load(model)
    for _ in range(3):  # the third call is planned
        actual = loaded(x)
        actual = actual if isinstance(actual, tuple) else (actual,)
        for a, wanted in zip(actual, expected, strict=True):
            assert a.shape == wanted.shape
            np.testing.assert_allclose(a, wanted, 1e-5, 2e-5 * np.abs(wanted).max())
    return loaded


def small(scale_shape=(), bias=False):
    b, rng = Builder(13), np.random.default_rng(1)
    y = whole_convolution(b, rng, "x", (3, 5), bias=bias, scale_shape=scale_shape)
    return b.model({"x": [1, 3, 6, 6]}, [y], rank=4 if len(scale_shape) < 5 else 5)


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1), (1, 1, 1, 1, 1)])
def test_a_scale_with_axes(shape):
    x = np.random.default_rng(2).standard_normal((1, 3, 6, 6)).astype(np.float32)
    loaded = assert_agrees(small(shape, bias=True), x)
    assert fused(loaded) == (len(shape) < 5)


@pytest.mark.parametrize("tiny", [0.0, 1e-44, 3e-43])
def test_a_range_of_next_to_nothing(tiny):
    x = np.tile(np.array([tiny, -tiny], np.float32), 54).reshape(1, 3, 6, 6)
    assert_agrees(small(), x)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_has_no_range_is_nan(number):
    """ONNX does not say what it is; calls of one model agree."""
    x = np.ones((1, 3, 6, 6), np.float32)
    x[0, 1, 2, 3] = number
    loaded = gru_native.onnx.load(small(bias=True))
    assert fused(loaded) == 1
    with np.errstate(all="ignore"):
        for _ in range(3):
            assert np.isnan(loaded(x)).all()


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-36])
def test_a_bias_of_too_many_steps_is_the_most_of_32_bits(size):
    rng = np.random.default_rng(3)
    x = (size * rng.uniform(-1, 1, (1, 3, 6, 6))).astype(np.float32)
    loaded = gru_native.onnx.load(small(bias=True))
    first = loaded(x)
    assert np.isfinite(first).all()
    for _ in range(3):
        np.testing.assert_allclose(loaded(x), first, 1e-4)  # sums beside 2^31


@pytest.mark.parametrize("seed", range(12))
def test_as_onnx_runtime(seed):
    rng, b = np.random.default_rng(seed), Builder(13)
    flat = seed % 4 == 3
    kernel = (int(rng.integers(1, 5)),) if flat else tuple(int(n) for n in rng.integers(1, 4, 2))
    inputs, outputs = int(rng.integers(1, 9)), int(rng.integers(1, 40))
    attributes = {"pads": [int(n) for n in rng.integers(0, min(kernel) + 1, 2 * len(kernel))]}
    if seed % 3 == 0:
        attributes["strides"] = [2] * len(kernel)
    kind = (np.uint8, np.int8)[seed % 2]
    y = whole_convolution(
        b, rng, "x", (inputs, outputs), kernel, bias=seed % 5 > 0, kind=kind, **attributes
    )
    if seed % 2:
        y = b.node("Mul", y, b.node("Sigmoid", y))
    shape = (2, inputs, *[9] * len(kernel))
    model = b.model({"x": list(shape)}, [y], rank=len(shape))
    x = rng.standard_normal(shape).astype(np.float32)
    assert fused(assert_agrees(model, np.abs(x) if seed == 7 else x)) == 1
    assert_agrees(model, np.zeros_like(x))


def test_numbers_at_hand_within_it_are_still_given():
    """Of three in a row, one of which somebody looks into."""
    rng, b = np.random.default_rng(0), Builder(13)
    first = whole_convolution(b, rng, "x", (3, 24), pads=[1] * 4)
    second = whole_convolution(b, rng, b.node("Mul", first, b.node("Sigmoid", first)), (24, 5))
    (sums,) = next(
        n for n in b.nodes if n.op_type == "Cast" and n.input[0].startswith("Add")
    ).output
    last = b.node("Relu", whole_convolution(b, rng, second, (5, 4), (1, 1)))
    model = b.model({"x": [1, 3, 8, 7]}, [last, first, sums], rank=4)
    x = rng.standard_normal((1, 3, 8, 7)).astype(np.float32)
    assert fused(assert_agrees(model, x)) == 3


def wrong_bias(b, rng, x):
    """The scale of the bias is another one."""
    y = whole_convolution(b, rng, x, (3, 4))
    quotient = next(n for n in b.nodes if n.op_type == "Div")
    factor = b.node("Mul", b.nodes[0].output[1], b.tensor(np.array(0.5, np.float32)))
    b.nodes.insert(1, b.nodes.pop())
    quotient.input[1] = factor
    return y


def other_zero(b, rng, x):
    """The zero point is not that of x."""
    y = whole_convolution(b, rng, x, (3, 4), bias=False)
    next(n for n in b.nodes if n.op_type == "ConvInteger").input[2] = b.tensor(
        np.array(3, np.uint8)
    )
    return y


@pytest.mark.parametrize("make", [wrong_bias, other_zero])
def test_what_only_looks_like_it_is_computed_as_written(make):
    rng, b = np.random.default_rng(1), Builder(13)
    model = b.model({"x": [1, 3, 6, 7]}, [make(b, rng, "x")], rank=4)
    x = rng.standard_normal((1, 3, 6, 7)).astype(np.float32)
    assert fused(assert_agrees(model, x)) == 0
