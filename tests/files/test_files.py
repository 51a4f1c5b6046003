"""gru_native.save and load: round trips, state_dicts from PyTorch, and files that are none."""

import json
import struct

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense
from helpers import assert_same_bits

safetensors = pytest.importorskip("safetensors")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

MODELS = {
    "rnn": lambda **o: RNN(3, 4, 2, nonlinearity="relu", bias=False, dropout=0.25, seed=1, **o),
    "lstm": lambda **o: LSTM(3, 4, bidirectional=True, proj_size=2, seed=2, **o),
    "gru": lambda **o: GRU(3, 4, reset_after=False, batch_first=True, seed=3, **o),
    "lstm_variant": lambda **o: LSTM(
        3,
        4,
        2,
        peephole=True,
        input_gate=False,
        output_activation="identity",
        cell_clip=2.5,
        proj_size=2,
        nonrecurrent_proj_size=1,
        seed=7,
        **o,
    ),
    "lstm_coupled": lambda **o: LSTM(3, 4, peephole=True, coupled_gates=True, seed=8, **o),
    "lstm_gate_recurrence": lambda **o: LSTM.variant("FGR", 3, 4, num_layers=2, seed=10, **o),
    "lstm_layer_norm": lambda **o: LSTM(3, 4, layer_norm=True, proj_size=2, seed=11, **o),
    "gru_layer_norm": lambda **o: GRU(3, 4, layer_norm=True, bias=False, seed=12, **o),
    "gru_relu": lambda **o: GRU(3, 4, candidate_activation="relu", seed=9, **o),
    "dense": lambda **o: Dense(3, 4, activation="relu", bias=False, seed=4, **o),
    "dense_batch_first": lambda **o: Dense(3, 4, batch_first=True, seed=16, **o),
    "dense_softmax": lambda **o: Dense(3, 4, activation="softmax", seed=13, **o),
    "chain_log_softmax": lambda **o: Chain(
        [GRU(3, 4, seed=14, **o), Dense(4, 3, activation="log_softmax", seed=15, **o)]
    ),
    "chain": lambda **o: Chain([LSTM(3, 4, seed=5, **o), Dense(4, 1, activation="tanh", **o)]),
    "chain_batch_first": lambda **o: Chain(
        [RNN(3, 4, batch_first=True, seed=17, **o), Dense(4, 2, batch_first=True, seed=18, **o)]
    ),
    "chain_of_one": lambda **o: Chain([GRU(3, 4, seed=6, **o)]),
}


