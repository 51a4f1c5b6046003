"""Loops of PyTorch's scripts: cells as nodes of one step, steps collected in a sequence."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import from_torch  # noqa: E402

N, X, H = 2, 3, 4


class LSTM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = torch.nn.LSTMCell(X, H), torch.nn.Linear(H, 2)

    def forward(self, x):
        h = torch.zeros(x.size(1), self.cell.hidden_size)
        c = torch.zeros(x.size(1), self.cell.hidden_size)
        steps = []
        for t in range(x.size(0)):
            h, c = self.cell(x[t], (h, c))
            steps.append(h)
        return self.head(torch.stack(steps))


class Last(LSTM):
    def forward(self, x):
        h = torch.zeros(x.size(1), self.cell.hidden_size)
        c = torch.zeros(x.size(1), self.cell.hidden_size)
        for t in range(x.size(0)):
            h, c = self.cell(x[t], (h, c))
        return self.head(h)


class Backwards(LSTM):
    """What has run is the next step's input, too: it is no layer before the loop."""

    def forward(self, x):
        h = torch.zeros(x.size(1), self.cell.hidden_size)
        c = torch.zeros(x.size(1), self.cell.hidden_size)
        steps = []
        for t in range(x.size(0)):
            h, c = self.cell(x[t] + self.head(h)[:, :1], (h, c))
            steps.append(c)
        return torch.stack(steps)


def normal(*shape, seed=0):
    return np.random.default_rng([len(shape), seed]).standard_normal(shape).astype(np.float32)


def check(proto, *lengths):
    session = runtime.InferenceSession(proto.SerializeToString())
    loaded = gru_native.onnx.load(proto)
    for length in (*lengths, *lengths, *lengths):
        x = normal(length, N, X)
        (expected,) = session.run(None, {"x": x})
        actual = loaded(x)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, 1e-5, 1e-5)
    return loaded


@pytest.mark.parametrize("kind", [LSTM, Last, Backwards])
@pytest.mark.filterwarnings("ignore")
def test_scripts(kind, tmp_path):
    torch.manual_seed(1)
    module = kind().eval()
    proto = from_torch(
        torch.jit.script(module),
        torch.zeros(5, N, X),
        input_names=["x"],
        dynamic_axes={"x": {0: "time", 1: "batch"}},
        opset_version=17,
    )
    loaded = check(proto, 6, 1)
    (layer,) = gru_native.onnx.layers(proto).values()
    if kind is Backwards:
        assert "Loop" in {node.op for node in loaded._program.nodes}
        return
    for name, w in module.cell.state_dict().items():
        np.testing.assert_array_equal(layer.weights[f"{name}_l0"], w.numpy())
    loaded.save(tmp_path / "m.safetensors")
    chain = gru_native.load(tmp_path / "m.safetensors")
    assert [type(block).__name__ for block in chain.blocks] == ["LSTM", "Dense"]
    x = normal(7, N, X)
    y = chain(x)[0]
    np.testing.assert_allclose(y if kind is LSTM else y[-1], loaded(x), 1e-5, 1e-5)


def collecting(*, new_axis, axis, place=None, twice=False, length=False):
    """tanh of each step in a sequence, at its end or at a place."""
    inserted = ["sequence", "v"] + (["at"] if place is not None else [])
    nodes = [
        helper.make_node("Gather", ["x", "i"], ["step"], axis=0),
        helper.make_node("Tanh", ["step"], ["v"]),
        helper.make_node("SequenceInsert", inserted, ["longer"]),
        helper.make_node("Identity", ["go"], ["on"]),
    ]
    if twice:
        nodes[2] = helper.make_node("SequenceInsert", inserted, ["once"])
        nodes.insert(3, helper.make_node("SequenceInsert", ["once", "step"], ["longer"]))
    of_floats = helper.make_tensor_sequence_value_info("sequence", TensorProto.FLOAT, None)
    after = helper.make_tensor_sequence_value_info("longer", TensorProto.FLOAT, None)
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            of_floats,
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), after],
    )
    outer = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["most"], axis=0),
        helper.make_node("SequenceEmpty", [], ["empty"]),
        helper.make_node("Loop", ["most", "", "empty"], ["all"], "loop", body=body),
        helper.make_node("ConcatFromSequence", ["all"], ["joined"], axis=axis, new_axis=new_axis),
        helper.make_node("Relu", ["joined"], ["y"]),
    ]
    if length:
        outer.insert(4, helper.make_node("SequenceLength", ["all"], ["count"]))
    known = helper.make_tensor_value_info
    y = known("y", TensorProto.FLOAT, None)
    constants = {"zero": np.array(0), "at": np.array(place or 0)}
    graph = helper.make_graph(
        outer,
        "g",
        [known("x", TensorProto.FLOAT, [None, None, X])],
        [y],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
        value_info=[known("joined", TensorProto.FLOAT, [None] * (2 + new_axis))],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(("new_axis", "axis"), [(1, 0), (1, 1), (1, -1), (0, 0)])
def test_ways_to_join(new_axis, axis):
    loaded = check(collecting(new_axis=new_axis, axis=axis), 5, 1)
    assert "SequenceInsert" not in {node.op for node in loaded._program.nodes}


@pytest.mark.parametrize(
    "other", [{"place": 0}, {"twice": True}, {"length": True}, {"axis": 1, "new_axis": 0}]
)
def test_other_sequences_are_named(other):
    proto = collecting(**{"new_axis": 1, "axis": 0, **other})
    with pytest.raises(ValueError, match="operator SequenceEmpty is not supported"):
        gru_native.onnx.load(proto)
