"""Models that are called, streamed and saved, or that are no chain of layers."""

import numpy as np
import pytest

from helpers import assert_same_bits

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from lines import assert_all_or_nothing  # noqa: E402
from onnx_builder import Builder, exported, gru_tensors  # noqa: E402


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda b, y: b.node("Mul", y, y), r"node 'Mul__\d' \(Mul\)"),
        (lambda b, y: b.node("Concat", y, y, axis=0), r"node 'Concat__\d' \(Concat\)"),
        (lambda b, y: b.node("ReduceMean", y, axes=[1]), r"node 'ReduceMean__\d' \(ReduceMean\)"),
        (
            lambda b, y: b.node("Slice", y, b.tensor([0]), b.tensor([1]), b.tensor([0])),
            r"node 'Slice__\d' \(Slice\)",
        ),
        (lambda b, y: b.node("Gather", y, b.tensor(np.int64(2)), axis=0), r"\(Gather\)"),
        (lambda b, y: b.node("Gather", y, b.tensor([1, 0]), axis=2), r"\(Gather\)"),
        (
            lambda b, y: b.node("Reshape", y, b.tensor([-1, 6])),
            r"node 'Reshape__\d' \(Reshape\)",
        ),
    ],
)
def test_what_is_no_chain_runs_but_does_not_stream(make, says, tmp_path):
    rng, b = np.random.default_rng(0), Builder()
    y, _ = b.node("GRU", "x", *gru_tensors(b, rng, 3, 4), outputs=2, hidden_size=4)
    out = make(b, b.node("Squeeze", y, b.tensor([1])))
    model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, out))
    assert np.isfinite(model(rng.standard_normal((3, 3, 3), np.float32))).all()
    for use in (model.stream, model.layer, lambda: model.save(tmp_path / "model")):
        with pytest.raises(ValueError, match=says):
            use()


def test_other_outputs(tmp_path):
    """What a stream or a file would lose is refused; states and what is in between are not lost."""
    rng, b = np.random.default_rng(0), Builder()
    y, h = b.node("GRU", "x", *gru_tensors(b, rng, 3, 4), outputs=2, hidden_size=4)
    y = b.node("Squeeze", y, b.tensor([1]))
    heads = [
        b.node("MatMul", y, b.tensor(rng.standard_normal((4, 2)).astype(np.float32)))
        for _ in range(2)
    ]
    product = b.node("Mul", y, y)
    for outputs, says in (
        ([heads[0], h, y], None),
        ([heads[0], heads[1]], rf"output '{heads[1]}' comes from layers of its own"),
        ([y, heads[1]], rf"output '{heads[1]}' comes from layers of its own"),
        ([heads[1], product], rf"output '{product}' is another one: node 'Mul__\d' \(Mul\)"),
    ):
        model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, outputs))
        x = rng.standard_normal((5, 2, 3), np.float32)
        if says is None:
            assert_same_bits(model.stream(2)(x), model(x)[0])
        else:
            with pytest.raises(ValueError, match=says):
                model.stream(2)


def test_reverse_only(tmp_path):
    rng, b = np.random.default_rng(0), Builder()
    tensors = gru_tensors(b, rng, 3, 4)
    y, _ = b.node("GRU", "x", *tensors, outputs=2, hidden_size=4, direction="reverse")
    model = gru_native.onnx.load(
        b.model({"x": [None, None, 3]}, b.node("Squeeze", y, b.tensor([1])))
    )
    x = rng.standard_normal((5, 2, 3), np.float32)
    w, r = b.tensors[0], b.tensors[1]
    forward_only = gru_native.onnx.load(
        forward_gru(onnx.numpy_helper.to_array(w), onnx.numpy_helper.to_array(r))
    )
    assert_same_bits(model(x), np.ascontiguousarray(forward_only(x[::-1].copy())[::-1]))
    with pytest.raises(ValueError, match=r"node 'GRU__0' \(GRU\) runs in reverse only"):
        model.stream()


def forward_gru(w, r):
    b = Builder()
    y, _ = b.node("GRU", "x", b.tensor(w), b.tensor(r), outputs=2, hidden_size=4)
    return b.model({"x": [None, None, 3]}, b.node("Squeeze", y, b.tensor([1])))


