"""Convolutions with groups in calls of one kind: blocks of the core, as those without."""

import numpy as np
import pytest

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402

# groups, channels and outputs of one, kernel, attributes
CASES = [
    (16, 1, 1, (3,), {"pads": [1, 1]}),
    (3, 2, 4, (4,), {"strides": [2], "dilations": [2]}),
    (128, 1, 1, (20, 1), {}),
    (16, 1, 1, (1, 3), {"pads": [0, 1, 0, 1], "strides": [1, 2]}),
    (2, 1, 8, (3, 3), {"pads": [1, 0, 0, 2]}),
    (5, 3, 1, (3, 3), {"pads": [1, 1, 1, 1], "dilations": [1, 2]}),
    (4, 16, 16, (3, 3), {"auto_pad": "SAME_UPPER"}),
]


@pytest.mark.parametrize("behind", ["Relu", "Swish", "Identity"])
@pytest.mark.parametrize(("groups", "each", "outs", "kernel", "options"), CASES)
def test_against_onnx_runtime(groups, each, outs, kernel, options, behind):
    rng, b = np.random.default_rng([*kernel, groups]), Builder(17)
    weight = rng.standard_normal((groups * outs, each, *kernel), np.float32)
    bias = b.tensor(rng.standard_normal(groups * outs, np.float32))
    y = b.node("Conv", "x", b.tensor(weight), bias, group=groups, **options)
    y = b.node("Mul", y, b.node("Sigmoid", y)) if behind == "Swish" else b.node(behind, y)
    shape = (2, groups * each, *(25, 13)[: len(kernel)])
    model = b.model({"x": shape}, y, rank=len(shape))
    loaded = gru_native.onnx.load(model)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for _ in range(3):  # planned from the second on
        x = rng.standard_normal(shape, np.float32)
        np.testing.assert_allclose(loaded(x), session.run(None, {"x": x})[0], 1e-4, 1e-4)


@pytest.mark.parametrize(("groups", "each", "outs", "kernel", "options"), CASES[:-1])
def test_whole_numbers(groups, each, outs, kernel, options):
    rng, b = np.random.default_rng([*kernel, groups]), Builder(17)
    weight = rng.integers(-128, 128, (groups * outs, each, *kernel)).astype(np.int8)
    levels, step, zero = b.node("DynamicQuantizeLinear", "x", outputs=3)
    w, w_zero = b.tensor(weight), b.tensor(np.int8(0))
    y = b.node("ConvInteger", levels, w, zero, w_zero, group=groups, **options)
    y = b.node("Cast", y, to=1)
    y = b.node("Mul", y, b.node("Mul", step, b.tensor(np.float32(0.01))))
    shape = (1, groups * each, *(25, 13)[: len(kernel)])
    model = b.model({"x": shape}, y, rank=len(shape))
    loaded = gru_native.onnx.load(model)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for _ in range(3):
        x = rng.standard_normal(shape, np.float32)
        np.testing.assert_allclose(loaded(x), session.run(None, {"x": x})[0], 1e-4, 1e-3)
