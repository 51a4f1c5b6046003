"""int8 and bf16 models in files, pickles and copies: the same bits. Hostile files are errors."""

import copy
import json
import pickle
import struct

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense
from helpers import assert_same_bits, parts

PRECISIONS = ("int8", "bf16")
MODELS = {
    "rnn": lambda: RNN(3, 10, 2, nonlinearity="relu", bias=False, seed=1),
    "lstm": lambda: LSTM(3, 10, bidirectional=True, proj_size=7, seed=2),
    "variant": lambda: LSTM(
        3, 10, peephole=True, cell_clip=2.5, proj_size=2, nonrecurrent_proj_size=5, seed=3
    ),
    "gate_recurrence": lambda: LSTM.variant("FGR", 3, 10, num_layers=2, seed=4),
    "layer_norm": lambda: LSTM(3, 10, layer_norm=True, seed=5),
    "gru": lambda: GRU(3, 10, 3, reset_after=False, batch_first=True, seed=6),
    "dense": lambda: Dense(3, 10, activation="softmax", seed=7),
    "chain": lambda: Chain([LSTM(3, 10, seed=8), GRU(10, 6, seed=9), Dense(6, 4, seed=10)]),
    "chain_of_one": lambda: Chain([GRU(3, 10, seed=11)]),
}


def outputs(model):
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype(np.float32)
    y = model(x)
    return [y] if isinstance(model, Dense) else [y[0], *flat(y[1])]


def flat(state):
    return [a for part in parts(state) for a in (flat(part) if isinstance(part, tuple) else [part])]


def assert_same(model, other):
    assert type(other) is type(model)
    assert other.precision == model.precision
    assert repr(other) == repr(model)
    for one, two in zip(outputs(model), outputs(other), strict=True):
        assert_same_bits(one, two)
    for name, w in model.weights.items():
        assert_same_bits(np.asarray(other.weights[name]), np.asarray(w))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, precision, path):
    model = MODELS[name]().quantize(precision)
    gru_native.save(model, path)
    loaded = gru_native.load(path)
    assert_same(model, loaded)
    with pytest.raises(ValueError, match="edit the layer of full precision"), loaded.editing():
        pass
    again = path.with_name("again")
    gru_native.save(loaded, again)
    assert again.read_bytes() == path.read_bytes()
    wide = gru_native.load(path, precision="float32")
    assert wide.precision == "float32"
    for key, w in model.weights.items():
        assert_same_bits(np.asarray(wide.weights[key]), np.asarray(w))
    with wide.editing() as w:
        w[next(iter(w))] *= 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_streams_of_what_is_loaded(precision, path):
    model = MODELS["chain"]().quantize(precision)
    gru_native.save(model, path)
    x = np.random.default_rng(2).standard_normal((7, 1, 3)).astype(np.float32)
    assert_same_bits(gru_native.load(path).stream()(x), model.stream()(x))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_copies_and_pickles(name, precision):
    model = MODELS[name]().quantize(precision)
    assert_same(model, copy.copy(model))
    assert_same(model, copy.deepcopy(model))
    assert_same(model, pickle.loads(pickle.dumps(model)))


def test_a_pickle_keeps_scales_that_quantize_would_not_choose(path):
    write(path, I8)
    model = gru_native.load(path)
    again = pickle.loads(pickle.dumps(model))
    assert_same(model, again)
    assert_same_bits(again._core.stored()["weight.scale"], model._core.stored()["weight.scale"])


def test_a_chain_of_several_precisions(path):
    blocks = [GRU(3, 10, seed=1), LSTM(10, 4, seed=2).quantize("int8"), Dense(4, 2, seed=3)]
    blocks[2] = blocks[2].quantize("bf16")
    chain = Chain(blocks)
    assert chain.precision == "mixed"
    gru_native.save(chain, path)
    loaded = gru_native.load(path)
    assert_same(chain, loaded)
    assert [b.precision for b in loaded.blocks] == ["float32", "int8", "bf16"]