def output(model):
    y = model(np.random.default_rng(1).standard_normal((5, 2, 3)).astype(model.dtype))
    return y if isinstance(model, Dense) else y[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_round_trip(model, dtype, path):
    model = model(dtype=dtype)
    gru_native.save(model, path)
    loaded = gru_native.load(path)
    assert repr(loaded) == repr(model)
    assert type(loaded) is type(model)
    assert_same_bits(output(loaded), output(model))
    assert list(path.parent.iterdir()) == [path]


def test_a_subclass_is_loaded_as_the_class_it_derives_from(path):
    class Tagged(GRU):
        def __init__(self, tag):
            super().__init__(3, 4, reset_after=False, seed=1)
            self.tag = tag

    class Head(Dense):
        pass

    for model, kinds in (
        (Tagged("mine"), [GRU]),
        (Chain([Tagged("mine"), Head(4, 2, activation="tanh", seed=2)]), [GRU, Dense]),
    ):
        gru_native.save(model, path)
        loaded = gru_native.load(path)
        assert [type(block) for block in getattr(loaded, "blocks", [loaded])] == kinds
        assert_same_bits(output(loaded), output(model))


def test_the_file_is_plain_safetensors(path):
    model = MODELS["chain"]()
    gru_native.save(model, str(path))
    tensors = safetensors_numpy.load_file(path)
    assert set(tensors) == set(model.weights)
    for name, array in tensors.items():
        assert_same_bits(array, np.asarray(model.weights[name]))


def test_state_dict_from_torch(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.LSTM(1, 16, 2)
            self.head = torch.nn.Linear(16, 1)

    torch.manual_seed(1)
    model = Model()
    save_file(model.state_dict(), path)
    x = np.random.default_rng(2).standard_normal((20, 1, 1)).astype(np.float32)
    with torch.no_grad():
        expected = model.head(model.rnn(torch.from_numpy(x))[0]).numpy()
    loaded = gru_native.load(path)
    assert [type(b) for b in loaded.blocks] == [LSTM, Dense]
    np.testing.assert_allclose(loaded(x)[0], expected, rtol=0, atol=1e-6)


def test_description(path):
    model = MODELS["rnn"]()
    safetensors_numpy.save_file({f"a.{k}": v for k, v in model.state_dict().items()}, path)
    description = [
        {
            "type": "RNN",
            "prefix": "a.",
            "input_size": 3,
            "hidden_size": 4,
            "num_layers": np.int64(2),
            "nonlinearity": "relu",
            "bias": False,
            "dropout": 0.25,
        }
    ]
    loaded = gru_native.load(path, description)
    assert repr(loaded) == repr(model)
    assert_same_bits(output(loaded), output(model))
    assert gru_native.load(path).nonlinearity == "tanh"  # the name of the function is not in it


@pytest.mark.parametrize("name", ["chain_batch_first", "chain", "dense"])
def test_a_file_from_before_dense_layers_had_batch_first(path, name):
    model = MODELS[name]()
    gru_native.save(model, path)
    with safetensors.safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["gru_native"])
    for block in description["blocks"]:
        if block["type"] == "Dense":
            del block["batch_first"]
    metadata = {"gru_native": json.dumps(description)}
    safetensors_numpy.save_file(model.state_dict(), path, metadata)
    assert repr(gru_native.load(path)) == repr(model)
    safetensors_numpy.save_file(model.state_dict(), path)
    assert repr(gru_native.load(path, description["blocks"])) == repr(model)


BAD_DESCRIPTIONS = [
    ([], "no blocks"),
    ([{"type": "RNN", "input_size": 3, "hidden_size": 4}], "no tensor weight_ih_l0"),
    ([{"type": "Conv"}], "type is .Conv"),
    ([{"prefix": ""}], "has no type"),
    ([{"type": "Dense", "hidden_size": 3}], "option 'hidden_size' that Dense does not have"),
    ([{"type": "Dense", "input_size": "3"}], "input_size is a str"),
    ([{"type": "Dense", "input_size": True}], "input_size is a bool"),
    ([{"type": "Dense", "input_size": 2**70}], "input_size is out of range"),
    ([{"type": "Dense", "bias": 1}], "bias is an int"),
    ([{"type": "Dense", "activation": "gelu"}], "activation is .gelu"),
    ([{"type": "Dense", "input_size": 3, "output_size": 5}], r"weight has shape \(4, 3\)"),
    ([{"type": "LSTM", "input_size": 3, "hidden_size": 2**40}], "no tensor|larger than memory"),
]


@pytest.mark.parametrize(("description", "text"), BAD_DESCRIPTIONS)
def test_bad_descriptions(description, text, path):
    safetensors_numpy.save_file(MODELS["dense"]().state_dict(), path)
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*({text})"):
        gru_native.load(path, description)


def with_metadata(text):
    tensors = {"weight": np.ones((2, 3), np.float32)}
    return safetensors_numpy.save(tensors, {"gru_native": text})


def described(**options):
    block = {"type": "Dense", "prefix": "", "input_size": 3, "output_size": 2, "bias": False}
    return with_metadata(json.dumps({"version": 1, "blocks": [block | options]}))


def arrays(**tensors):
    return safetensors_numpy.save(tensors)


WEIGHT = np.ones((2, 3), np.float32)
BAD_FILES = {
    "empty": (b"", ""),
    "no_header": (b"PK\x03\x04" + bytes(100), ""),
    "truncated": (described()[:-5], ""),
    "header_beyond": (struct.pack("<Q", 2**40) + described()[8:], ""),
    "no_tensors": (arrays(), "no tensors"),
    "float16": (
        arrays(weight=WEIGHT.astype(np.float16)),
        'tensor "weight" has dtype "F16"; expected F32 or F64: convert',
    ),
    "integers": (arrays(weight=WEIGHT.astype(int)), 'tensor "weight" has dtype "I64"'),
    "mixed": (
        arrays(weight=WEIGHT, bias=np.ones(2)),
        'tensor "weight" has dtype "F32", others have F64; expected one',
    ),
    "nan": (arrays(weight=WEIGHT * np.float32(np.nan)), 'tensor "weight" holds NaN at element 0'),
    "unknown_name": (arrays(running_mean=WEIGHT), "tensor running_mean belongs to no"),
    "cube": (
        arrays(weight=WEIGHT[None, None, None]),
        r"tensor weight has shape \(1, 1, 1, 2, 3\); expected a matrix",
    ),
    "rows": (arrays(weight_ih_l0=WEIGHT, weight_hh_l0=np.ones((2, 4), np.float32)), "2 rows"),
    "surplus": (arrays(weight=WEIGHT, weight_ih_l0=WEIGHT), "weight_ih_l0 belongs to no block"),
    "no_order": (arrays(**{"a.weight": WEIGHT, "b.weight": WEIGHT}), "no order"),
    "no_json": (with_metadata("{"), "no JSON"),
    "no_version": (with_metadata("{}"), "version is missing; this library reads version 1"),
    "version": (with_metadata('{"version": 2, "blocks": []}'), 'version is "2"'),
    "no_blocks": (with_metadata('{"version": 1}'), "has no list of blocks"),
    "twice": (with_metadata('{"version": 1, "version": 1, "blocks": []}'), "is there twice"),
    "deep": (with_metadata("[" * 100000), "nested deeper"),
    "option": (described(peephole=True), 'option "peephole" that Dense does not have'),
    "type": (described(type="Conv"), "type is .Conv"),
    "huge": (described(output_size=10**12), r"weight has shape \(2, 3\)"),
}


@pytest.mark.parametrize(("content", "text"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(content, text, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"model\.safetensors: .*({text})"):
        gru_native.load(path)


def test_arguments(path, tmp_path):
    with pytest.raises(TypeError, match="model is an int"):
        gru_native.save(3, path)
    with pytest.raises(FileNotFoundError):
        gru_native.load(path)
    with pytest.raises(OSError, match="model"):
        gru_native.save(MODELS["gru"](), tmp_path / "nowhere" / "model")
