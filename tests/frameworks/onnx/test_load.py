"""ONNX models from elsewhere: called, streamed, saved."""

import numpy as np
import pytest

from helpers import assert_close, assert_same_bits
from reference import Spec, forward
from reference.functions import ROW_ACTIVATIONS

onnx = pytest.importorskip("onnx")
pytest.importorskip("safetensors")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_models import Builder, from_torch, keras_like  # noqa: E402

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


# --- torch.onnx.export


def torch_model(rng, kind, *, layers, bidirectional, batch_first, last, activation, width=3):
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            options = {"num_layers": layers, "bidirectional": bidirectional}
            self.rnn = getattr(torch.nn, kind)(width, 5, batch_first=batch_first, **options)
            self.head = torch.nn.Linear(10 if bidirectional else 5, 2)

        def forward(self, x):
            y, _ = self.rnn(x)
            if last:
                y = y[:, -1] if batch_first else y[-1]
            y = self.head(y)
            return activation(y)

    torch.manual_seed(int(rng.integers(1000)))
    return Network().eval()


def random_torch_options(rng):
    torch = pytest.importorskip("torch")
    softmax = [torch.nn.Softmax(-1), torch.nn.LogSoftmax(-1)]
    plain = [torch.nn.Tanh(), torch.nn.ReLU(), torch.nn.Sigmoid(), torch.nn.Identity()]
    return {
        "layers": int(rng.integers(1, 3)),
        "bidirectional": bool(rng.integers(2)),
        "batch_first": bool(rng.integers(2)),
        "last": bool(rng.integers(2)),
        "activation": (plain + softmax)[rng.integers(6)],
    }


def check_torch(module, model, options, rng, dtype, tmp_path):
    """Calls, streams and files against the module itself."""
    import torch

    batch = 3
    shape = (batch, 6, 3) if options["batch_first"] else (6, batch, 3)
    x = rng.standard_normal(shape).astype(dtype)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    assert_close(model(x), expected, TOLERANCE[dtype])

    model.save(tmp_path / "model.safetensors")
    y, _ = gru_native.load(tmp_path / "model.safetensors")(x)
    assert_close(last_of(y, options), expected, TOLERANCE[dtype])
    if "Softmax" in type(options["activation"]).__name__:
        model.save(tmp_path / "model.safetensors", logits=True)
        y, _ = gru_native.load(tmp_path / "model.safetensors")(x)
        y = options["activation"](torch.from_numpy(y)).numpy()  # torch's own
        assert_close(last_of(y, options), expected, TOLERANCE[dtype])
    if options["bidirectional"]:
        with pytest.raises(ValueError, match=r"node .* is bidirectional"):
            model.stream(batch)
        return
    stream = model.stream(batch)
    time = 1 if options["batch_first"] else 0
    chunks = [stream(part) for part in np.split(x, [1, 4], axis=time)]
    y = np.concatenate(chunks, axis=time)
    assert_close(last_of(y, options), expected, TOLERANCE[dtype])
    stream.reset()
    assert_same_bits(stream(x), y)


def last_of(y, options):
    if not options["last"]:
        return y
    return y[:, -1] if options["batch_first"] else y[-1]