def read_header(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def test_what_is_in_the_file(path):
    layer = MODELS["variant"]()
    gru_native.save(layer.quantize("int8"), path)
    header, data = read_header(path)
    assert json.loads(header["__metadata__"]["gru_native"])["blocks"][0]["precision"] == "int8"

    def tensor(name, dtype):
        begin, end = header[name]["data_offsets"]
        return np.frombuffer(data[begin:end], dtype).reshape(header[name]["shape"])

    for name, w in layer.weights.items():
        if w.ndim == 1:
            assert header[name]["dtype"] == "F32"
            continue
        assert header[name]["dtype"] == "I8"
        scale = tensor(f"{name}.scale", np.float32)
        assert_same_bits(scale, np.abs(w).max(axis=1) / np.float32(127))
        q = np.rint(w / scale[:, None]).astype(np.int8)
        assert_same_bits(tensor(name, np.int8), q)
    gru_native.save(layer.quantize("bf16"), path)
    header, data = read_header(path)
    wide = np.float32(layer.quantize("bf16").weights["weight_hh_l0"])
    assert_same_bits(tensor("weight_hh_l0", np.uint16), (wide.view(np.uint32) >> 16).astype("u2"))
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(path, framework="numpy") as file:
        assert "weight_hh_l0" in file.keys()  # noqa: SIM118


def test_files_of_full_precision_say_nothing_of_it(path):
    gru_native.save(MODELS["gru"](), path)
    header, _ = read_header(path)
    assert "precision" not in header["__metadata__"]["gru_native"]


# --- state_dicts


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_bfloat16_state_dict_of_torch(kind, path):
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(torch.nn, kind)(3, 10, 2, bidirectional=True)
            self.head = torch.nn.Linear(20, 4)

    torch.manual_seed(1)
    model = Model().to(torch.bfloat16)
    save_file(model.state_dict(), path)
    fast = gru_native.load(path)
    assert [b.precision for b in fast.blocks] == ["bf16", "bf16"]
    wide = gru_native.load(path, precision="float32")
    assert wide.precision == "float32"
    state = {k: v.float().numpy() for k, v in model.state_dict().items()}
    own = {f"0.{k[4:]}" if k.startswith("rnn") else f"1.{k[5:]}": v for k, v in state.items()}
    for name, w in own.items():
        assert_same_bits(np.asarray(wide.weights[name]), w)
        assert_same_bits(np.asarray(fast.weights[name]), w)
    assert_same(wide.quantize("bf16"), fast)
    described = [
        dict(gru_native.files.describe(b, p))
        for b, p in zip(fast.blocks, ("rnn.", "head."), strict=True)
    ]
    assert_same(fast, gru_native.load(path, described))
    del described[0]["precision"]
    with pytest.raises(ValueError, match=r"tensor rnn.weight_ih_l0 has dtype BF16; expected F32"):
        gru_native.load(path, described)
    assert_same(wide, gru_native.load(path, described, precision="float32"))


# --- hostile files: a dense layer 3 -> 2 of int8, of which a case changes something

I8 = {
    "weight": ("I8", [2, 3], np.array([[1, -127, 3], [0, 5, 100]], np.int8)),
    "weight.scale": ("F32", [2], np.array([0.01, 0.5], np.float32)),
    "bias": ("F32", [2], np.array([1, 2], np.float32)),
}
BF16 = {
    "weight": ("BF16", [2, 3], np.arange(6, dtype=np.uint16) + 0x3F80),
    "bias": ("F32", [2], np.array([1, 2], np.float32)),
}


def write(path, tensors, **options):
    header, data = {}, b""
    if options:
        block = {"type": "Dense", "prefix": "", "input_size": 3, "output_size": 2, **options}
        header["__metadata__"] = {"gru_native": json.dumps({"version": 1, "blocks": [block]})}
    in_order = sorted(tensors.items(), key=lambda t: -t[1][2].itemsize)
    for name, (dtype, shape, array) in in_order:
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def changed(base, name, *change):
    tensors = dict(base)
    if change:
        dtype, shape, _ = tensors[name]
        tensors[name] = change if len(change) > 1 else (dtype, shape, change[0])
    else:
        del tensors[name]
    return tensors


def scales(*values):
    return changed(I8, "weight.scale", np.array(values, np.float32))


MATRIX = np.ones((2, 3), np.float32)
HOSTILE = {
    "no scale": (changed(I8, "weight.scale"), {}, r"no tensor weight\.scale, which block 0"),
    "scale of another size": (
        changed(I8, "weight.scale", "F32", [3], np.ones(3, np.float32)),
        {},
        r"tensor weight\.scale has shape \(3,\); expected \(2,\)",
    ),
    "scale of another dtype": (
        changed(I8, "weight.scale", "BF16", [2], np.ones(2, np.uint16)),
        {},
        r"tensor weight\.scale has dtype BF16; expected F32",
    ),
    "nan": (scales(1, np.nan), {}, r'tensor "?weight\.scale"? holds NaN at element 1'),
    "infinity": (scales(np.inf, 1), {}, r'tensor "?weight\.scale"? holds infinity at element 0'),
    "negative": (scales(1, -2), {}, r"tensor weight\.scale holds -2 at element 1; expected pos"),
    "zero": (scales(0, 1), {}, r"tensor weight\.scale holds 0 at element 0; expected pos"),
    "too large": (scales(3e38, 1), {}, r"tensor weight\.scale holds 3e\+38 at element 0"),
    "-128": (
        changed(I8, "weight", np.full((2, 3), -128, np.int8)),
        {},
        "tensor weight holds -128 at element 0; expected -127 to 127",
    ),
    "nan in bf16": (
        changed(BF16, "weight", np.full((2, 3), 0x7FC0, np.uint16)),
        {},
        "tensor weight holds NaN at element 0; expected finite",
    ),
    "i8 of a float layer": (
        I8,
        {"bias": True},
        'tensor weight has dtype I8; expected F32 or F64 for block 0 .Dense. with precision "full"',
    ),
    "bf16 of an int8 layer": (
        BF16,
        {"precision": "int8"},
        "tensor weight has dtype BF16; expected I8",
    ),
    "float of an int8 layer": (
        changed(changed(I8, "weight", "F32", [2, 3], MATRIX), "weight.scale"),
        {"precision": "int8"},
        "tensor weight has dtype F32; expected I8",
    ),
    "float64 of a bf16 layer": (
        {"weight": ("F64", [2, 3], MATRIX.astype(float)), "bias": ("F64", [2], np.ones(2))},
        {"precision": "bf16"},
        "tensor weight has dtype F64; expected BF16",
    ),
    "i8 bias": (
        changed(I8, "bias", "I8", [2], np.ones(2, np.int8)),
        {"precision": "int8"},
        "tensor bias has dtype I8; expected F32",
    ),
    "bf16 bias of a float layer": (
        {"weight": ("F32", [2, 3], MATRIX), "bias": ("BF16", [2], np.full(2, 0x3F80, np.uint16))},
        {},
        "tensor bias has dtype BF16; expected F32",
    ),
    "surplus scale": (I8 | {"bias.scale": I8["weight.scale"]}, {}, r"bias\.scale|scale belongs"),
    "unknown": (I8, {"precision": "int4"}, 'precision is "int4"; expected "full", "bf16"'),
    "with float64": (
        changed(I8, "bias", "F64", [2], np.ones(2)),
        {},
        'has dtype "I8", others have F64|has dtype "F64", others have F32',
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(case, path):
    tensors, options, text = HOSTILE[case]
    write(path, tensors, **options)
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*({text})"):
        gru_native.load(path)


def test_i8_of_a_float_layer_on_request(path):
    write(path, I8, bias=True)
    wide = gru_native.load(path, precision="float32")
    _, _, q = I8["weight"]
    np.testing.assert_array_equal(wide.weights["weight"], q * I8["weight.scale"][2][:, None])


def test_a_plain_file_of_int8(path):
    write(path, I8)
    assert gru_native.load(path).precision == "int8"


def test_arguments(path):
    write(path, I8)
    with pytest.raises(ValueError, match="precision is 'int8'; expected 'float32' or None"):
        gru_native.load(path, precision="int8")
    with pytest.raises(TypeError, match="precision is an int"):
        gru_native.load(path, precision=8)
