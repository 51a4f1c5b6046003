"""Layer normalisations written out node by node: they are blocks of a chain."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, from_torch  # noqa: E402

RNG = np.random.default_rng(0)
SCALE, BIAS = RNG.standard_normal((2, 4)).astype(np.float32)


def test_of_an_old_opset():
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.GRU(3, 4)
            self.norm = torch.nn.LayerNorm(4, 1e-3)
            self.head = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.norm(self.rnn(x)[0]))

    network = Network().eval()
    with torch.no_grad():
        network.norm.weight.copy_(torch.from_numpy(SCALE))
        network.norm.bias.copy_(torch.from_numpy(BIAS))
    x = torch.randn(6, 2, 3)
    proto = from_torch(network, x, opset_version=13)
    assert "LayerNormalization" not in {n.op_type for n in proto.graph.node}
    loaded = gru_native.onnx.load(proto)
    kinds = [type(block).__name__ for block in loaded.layer().blocks]
    assert kinds == ["GRU", "LayerNorm", "Dense"]
    with torch.no_grad():
        np.testing.assert_allclose(loaded(x.numpy()), network(x).numpy(), 1e-5, 1e-5)
    rows = [loaded.stream(2)(row) for row in x.numpy()]
    assert rows[0].shape == (2, 2)


def written(b, x, wrong="", bias=True):
    """As Keras' layers are: a difference for each use, a product as square."""
    last = {"axes": [-1], "keepdims": 1}
    mean = b.node("ReduceMean", x, **last)
    first, second = (b.node("Sub", x, mean) for _ in range(2))
    square = b.node("Mul", second, second if wrong != "square" else mean)
    spread = b.node("ReduceMean", square, axes=[-1 if wrong != "axis" else 0], keepdims=1)
    spread = b.node("Add", b.tensor(np.float32(1e-3)), spread)
    if wrong != "root":
        spread = b.node("Sqrt", spread)
    y = b.node("Mul", b.node("Div", first, spread), b.tensor(SCALE))
    return b.node("Add", b.tensor(BIAS), y) if bias else y


@pytest.mark.parametrize("wrong", ["", "square", "axis", "root"])
@pytest.mark.parametrize("bias", [False, True])
def test_other_ways(wrong, bias):
    b = Builder(13)
    w, r = (RNG.standard_normal((1, 12, n)).astype(np.float32) for n in (3, 4))
    y, _ = b.node("GRU", "x", b.tensor(w), b.tensor(r), outputs=2, hidden_size=4)
    steps = b.node("Squeeze", y, b.tensor([1]))
    out = written(b, steps, wrong, bias)
    loaded = gru_native.onnx.load(b.model({"x": [None, None, 3]}, [out, steps]))
    x = RNG.standard_normal((5, 2, 3)).astype(np.float32)
    for _ in range(3):
        actual, s = loaded(x)
        apart = s - s.mean(-1, keepdims=True)
        square = apart * (apart if wrong != "square" else s.mean(-1, keepdims=True))
        spread = square.mean(-1 if wrong != "axis" else 0, keepdims=True) + 1e-3
        expected = apart / (spread if wrong == "root" else np.sqrt(spread)) * SCALE
        np.testing.assert_allclose(actual, expected + BIAS * bias, 1e-4, 1e-5)
    ops = {node.op for node in loaded._program.nodes}
    assert ("LayerNormalization" in ops) == (not wrong)
