"""A case of each kind of failure that tests/fuzz/onnx_models.py found."""

import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, exported, gru_tensors, refuses  # noqa: E402


@pytest.mark.parametrize(
    ("op", "attributes", "inputs", "says"),
    [
        ("Concat", {"axis": 0}, ["x", ""], r"\(Concat\): has no input 2"),
        ("Max", {}, ["", "x"], r"\(Max\): has no input 1, first"),
    ],
)
def test_a_missing_input(op, attributes, inputs, says):
    b = Builder()
    refuses(b.model({"x": [None, None, 3]}, b.node(op, *inputs, **attributes)), says)


@pytest.mark.parametrize("op", ["Squeeze", "Unsqueeze", "Reshape", "Split"])
def test_axes_that_are_the_input(op):
    b = Builder()
    model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, b.node(op, "x", "x")))
    for call in (model.stream, lambda: model(np.zeros((2, 2, 3), np.float32))):
        with pytest.raises(ValueError, match=rf"node '{op}__0' \({op}\)"):
            call()


def reshaped_gru(shape, state=None):
    """A GRU that a Reshape fixes to the declared shape; perhaps with a declared initial state."""
    b, rng = Builder(), np.random.default_rng(0)
    x = b.node("Reshape", "x", b.tensor(shape))
    w, r = gru_tensors(b, rng, 3, 4)
    given = ["", "", "h"] if state else []
    y, _ = b.node("GRU", x, w, r, *given, outputs=2, hidden_size=4)
    inputs = {"x": shape, **({"h": state} if state else {})}
    return b.model(inputs, b.node("Squeeze", y, b.tensor([1])))


@pytest.mark.parametrize(
    ("shape", "state", "name"),
    [
        ([0, 5_000_000, 3], None, "x"),
        ([5, 2**40, 3], None, "x"),
        ([2**40, 2**40, 3], None, "x"),
        ([5, 7, 3], [1, 2**40, 4], "h"),
    ],
)
def test_declared_sizes_cost_nothing(shape, state, name):
    """The layers are tried on numbers of the declared sizes, if these are not too many."""
    shape_of_reshape = [5 if n == 0 else n for n in shape]
    proto = reshaped_gru(shape_of_reshape, state)
    for dim, n in zip(proto.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = n
    model = gru_native.onnx.load(proto)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"input '{name}' would be tried with shape"):
            model.stream()
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_declared_sizes_that_are_usual(tmp_path):
    model = gru_native.onnx.load(reshaped_gru([40, 25, 3]))
    x = np.random.default_rng(1).standard_normal((40, 25, 3), np.float32)
    np.testing.assert_array_equal(model.stream(25)(x), model(x))


def test_many_results_at_once(monkeypatch):
    """Each may be large, but not all that are still needed together."""
    from gru_native.onnx import _program

    b = Builder()
    size = b.node("Add", b.node("Shape", "x"), b.tensor([2**16, 0, 0]))  # not known before the call
    parts = [b.node("ConstantOfShape", size) for _ in range(12)]
    model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, b.node("Concat", *parts, axis=0)))
    monkeypatch.setattr(_program, "USUAL", 1 << 21)
    x = np.zeros((1, 2, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"node 'ConstantOfShape__\d+' .*the result would have shape"
    ):
        model(x)
    monkeypatch.setattr(_program, "USUAL", 1 << 25)
    assert model(x).shape == (12 * (2**16 + 1), 2, 3)


@pytest.mark.parametrize("place", ["node", "input", "tensor"])
def test_names_that_are_no_text(place, tmp_path):
    model = exported(tmp_path)
    if place == "node":
        model.graph.node[-1].name = "A_NAME"
    elif place == "input":
        model.graph.input[0].name = "A_NAME"
    else:
        model.graph.initializer[0].name = "A_NAME"
    data = model.SerializeToString()
    (tmp_path / "bad.onnx").write_bytes(data.replace(b"A_NAME", b"A_\xc0\xaf\xc0E"[:6]))
    refuses(tmp_path / "bad.onnx", r"bad.onnx: not a valid ONNX model: the name b'A_.* is no text")
