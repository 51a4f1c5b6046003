"""ONNX models as other programs write them."""

import io
import logging
import tracemalloc
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import gru_native
import gru_native.onnx


def from_torch(module, *example, dynamo=False, **options):
    """What torch.onnx.export writes, by either of its exporters."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        file = io.BytesIO()
        if dynamo:
            program = torch.onnx.export(module, example, dynamo=True, verbose=False, **options)
            return program.model_proto
        torch.onnx.export(module, example, file, dynamo=False, **options)
    return onnx.load_from_string(file.getvalue())


class Builder:
    """A model, node by node: ``b.node("Squeeze", x, axes=[1])`` returns the output's name."""

    def __init__(self, opset=15):
        self.opset, self.nodes, self.tensors = opset, [], []

    def tensor(self, array, name=None):
        name = name or f"const_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op}__{len(self.nodes)}:{i}" for i in range(outputs)]
        name = f"{op}__{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, inputs, outputs, dtype=np.float32, rank=3):
        """inputs: name -> shape; outputs: a name or several, all of this rank."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(n, kind, shape) for n, shape in inputs.items()],
            [helper.make_tensor_value_info(n, kind, [None] * rank) for n in names],
            self.tensors,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def gru_tensors(b, rng, inputs, hidden, directions=1):
    """The names of W and R of a GRU, put into the builder's model."""
    w = rng.standard_normal((directions, 3 * hidden, inputs)).astype(np.float32)
    r = rng.standard_normal((directions, 3 * hidden, hidden)).astype(np.float32)
    return b.tensor(w), b.tensor(r)


def keras_like(cell, kernels, dense, *, sequences, dtype=np.float32):
    """The pattern of tf2onnx for a Keras model: an LSTM or GRU layer, then Dense with softmax.

    Inputs are (batch, time, features); the layer runs by time, its initial state is zeros in the
    size of the batch, filled in by the graph. kernels: W, R and B in ONNX's order. sequences: the
    layer returns all steps, and Dense is a product of flattened steps, else the last only.
    """
    b = Builder()
    w, r, bias = (array.astype(dtype) for array in kernels)
    hidden = r.shape[-1]
    # Shape -> StridedSlice -> Pack -> Fill
    shape = b.node("Shape", "x")
    shape = b.node("Cast", shape, to=TensorProto.FLOAT)
    batch = b.node("Slice", shape, b.tensor([0]), b.tensor([1]), b.tensor([0]))
    batch = b.node("Squeeze", batch, b.tensor([0]))
    batch = b.node("Cast", batch, to=TensorProto.INT64)
    batch = b.node("Unsqueeze", batch, b.tensor([0]))
    size = b.node("Concat", batch, b.tensor(np.array([hidden], np.int64)), axis=0)
    zeros = b.node("Expand", b.tensor(np.zeros((), dtype)), size)
    by_time = b.node("Transpose", "x", perm=[1, 0, 2])
    state = b.node("Unsqueeze", zeros, b.tensor([0]))
    given = [by_time, b.tensor(w), b.tensor(r), b.tensor(bias), "", state]
    if cell == "LSTM":
        y, *_ = b.node("LSTM", *given, state, outputs=3, direction="forward", hidden_size=hidden)
    else:
        y, _ = b.node("GRU", *given, outputs=2, hidden_size=hidden, linear_before_reset=1)
    steps = b.node("Squeeze", y, b.tensor([1]))
    weight, offset = (array.astype(dtype) for array in dense)
    if not sequences:
        limits = b.tensor([-1]), b.tensor([np.iinfo(np.int32).max]), b.tensor([0]), b.tensor([1])
        last = b.node("Squeeze", b.node("Slice", steps, *limits), b.tensor([0]))
        product = b.node("MatMul", last, b.tensor(weight))
        logits = b.node("Add", product, b.tensor(offset))
        return b.model({"x": [None, None, w.shape[-1]]}, b.node("Softmax", logits), dtype, 2)
    back = b.node("Transpose", steps, perm=[1, 0, 2])
    flat = b.node("Reshape", back, b.tensor(np.array([-1, hidden], np.int64)))
    product = b.node("MatMul", flat, b.tensor(weight))
    outer = b.node("Slice", b.node("Shape", back), b.tensor([0]), b.tensor([2]), b.tensor([0]))
    size = b.node("Concat", outer, b.tensor(np.array([weight.shape[1]], np.int64)), axis=0)
    logits = b.node("Add", b.node("Reshape", product, size), b.tensor(offset))
    return b.model({"x": [None, None, w.shape[-1]]}, b.node("Softmax", logits, axis=-1), dtype)


def exported(tmp_path, layer=None, **options):
    layer = layer or gru_native.LSTM(3, 4, 2, seed=0)
    gru_native.onnx.export(layer, tmp_path / "model.onnx", **options)
    return onnx.load(tmp_path / "model.onnx")


def refuses(model, says):
    """load raises ValueError that says so, and takes little memory for it."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=says):
            gru_native.onnx.load(model)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
