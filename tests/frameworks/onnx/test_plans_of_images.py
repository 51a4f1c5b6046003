"""Planned calls of convolutions, with functions as parts of them and results in others' places.

The oracle is the evaluator of the onnx package.
"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402

SHAPE = (2, 3, 5, 6)


def convolution(b, rng, x, channels=(3, 3), **attributes):
    kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
    if not attributes:
        up, left = (int(rng.integers(0, n)) for n in kernel)
        attributes = {"pads": [up, left, kernel[0] - 1 - up, kernel[1] - 1 - left]}
    numbers = rng.standard_normal((channels[1], channels[0], *kernel)).astype(np.float32)
    inputs = [x, b.tensor(0.3 * numbers)]
    if rng.random() < 0.7:
        inputs.append(b.tensor(rng.standard_normal(channels[1]).astype(np.float32)))
    return b.node("Conv", *inputs, **attributes)


def swish(b, x, gate=None):
    pair = (x, b.node("Sigmoid", x) if gate is None else gate)
    return b.node("Mul", *pair[:: 1 if len(b.nodes) % 2 else -1])


def random_graph(seed):
    """Values of one shape, of which any may be needed again, and may be seen in another shape."""
    rng, b, values = np.random.default_rng(seed), Builder(17), ["x"]
    for _ in range(12):
        x, other = (values[-1 - int(rng.integers(0, min(3, len(values))))] for _ in "ab")
        kind = rng.choice(["conv", "conv", "function", "swish", "join", "same", "view", "constant"])
        if kind == "conv":
            y = convolution(b, rng, x)
        elif kind == "function":
            y = b.node(str(rng.choice(["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Neg", "Abs"])), x)
        elif kind == "swish":
            y = swish(b, x)
        elif kind == "join":
            y = b.node(str(rng.choice(["Add", "Mul", "Sub"])), x, other)
        elif kind == "same":
            y = b.node("Identity", x)
        elif kind == "constant":
            y = b.node("Add", x, b.tensor(rng.standard_normal((3, 1, 1)).astype(np.float32)))
        else:
            turned = b.node("Transpose", x, perm=[0, 2, 3, 1])
            values.append(b.node("Transpose", b.node("Relu", turned), perm=[0, 3, 1, 2]))
            y = b.node("Reshape", x, b.tensor(SHAPE))
        values.append(y)
    kept = rng.choice(values[1:-1], 2, replace=False).tolist()
    return b.model({"x": list(SHAPE)}, [values[-1], *kept], rank=4)


def assert_agrees(proto, shape=SHAPE, tolerance=1e-4):
    loaded, oracle = gru_native.onnx.load(proto), ReferenceEvaluator(proto)
    rng = np.random.default_rng(1)
    earlier = []
    for _ in range(4):
        x = rng.standard_normal(shape).astype(np.float32)
        given = x.copy()
        outputs = loaded(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        expected = oracle.run(None, {"x": x})
        np.testing.assert_array_equal(x, given)
        for actual, wanted in zip(outputs, expected, strict=True):
            assert actual.flags.c_contiguous
            np.testing.assert_allclose(actual, wanted, tolerance, tolerance)
            earlier.append((actual, wanted))
    for actual, wanted in earlier:  # no call has written into the results of another
        np.testing.assert_allclose(actual, wanted, tolerance, tolerance)
    return loaded


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    assert_agrees(random_graph(seed))


def steps_of(loaded):
    (plan,) = loaded._planner._plans.values()
    return [step.node.op for step in plan._steps]


def test_functions_are_parts_of_convolutions():
    rng, b, y = np.random.default_rng(0), Builder(17), "x"
    for op in ("Relu", "Tanh", "Sigmoid", "LeakyRelu"):
        y = b.node(op, convolution(b, rng, y))
    y = swish(b, convolution(b, rng, y))
    loaded = assert_agrees(b.model({"x": list(SHAPE)}, y, rank=4))
    assert steps_of(loaded) == ["Conv"] * 5


@pytest.mark.parametrize("kept", ["convolution", "gate", "both"])
def test_what_is_needed_elsewhere_stays(kept):
    rng, b = np.random.default_rng(0), Builder(17)
    x = convolution(b, rng, "x")
    gate = b.node("Sigmoid", x)
    outputs = {"convolution": [x], "gate": [gate], "both": [x, gate]}[kept]
    assert_agrees(b.model({"x": list(SHAPE)}, [swish(b, x, gate), *outputs], rank=4))


def test_a_gate_of_another_value():
    rng, b = np.random.default_rng(0), Builder(17)
    x, other = convolution(b, rng, "x"), convolution(b, rng, "x")
    y = swish(b, x, b.node("Sigmoid", other))
    assert_agrees(b.model({"x": list(SHAPE)}, y, rank=4))


@pytest.mark.parametrize("channels", [(3, 1), (3, 16), (3, 24), (3, 40), (3, 48), (3, 70)])
@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"strides": [1, 2], "pads": [0, 2, 1, 0], "dilations": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 1]},
        {"auto_pad": "VALID"},
    ],
)
def test_windows_and_channels(channels, attributes):
    rng, b = np.random.default_rng(0), Builder(17)
    y = swish(b, convolution(b, rng, "x", channels, **attributes))
    assert_agrees(b.model({"x": [2, 3, 9, 8]}, y, rank=4), (2, 3, 9, 8))


@pytest.mark.parametrize("attributes", [{"pads": [1, 1]}, {"pads": [2, 0]}, {"strides": [3]}])
def test_over_time(attributes):
    rng, b = np.random.default_rng(0), Builder(17)
    weight = rng.standard_normal((20, 3, 3)).astype(np.float32)
    y = swish(b, b.node("Conv", "x", b.tensor(weight), **attributes))
    assert_agrees(b.model({"x": [2, 3, 11]}, y), (2, 3, 11))


@pytest.mark.parametrize("behind", [True, False], ids=["behind a convolution", "of the input"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [5, 3], "pads": [2, 1, 2, 1]},
        {"kernel_shape": [1, 7], "pads": [0, 3, 0, 3], "strides": [1, 2]},
        {"kernel_shape": [3, 2], "dilations": [2, 3], "auto_pad": "VALID"},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    ],
)
def test_largest_of_windows(attributes, behind):
    rng, b = np.random.default_rng(0), Builder(17)
    x = convolution(b, rng, "x") if behind else "x"
    y = b.node(
        "Concat", b.node("MaxPool", x, **attributes), b.node("MaxPool", x, **attributes), axis=1
    )
    proto = b.model({"x": [2, 3, 9, 8]}, y, rank=4)
    loaded, x = gru_native.onnx.load(proto), np.random.default_rng(1).standard_normal((2, 3, 9, 8))
    x = x.astype(np.float32)
    expected = loaded(x)  # as it is computed without a plan, which ONNX's own cases test
    for _ in range(3):
        np.testing.assert_allclose(loaded(x), expected, 1e-5, 1e-5)
    x[0, 1, 4, 4] = np.nan
    assert np.isnan(loaded(x)).any()


@pytest.mark.parametrize(
    "attributes",
    [
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
        {"coordinate_transformation_mode": "align_corners"},
        {"mode": "linear"},
    ],
)
@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 1.7, 0.6), (1, 2, 1, 1)])
def test_resized(attributes, scales):
    rng, b = np.random.default_rng(0), Builder(17)
    factors = b.tensor(np.array(scales, np.float32))
    x = convolution(b, rng, "x")
    ends = [b.node("Resize", of, "", factors, **attributes) for of in (x, "x")]
    loaded = gru_native.onnx.load(
        b.model({"x": list(SHAPE)}, b.node("Concat", *ends, axis=1), rank=4)
    )
    x = rng.standard_normal(SHAPE).astype(np.float32)
    expected = loaded(x)  # as above
    for _ in range(3):
        np.testing.assert_allclose(loaded(x), expected, 1e-5, 1e-5)
