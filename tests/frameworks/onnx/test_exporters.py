"""Models that torch.onnx.export and tf2onnx write: called, streamed, saved."""

import copy
import pickle

import numpy as np
import pytest

from helpers import assert_close, assert_same_bits
from reference import Spec, forward

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import from_torch, keras_like  # noqa: E402

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


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


@pytest.mark.parametrize(
    "way",
    [copy.copy, copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_stream_with_functions_behind_it_has_copies(way):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    options = {"layers": 1, "bidirectional": False, "batch_first": False, "last": False}
    module = torch_model(rng, "GRU", **options, activation=torch.nn.ELU())
    stream = gru_native.onnx.load(from_torch(module, torch.zeros(6, 4, 3))).stream(4)
    x = rng.standard_normal((6, 4, 3), np.float32)
    stream(x)
    twin = way(stream)
    expected = twin(x)
    assert (stream(x) == expected).all()


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
