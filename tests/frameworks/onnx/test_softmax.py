"""Softmax and LogSoftmax: which are part of a dense layer, and what becomes of others."""

import numpy as np
import pytest

from helpers import assert_close
from reference.functions import ROW_ACTIVATIONS

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, gru_tensors  # noqa: E402

WEIGHT, BIAS = np.split(np.random.default_rng(2).standard_normal((4, 4), np.float32), [3])


def dense_like(b, how):
    """The name of x W + b, where Gemm takes x of two axes only."""
    weight, bias = b.tensor(WEIGHT), b.tensor(BIAS[0])
    if how == "Gemm":
        return b.node("Gemm", "x", weight, bias)
    return b.node("Add", b.node("MatMul", "x", weight), bias)


def onnx_softmax(op, opset, a, axis):
    """As the operator's two texts say: along an axis, or over all axes from one on."""
    f = ROW_ACTIVATIONS["softmax" if op == "Softmax" else "log_softmax"]
    if opset >= 13:
        axis = -1 if axis is None else axis
        return f(a.swapaxes(axis, -1)).swapaxes(axis, -1)
    axis = 1 if axis is None else axis
    return f(a.reshape(int(np.prod(a.shape[:axis])), -1)).reshape(a.shape)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("opset", "how", "axis", "last"),
    [
        *((13, "MatMul", None, True), (13, "MatMul", -1, True), (13, "MatMul", 2, True)),
        *((13, "MatMul", 1, False), (13, "Gemm", None, True), (13, "Gemm", 1, True)),
        *((13, "Gemm", 0, False), (11, "MatMul", None, False), (11, "MatMul", 2, True)),
        *((11, "MatMul", -1, True), (11, "Gemm", None, True), (11, "Gemm", 0, False)),
    ],
)
def test_softmax_over_the_units_is_part_of_the_dense_layer(op, opset, how, axis, last, tmp_path):
    b = Builder(opset)
    rank = 2 if how == "Gemm" else 3
    y = b.node(op, dense_like(b, how), **({} if axis is None else {"axis": axis}))
    proto = b.model({"x": [None] * (rank - 1) + [3]}, y, rank=rank)
    model = gru_native.onnx.load(proto)
    x = np.random.default_rng(3).standard_normal((5, 2, 3)[3 - rank :], np.float32)
    expected = onnx_softmax(op, opset, x.astype(np.float64) @ WEIGHT + BIAS, axis)
    assert_close(model(x), expected, 1e-5)
    if not last:
        with pytest.raises(ValueError, match=rf"node '{op}__\d+' \({op}\)"):
            model.save(tmp_path / "model.safetensors")
        return
    model.save(tmp_path / "model.safetensors")
    layer = gru_native.load(tmp_path / "model.safetensors")
    assert repr(layer).startswith(f"Dense(3, 4, activation={op.lower().replace('gs', 'g_s')!r}")
    assert_close(layer(x), expected, 1e-5)
    stream = model.stream(x.shape[-2])
    x = x if rank == 3 else x[None]
    assert_close(stream(x).reshape(expected.shape), expected, 1e-5)
    assert model.layer(logits=True).activation == "identity"


@pytest.mark.parametrize("behind", ["GRU", "Relu", "Softmax"])
def test_softmax_behind_no_open_dense_layer(behind, tmp_path):
    """It can be called and streamed; a file has no place for it."""
    rng, b = np.random.default_rng(0), Builder()
    if behind == "GRU":
        y, _ = b.node("GRU", "x", *gru_tensors(b, rng, 3, 4), outputs=2, hidden_size=4)
        y = b.node("Squeeze", y, b.tensor([1]))
    else:
        y = b.node(behind, dense_like(b, "MatMul"))
    proto = b.model({"x": [None, None, 3]}, b.node("LogSoftmax", y))
    model = gru_native.onnx.load(proto)
    x = rng.standard_normal((5, 2, 3), np.float32)
    assert_close(np.exp(model(x)).sum(-1), np.ones((5, 2)), 1e-5)
    assert_close(model.stream(2)(x), model(x), 1e-5)
    with pytest.raises(ValueError, match=r"node 'LogSoftmax__\d+' \(LogSoftmax\) is no layer"):
        model.save(tmp_path / "model.safetensors")
    model.save(tmp_path / "model.safetensors", logits=True)
    layer = gru_native.load(tmp_path / "model.safetensors")
    assert isinstance(layer, gru_native.GRU if behind == "GRU" else gru_native.Dense)
    if behind != "GRU":
        assert layer.activation == {"Relu": "relu", "Softmax": "identity"}[behind]
