"""The ONNX models that the fuzzer changes: every operator, layers, and exporters' patterns."""

import tempfile
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test import loader

import gru_native
import gru_native.onnx
from gru_native.onnx.operators import registry
from onnx_builder import Builder, gru_tensors, keras_like
from onnx_other_operators import other_operators

FUNCTIONS = (
    *("Relu", "Tanh", "Sigmoid", "Softplus", "Softsign", "Neg", "Abs", "Sqrt", "Exp", "Log"),
    *("Reciprocal", "Floor", "Ceil", "Identity", "Dropout"),
)


def one_operator(make, opset=15, shape=(None, None, 3), **options):
    """A model of one operator, or a few, on x."""
    b = Builder(opset)
    made = make(b)
    outputs = made if isinstance(made, (list, tuple)) else [made]
    return b.model({"x": list(shape)}, outputs, **options)


def integers(b, *numbers):
    return b.tensor(np.array(numbers, np.int64))


def operators():
    """Every operator around recurrent layers in a model of its own."""
    floats = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    for op in FUNCTIONS:
        yield one_operator(lambda b, op=op: b.node(op, "x"))
    for op in ("Elu", "HardSigmoid", "LeakyRelu", "Selu", "ThresholdedRelu"):
        yield one_operator(lambda b, op=op: b.node(op, "x", alpha=0.7))
    for op in ("Softmax", "LogSoftmax", "ArgMax"):
        for opset in (11, 15):
            yield one_operator(lambda b, op=op: b.node(op, "x", axis=1), opset)
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"):
        yield one_operator(lambda b, op=op: b.node(op, "x", b.tensor(np.float32([1, 2, 3]))))
    for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
        yield one_operator(
            lambda b, op=op: b.node(
                "Where", b.node(op, "x", b.tensor(np.float32(0))), "x", b.node("Neg", "x")
            ),
            16,
        )
    for op in ("And", "Or"):
        yield one_operator(
            lambda b, op=op: b.node(
                "Cast", b.node(op, b.node("Not", cast(b, 9)), cast(b, 9)), to=TensorProto.FLOAT
            )
        )
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
        yield one_operator(lambda b, op=op: b.node(op, "x", axes=[-1], keepdims=1), 11)
    yield one_operator(lambda b: b.node("ReduceSum", "x", integers(b, 0, 2)), 15)
    yield one_operator(lambda b: b.node("ReduceMean", "x", integers(b, 1)), 18)
    yield one_operator(
        lambda b: b.node("Clip", "x", b.tensor(np.float32(-1)), b.tensor(np.float32(1)))
    )
    yield one_operator(lambda b: b.node("Clip", "x", min=-1.0, max=1.0), 9)
    yield one_operator(lambda b: b.node("MatMul", "x", b.tensor(floats)))
    yield one_operator(lambda b: b.node("Gemm", "x", b.tensor(floats), transB=0), shape=(None, 3))
    yield one_operator(lambda b: b.node("Transpose", "x", perm=[1, 0, 2]))
    yield one_operator(
        lambda b: b.node("Squeeze", b.node("Unsqueeze", "x", integers(b, 1)), integers(b, 1))
    )
    yield one_operator(lambda b: b.node("Squeeze", b.node("Unsqueeze", "x", axes=[2]), axes=[2]), 9)
    yield one_operator(lambda b: b.node("Reshape", "x", integers(b, 0, -1, 3)))
    yield one_operator(lambda b: b.node("Flatten", "x", axis=2))
    yield one_operator(lambda b: b.node("Expand", "x", integers(b, 2, 1, 1, 3)))
    yield one_operator(lambda b: b.node("Tile", "x", integers(b, 1, 2, 1)))
    yield one_operator(lambda b: b.node("Concat", "x", "x", axis=1))
    yield one_operator(
        lambda b: b.node(
            "Slice", "x", integers(b, 0), integers(b, 9), integers(b, 1), integers(b, 2)
        )
    )
    yield one_operator(lambda b: b.node("Slice", "x", starts=[0], ends=[2], axes=[2]), 9)
    yield one_operator(lambda b: b.node("Split", "x", integers(b, 1, 2), outputs=2, axis=2))
    yield one_operator(lambda b: b.node("Split", "x", outputs=2, axis=2, split=[2, 1]), 11)
    yield one_operator(lambda b: b.node("Gather", "x", integers(b, 0, 2), axis=2))
    yield one_operator(lambda b: b.node("GatherND", "x", b.tensor(np.zeros((2, 2), np.int64))))
    yield one_operator(lambda b: b.node("TopK", "x", integers(b, 2), outputs=2, axis=2)[0])
    yield one_operator(
        lambda b: b.node(
            "ScatterElements",
            "x",
            b.tensor(np.zeros((1, 1, 1), np.int64)),
            b.tensor(np.ones((1, 1, 1), np.float32)),
        )
    )
    yield one_operator(
        lambda b: b.node("ReverseSequence", "x", lengths_of(b), batch_axis=1, time_axis=0)
    )
    yield one_operator(lambda b: b.node("ConstantOfShape", b.node("Shape", "x")))
    yield one_operator(lambda b: b.node("CastLike", b.node("Size", "x"), "x"), rank=0)
    yield one_operator(lambda b: b.node("Constant", value=numpy_helper.from_array(floats)), rank=2)
    yield one_operator(
        lambda b: b.node(
            "Range",
            b.tensor(np.float32(0)),
            b.node("ReduceMax", "x", keepdims=0),
            b.tensor(np.float32(0.5)),
        ),
        rank=1,
    )


