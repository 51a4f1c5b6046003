"""Cells written out step by step, in graphs that compute the shapes of what these take."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, from_torch  # noqa: E402

H, W = 4, 9


def check(proto, **feeds):
    """Against ONNX Runtime, before and after the plan; returns the layers that are found."""
    session = runtime.InferenceSession(proto.SerializeToString())
    (expected,) = session.run(None, feeds)
    loaded = gru_native.onnx.load(proto)
    for _ in range(3):
        actual = loaded(**feeds)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, 1e-5, 1e-5)
    return [*gru_native.onnx.layers(proto).values()]


class Columns(torch.nn.Module):
    """Columns of an image, one by one, from zeros in the size of the batch."""

    def __init__(self, kind, backwards):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 3, 3, padding=1)
        self.cell = getattr(torch.nn, f"{kind}Cell")(6, H)
        self.kind, self.backwards = kind, backwards

    def forward(self, x):
        h = torch.max_pool2d(torch.relu(self.conv(x)), (2, 1))
        h = h.permute(3, 0, 1, 2)
        h = h.reshape(h.shape[0], h.shape[1], h.shape[2] * h.shape[3])
        h = h.flip(0) if self.backwards else h
        zeros = torch.zeros(h.shape[1], H)  # h and c begin as the same tensor
        state = (zeros, zeros) if self.kind == "LSTM" else zeros
        steps = []
        for t in range(W):
            state = self.cell(h[t], state)
            steps.append(state[0] if self.kind == "LSTM" else state)
        y = torch.stack(steps)
        return y.flip(0) if self.backwards else y


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_columns_of_an_image(kind, backwards):
    torch.manual_seed(1)
    model = Columns(kind, backwards).eval()
    x = np.random.default_rng(0).standard_normal((3, 1, 4, W)).astype(np.float32)
    example = torch.zeros(2, 1, 4, W)
    proto = from_torch(
        model, example, input_names=["x"], dynamic_axes={"x": {0: "batch"}}, opset_version=17
    )
    (layer,) = check(proto, x=x)
    assert isinstance(layer, getattr(gru_native, kind))
    names = {name.replace("_l0", ""): w for name, w in layer.weights.items()}
    for name, w in model.cell.state_dict().items():
        if not name.startswith("bias"):
            np.testing.assert_array_equal(names[name], w.numpy())


@pytest.mark.parametrize("shape", ["same", "other", "first"])
def test_a_shape_that_is_computed(shape):
    """(batch, 2, 3) as (batch, 6), (6, batch) or (1, batch * 6): only the first has rows of 6."""
    b = Builder(17)
    rng = np.random.default_rng(2)
    batch = b.node("Gather", b.node("Shape", "x"), b.tensor(np.array(0)), axis=0)
    batch = b.node("Unsqueeze", batch, b.tensor(np.array([0])))
    six = b.tensor(np.array([6]))
    if shape == "same":
        sizes = [batch, six]
    elif shape == "other":
        sizes = [six, batch]
    else:
        sizes = [b.tensor(np.array([1])), b.node("Mul", batch, six)]
    x = b.node("Reshape", "x", b.node("Concat", *sizes, axis=0))
    zeros = b.node(
        "ConstantOfShape", b.node("Slice", b.node("Shape", x), *map(b.tensor, ([0], [1])))
    )
    zeros = b.node(
        "Mul",
        b.node("Unsqueeze", zeros, b.tensor(np.array([1]))),
        b.tensor(np.ones((1, H), np.float32)),
    )
    width = {"same": 6, "other": 6, "first": 36}[shape]
    gates = {}
    for gate in "ifgo":
        w = b.tensor(rng.standard_normal((width, H)).astype(np.float32))
        r = b.tensor(rng.standard_normal((H, H)).astype(np.float32))
        a = b.node("Add", b.node("MatMul", x, w), b.node("MatMul", zeros, r))
        gates[gate] = b.node("Tanh" if gate == "g" else "Sigmoid", a)
    c = b.node("Add", b.node("Mul", gates["f"], zeros), b.node("Mul", gates["i"], gates["g"]))
    y = b.node("Mul", gates["o"], b.node("Tanh", c))
    check(
        b.model({"x": ["batch", 2, 3]}, y, rank=2),
        x=rng.standard_normal((6, 2, 3)).astype(np.float32),
    )