def test_both_directions_taken_apart_and_joined(tmp_path):
    """As tf2onnx does it: a slice for each direction, squeezed, then joined along the features."""
    rng, b = np.random.default_rng(0), Builder()
    tensors = gru_tensors(b, rng, 3, 4, directions=2)
    y, _ = b.node("GRU", "x", *tensors, outputs=2, hidden_size=4, direction="bidirectional")
    one, axis = b.tensor([1]), b.tensor([1])
    ahead = b.node("Squeeze", b.node("Slice", y, b.tensor([0]), one, axis), axis)
    back = b.node("Squeeze", b.node("Slice", y, one, b.tensor([2]), axis), axis)
    out = b.node("Concat", ahead, back, axis=2)
    model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, out))
    x = rng.standard_normal((5, 2, 3), np.float32)
    model.save(tmp_path / "model.safetensors")
    layer = gru_native.load(tmp_path / "model.safetensors")
    assert repr(layer) == repr(gru_native.GRU(3, 4, bias=False, bidirectional=True)).replace(
        "bidirectional=True", "bidirectional=True, reset_after=False"
    )
    assert_same_bits(model(x), layer(x)[0])


def test_arguments(tmp_path):
    path = tmp_path / "model.onnx"
    gru_native.onnx.export(gru_native.GRU(3, 4), path, lengths=True)
    model = gru_native.onnx.load(path)
    x, lengths = np.zeros((5, 2, 3), np.float32), [5, 2]
    assert repr(model) == "Model(x, lengths -> y, h_n)"
    y, h = model(x, lengths)
    assert y.shape == (5, 2, 4)
    assert h.shape == (1, 2, 4)
    for call, kind, says in (
        (lambda: model(x), TypeError, "there is no lengths; the model's inputs are x, lengths"),
        (lambda: model(x, lengths, x), TypeError, "got 3 inputs; expected x, lengths"),
        (lambda: model(x, lengths, z=x), TypeError, "z is given and is no input of the model"),
        (lambda: model(x, x=x), TypeError, "x is given twice"),
        (lambda: model(x.astype(float), lengths), TypeError, "x has dtype float64; expected float"),
        (lambda: model(x, [0.5, 1]), TypeError, "lengths has dtype float64; expected int32"),
        (lambda: model("x", lengths), TypeError, "x is a str; expected numbers"),
        (lambda: model(x[0], lengths), ValueError, r"'x' has shape \(2, 3\); expected \(any, any"),
        (lambda: model(x[..., :2], lengths), ValueError, r"expected \(any, any, 3\)"),
        (lambda: model(x, [5, 6]), ValueError, r"node 'gru_0' \(GRU\): .*lens.* is 6"),
        (lambda: gru_native.onnx.load(3), TypeError, "model is an int; expected a path"),
    ):
        with pytest.raises(kind, match=says):
            call()


def test_weights_are_held_once(tmp_path):
    import tracemalloc

    gru_native.onnx.export(gru_native.LSTM(400, 400, seed=0), tmp_path / "model.onnx")
    tracemalloc.start()
    model = gru_native.onnx.load(tmp_path / "model.onnx")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1 << 20  # of 5 MB, which the core has and Python does not see
    assert model(np.zeros((1, 1, 400), np.float32))[0].shape == (1, 1, 400)


def test_a_stream_that_is_interrupted_behind_its_layers_has_not_gone_on():
    b = Builder()
    tensors = gru_tensors(b, np.random.default_rng(0), 3, 4)
    y, _ = b.node("GRU", "x", *tensors, outputs=2, hidden_size=4)
    y = b.node("Softmax", b.node("Squeeze", y, b.tensor([1])), axis=2)
    stream = gru_native.onnx.load(b.model({"x": [None, None, 3]}, y)).stream()
    x, first = np.ones((2, 3), np.float32), {"h": stream.state}
    assert_all_or_nothing(
        lambda: stream(x), lambda: {"h": stream.state}, stream.reset, first, undone=True
    )


def test_sizes_below_0_are_any(tmp_path):
    """Paddle's converter writes -1."""
    proto = exported(tmp_path)
    for axis in (0, 1):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = -1
    model = gru_native.onnx.load(proto)
    assert model.inputs["x"].shape == (None, None, 3)
    assert model(np.zeros((5, 2, 3), np.float32))[0].shape == (5, 2, 4)