def cast(b, to):
    return b.node("Cast", "x", to=to)


def lengths_of(b):
    """As many whole numbers as x has rows in its second axis."""
    rows = b.node("Slice", b.node("Shape", "x"), integers(b, 1), integers(b, 2))
    return b.node("ConstantOfShape", rows, value=numpy_helper.from_array(np.array([2])))


def blocks():
    """Causal and other convolutions, norms and ways around, before a recurrent layer."""
    rng, b = np.random.default_rng(7), Builder(17)
    draw = lambda *shape: b.tensor(rng.uniform(0.3, 0.9, shape).astype(np.float32))  # noqa: E731
    padded = b.node("Pad", "x", integers(b, 0, 0, 2, 0, 0, 0))
    h = b.node("Relu", b.node("Conv", padded, draw(4, 3, 3), draw(4)))
    other = b.node("Conv", h, draw(4, 2, 1), group=2)
    h = b.node("Add", h, b.node("Elu", other, alpha=0.5))
    h = b.node("BatchNormalization", h, draw(4), draw(4), draw(4), draw(4))
    h = b.node("MaxPool", h, kernel_shape=[2])
    h = b.node("Transpose", h, perm=[2, 0, 1])
    h = b.node("LayerNormalization", h, draw(4), draw(4))
    y, _ = b.node("GRU", h, *gru_tensors(b, rng, 4, 4), outputs=2, hidden_size=4)
    y = b.node("Squeeze", y, integers(b, 1))
    return b.model({"x": [None, 3, None]}, b.node("Concat", y, b.node("Mul", y, h), axis=2))


def recurrent():
    """Layers, chains, and the patterns that exporters write."""
    rng = np.random.default_rng(1)
    head = gru_native.Dense(4, 2, activation="softmax", seed=1)
    layers = [
        (gru_native.RNN(3, 4, nonlinearity="relu", seed=0), {}),
        (gru_native.GRU(3, 4, bidirectional=True, seed=0), {"state": True, "lengths": True}),
        (gru_native.LSTM(3, 4, 2, seed=0), {"lengths": True}),
        (gru_native.LSTM(3, 4, peephole=True, coupled_gates=True, seed=0), {"state": True}),
        (gru_native.Chain([gru_native.GRU(3, 4, seed=0), head]), {}),
        (
            gru_native.GRU(
                3, 4, batch_first=True, gate_activation=("hard_sigmoid", 0.25, 0.5), seed=0
            ),
            {},
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for layer, options in layers:
            gru_native.onnx.export(layer, path, **options)
            yield onnx.load(path)
    for cell, gates in (("LSTM", 4), ("GRU", 3)):
        kernels = [
            rng.standard_normal(shape)
            for shape in ((1, gates * 4, 3), (1, gates * 4, 4), (1, gates * 8))
        ]
        dense = rng.standard_normal((4, 2)), rng.standard_normal(2)
        for sequences in (False, True):
            yield keras_like(cell, kernels, dense, sequences=sequences)
    b = Builder()
    y, _ = b.node(
        "GRU",
        "x",
        *gru_tensors(b, rng, 3, 4, directions=2),
        outputs=2,
        hidden_size=4,
        direction="bidirectional",
    )
    first, second = b.node("Split", y, integers(b, 1, 1), outputs=2, axis=1)
    both = [b.node("Squeeze", part, integers(b, 1)) for part in (first, second)]
    yield b.model({"x": [None, None, 3]}, b.node("Concat", *both, axis=2))
    b = Builder()
    y, h = b.node("GRU", "x", *gru_tensors(b, rng, 3, 4), outputs=2, hidden_size=4)
    last = b.node("Gather", b.node("Squeeze", y, integers(b, 1)), b.tensor(np.int64(-1)), axis=0)
    yield b.model(
        {"x": [5, 2, 3]},
        [b.node("Relu", b.node("MatMul", last, b.tensor(np.ones((4, 2), np.float32)))), h],
    )


def nodes_of_onnx():
    """Some of ONNX's own cases of every operator that we have."""
    taken = Counter()
    for case in loader.load_model_tests(kind="node"):
        model = case.model or onnx.load(Path(case.model_dir) / "model.onnx")
        ops = {node.op_type for node in model.graph.node}
        if ops and ops <= registry.names() and model.ByteSize() < 20_000:
            first = model.graph.node[0].op_type
            taken[first] += 1
            if taken[first] <= 4:
                yield model


@cache
def beginnings():
    """Serialised: a change must not reach the next try. Layers come as often as all the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = (*operators(), *nodes_of_onnx(), *other_operators())
        single = [model.SerializeToString() for model in models]
        several = [model.SerializeToString() for model in (*recurrent(), blocks())]
    return single + several * (1 + len(single) // len(several))