@pytest.mark.parametrize("seed", range(24))
def test_torch_script_exporter(seed, tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    options = random_torch_options(rng)
    dtype = (np.float32, np.float64)[seed % 2]
    kind = ("RNN", "LSTM", "GRU")[seed % 3]
    module = torch_model(rng, kind, **options).to(getattr(torch, np.dtype(dtype).name))
    example = torch.zeros((2, 3, 3), dtype=getattr(torch, np.dtype(dtype).name))
    dynamic = {"input_names": ["x"], "dynamic_axes": {"x": {0: "first", 1: "second"}}}
    model = gru_native.onnx.load(from_torch(module, example, **dynamic))
    check_torch(module, model, options, rng, dtype, tmp_path)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_torch_dynamo_exporter(kind, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    rng = np.random.default_rng(7)
    options = {"layers": 2, "bidirectional": False, "batch_first": True, "last": True}
    options["activation"] = torch.nn.Softmax(-1)
    module = torch_model(rng, kind, **options)
    model = gru_native.onnx.load(from_torch(module, torch.zeros(3, 6, 3), dynamo=True))
    check_torch(module, model, options, rng, np.float32, tmp_path)


@pytest.mark.parametrize("shape", [(5, 5, 3), (7, 1, 3), (1, 4, 3), (1, 1, 3), (6, 3)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_sizes_that_are_fixed(shape, batch_first, tmp_path):
    """Exported for one size, axes may be alike or of size 1, and -1 may be a number."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    options = {"layers": 2, "bidirectional": False, "batch_first": batch_first, "last": False}
    module = torch_model(rng, "GRU", **options, activation=torch.nn.Tanh())
    model = gru_native.onnx.load(from_torch(module, torch.zeros(shape)))
    x = rng.standard_normal(shape, np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    assert_close(model(x), expected, 1e-5)
    batch = 1 if len(shape) == 2 else shape[0 if batch_first else 1]
    assert_close(model.stream(batch)(x), expected, 1e-5)
    model.save(tmp_path / "model.safetensors")
    assert_close(gru_native.load(tmp_path / "model.safetensors")(x)[0], expected, 1e-5)


def test_torch_with_states_of_its_own(tmp_path):
    torch = pytest.importorskip("torch")
    lstm = torch.nn.LSTM(3, 5, 2).double()
    rng = np.random.default_rng(0)
    h, c = rng.standard_normal((2, 2, 4, 5))
    x = rng.standard_normal((6, 4, 3))
    arguments = torch.zeros(6, 4, 3).double(), (torch.zeros(2, 4, 5).double(),) * 2
    names = {"input_names": ["x", "h", "c"], "output_names": ["y", "h_n", "c_n"]}
    model = gru_native.onnx.load(from_torch(lstm, *arguments, **names))
    y, h_n, c_n = model(x, h=h, c=c)
    with torch.no_grad():
        expected, (eh, ec) = lstm(*map(torch.from_numpy, (x,)), (torch.tensor(h), torch.tensor(c)))
    for actual, wanted in ((y, expected), (h_n, eh), (c_n, ec)):
        assert_close(actual, wanted.numpy(), 1e-12)
    stream = model.stream(4)
    stream.state = (h, c)
    assert_close(stream(x), expected.numpy(), 1e-12)


# --- tf2onnx


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keras_pattern(cell, sequences, dtype, tmp_path):
    rng = np.random.default_rng(3)
    gates, hidden, inputs, outputs = {"LSTM": 4, "GRU": 3}[cell], 5, 3, 2
    w = rng.standard_normal((1, gates * hidden, inputs))
    r = rng.standard_normal((1, gates * hidden, hidden)) / 2
    bias = rng.standard_normal((1, 2 * gates * hidden))
    weight, offset = rng.standard_normal((hidden, outputs)), rng.standard_normal(outputs)
    proto = keras_like(cell, (w, r, bias), (weight, offset), sequences=sequences, dtype=dtype)
    onnx.checker.check_model(proto)
    model = gru_native.onnx.load(proto)

    # the reference has torch's rows: i f g o of ONNX's i o f c; r z n of z r h
    order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}[cell]

    def rows(array):
        blocks = array.reshape(gates, hidden, -1)[order]
        return blocks.reshape(gates * hidden, -1).squeeze()

    weights = {"weight_ih_l0": rows(w[0]), "weight_hh_l0": rows(r[0])}
    weights |= {"bias_ih_l0": rows(bias[0][: gates * hidden])}
    weights |= {"bias_hh_l0": rows(bias[0][gates * hidden :])}
    x = rng.standard_normal((4, 6, inputs))
    x = x.astype(dtype)
    spec = Spec(cell.lower(), inputs, hidden)
    y, _, _ = forward(spec, weights, x.astype(np.float64).swapaxes(0, 1))
    logits = (y.swapaxes(0, 1) if sequences else y[-1]) @ weight + offset
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert_close(model(x), expected, TOLERANCE[dtype])
    streamed = model.stream(4)(x)
    assert_close(streamed if sequences else streamed[:, -1], expected, TOLERANCE[dtype])
    model.save(tmp_path / "model.safetensors")
    loaded = gru_native.load(tmp_path / "model.safetensors")
    assert loaded.blocks[-1].activation == "softmax"
    y, _ = loaded(x)
    assert_close(y if sequences else y[:, -1], expected, TOLERANCE[dtype])


# --- Softmax


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


# --- what is no chain


def gru_tensors(b, rng, inputs, hidden, directions=1):
    w = rng.standard_normal((directions, 3 * hidden, inputs)).astype(np.float32)
    r = rng.standard_normal((directions, 3 * hidden, hidden)).astype(np.float32)
    return b.tensor(w), b.tensor(r)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda b, y: b.node("Mul", y, y), r"node 'Mul__\d' \(Mul\)"),
        (lambda b, y: b.node("Concat", y, "x", axis=2), r"node 'Concat__\d' \(Concat\)"),
        (lambda b, y: b.node("ReduceMean", y, axes=[0]), r"node 'ReduceMean__\d' \(ReduceMean\)"),
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


@pytest.mark.parametrize("is_sorted", [False, True])
def test_packed_sequences(is_sorted):
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.GRU(3, 5, bidirectional=True, batch_first=True)

        def forward(self, x, lengths):
            options = {"batch_first": True, "enforce_sorted": is_sorted}
            y, h = self.rnn(pack_padded_sequence(x, lengths, **options))
            return pad_packed_sequence(y, batch_first=True)[0], h

    module = Network().double()
    lengths = np.array([6, 4, 1] if is_sorted else [1, 6, 4])
    x = np.random.default_rng(0).standard_normal((3, 6, 3))
    arguments = torch.zeros(3, 6, 3).double(), torch.tensor([6, 5, 5])
    dynamic = {"x": {0: "batch", 1: "seq"}, "lengths": {0: "batch"}}
    proto = from_torch(module, *arguments, input_names=["x", "lengths"], dynamic_axes=dynamic)
    outputs = gru_native.onnx.load(proto)(x, lengths)
    with torch.no_grad():
        expected = module(torch.from_numpy(x), torch.from_numpy(lengths))
    for actual, wanted in zip(outputs, expected, strict=True):
        assert_close(actual, wanted.numpy(), 1e-12)


def test_the_final_state_of_the_last_layer():
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = torch.nn.GRU(3, 5, 2), torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[1][-1])

    module = Network()
    dynamic = {"input_names": ["x"], "dynamic_axes": {"x": {0: "seq", 1: "batch"}}}
    model = gru_native.onnx.load(from_torch(module, torch.zeros(4, 2, 3), **dynamic))
    x = np.random.default_rng(0).standard_normal((6, 3, 3), np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    assert_close(model(x), expected, 1e-5)
    assert_close(model.stream(3)(x)[-1], expected, 1e-5)


# --- arguments


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
        (lambda: gru_native.onnx.load(3), TypeError, "model is a int; expected a path"),
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
