"""Sequences of no step: what goes in as a state comes out."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import gru_native.onnx  # noqa: E402
from onnx_graphs import info  # noqa: E402
from written_out import Body, Weights  # noqa: E402

N, X, H = 2, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def normal(*shape, seed=0):
    return np.random.default_rng([len(shape), seed]).standard_normal(shape).astype(np.float32)


def finished(nodes, tensors, inputs, outputs):
    graph = helper.make_graph(
        nodes,
        "g",
        [info(n, shape=shape) for n, shape in inputs.items()],
        [info(n, shape=None) for n in outputs],
        tensors,
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "GRU before", "RNN"])
def test_a_loop_of_no_step(kind):
    names = ["h", "c"] if kind == "LSTM" else ["h"]
    b = Body(Weights(kind, X, H, 0), "gemm", 17, "in_")
    inner = [f"in_{n}" for n in names]
    after = b.step(b.node("Gather", "x", "i", axis=0), *inner)
    y, going = b.node("Identity", after[0]), b.node("Identity", "go")
    body = helper.make_graph(
        b.nodes,
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            *(info(n, shape=[N, H]) for n in inner),
        ],
        [
            helper.make_tensor_value_info(going, TensorProto.BOOL, []),
            *(info(n, shape=[N, H]) for n in (*after, y)),
        ],
    )
    ends = [f"{n}_after" for n in names]
    b.tensor(np.array(0), "first")
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["most"], axis=0),
        helper.make_node("Loop", ["most", "", *names], [*ends, "y"], "steps", body=body),
    ]
    given = {"x": [None, N, X], **{n: [N, H] for n in names}}
    proto = finished(nodes, b.tensors, given, [*ends, "y"])
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    loaded = gru_native.onnx.load(proto)
    assert not {"Loop", "Scan"} & {node.op for node in loaded._program.nodes}
    states = {n: normal(N, H, seed=i) for i, n in enumerate(names)}
    for steps in (0, 0, 0, 2, 0):  # the third call is planned
        feeds = {"x": normal(steps, N, X), **states}
        expected = session.run(None, feeds)
        for actual, wanted in zip(loaded(**feeds), expected, strict=True):
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, 1e-5, 1e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("batch", [N, 0])
def test_a_node_of_no_step(op, direction, batch):
    """ONNX Runtime has zeros for these states, or ends the process."""
    d, names = 1 + (direction == "bidirectional"), ["h", "c"] if op == "LSTM" else ["h"]
    tensors = {"W": normal(d, GATES[op] * H, X), "R": normal(d, GATES[op] * H, H)}
    outputs = ["y", *(f"{n}_n" for n in names)]
    node = helper.make_node(
        op, ["x", "W", "R", "", "", *names], outputs, direction=direction, hidden_size=H
    )
    states = {n: normal(d, batch, H, seed=i) for i, n in enumerate(names)}
    given = {"x": [None, None, X], **{n: [d, None, H] for n in names}}
    initial = [numpy_helper.from_array(a, n) for n, a in tensors.items()]
    loaded = gru_native.onnx.load(finished([node], initial, given, outputs))
    for _ in range(3):
        y, *after = loaded(np.zeros((0, batch, X), np.float32), *states.values())
        assert y.shape == (0, d, batch, H)
        for actual, wanted in zip(after, states.values(), strict=True):
            np.testing.assert_array_equal(actual, wanted)
