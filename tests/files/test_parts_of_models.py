"""Parts of larger models, tensors that are left out, blocks by names and shapes, other formats."""

import numpy as np
import pytest

import gru_native
from gru_native import (
    BatchNorm1d,
    BatchNorm2d,
    Chain,
    Conv1d,
    Conv2d,
    Dense,
    Embedding,
    LayerNorm,
    load,
)
from helpers import assert_same_bits

save_file = pytest.importorskip("safetensors.numpy").save_file
RNG = np.random.default_rng(81)


def model():
    """Tensors of an encoder and more, and the encoder itself."""
    lstm = gru_native.LSTM(3, 4, 2, bidirectional=True, seed=1)
    dense = Dense(8, 5, seed=2)
    tensors = {f"net.encoder.rnn.{name}": w for name, w in lstm.weights.items()}
    tensors |= {f"net.encoder.head.{name}": w for name, w in dense.weights.items()}
    tensors |= {
        "net.positions": np.arange(7),
        "net.encoder.scale": np.ones(3, np.float16),
        "net.encoder.old.weight": np.ones((2, 2, 2), np.float32),
        "net.encoder.old.bias": np.ones(9, np.float32),
        "net.decoder.weight": np.ones((6, 2)),  # float64
    }
    return tensors, Chain([lstm, dense])


def test_a_part_of_a_model(tmp_path):
    tensors, chain = model()
    save_file(tensors, tmp_path / "m.safetensors")
    x = RNG.standard_normal((5, 2, 3)).astype(np.float32)
    ignored = ["net.encoder.scale", "net.encoder.old."]
    part = load(tmp_path / "m.safetensors", prefix="net.encoder.", ignore=ignored)
    assert_same_bits(part(x)[0], chain(x)[0])
    assert_same_bits(part.weights["1.bias"], chain.weights["1.bias"])

    head = load(tmp_path / "m.safetensors", prefix="net.encoder.head.")
    assert isinstance(head, Dense)
    rest = load(tmp_path / "m.safetensors", ignore=["net.encoder.", "net.positions"])
    assert rest.dtype == np.float64
    described = [{"type": "Dense", "prefix": "", "input_size": 8, "output_size": 5}]
    described[0]["activation"] = "relu"
    relu = load(tmp_path / "m.safetensors", described, prefix="net.encoder.head.")
    assert relu.activation == "relu"

    with pytest.raises(
        ValueError, match=r'm\.safetensors: tensor "net.encoder.scale" has dtype "F'
    ):
        load(tmp_path / "m.safetensors", prefix="net.encoder.")
    with pytest.raises(ValueError, match='has no tensor whose name begins with "net'):
        load(tmp_path / "m.safetensors", prefix="net.e.")
    for missing in ("net.encoder.scal", "net.x.", ""):
        with pytest.raises(ValueError, match=f'has no tensor "{missing}", which shall be ignored'):
            load(tmp_path / "m.safetensors", ignore=["net.positions", "net.encoder.", missing])
    with pytest.raises(TypeError, match="prefix is an int; expected a string"):
        load(tmp_path / "m.safetensors", prefix=3)
    with pytest.raises(TypeError, match="ignore is an int; expected a string"):
        load(tmp_path / "m.safetensors", ignore=[3])
    with pytest.raises(TypeError, match="ignore is an int; expected a list of names"):
        load(tmp_path / "m.safetensors", ignore=3)


def test_a_part_of_a_file_of_ones_own(tmp_path):
    """What its description says counts."""
    chain = Chain([gru_native.RNN(3, 4, nonlinearity="relu", seed=1), Dense(4, 2, seed=2)])
    gru_native.save(chain, tmp_path / "m.safetensors")
    rnn = load(tmp_path / "m.safetensors", prefix="0.")
    assert rnn.nonlinearity == "relu"
    assert isinstance(load(tmp_path / "m.safetensors", ignore=["0."], prefix="1."), Dense)
    with pytest.raises(ValueError, match=r"there is no tensor 0\.bias_hh_l0, which block 0 \(RNN"):
        load(tmp_path / "m.safetensors", ignore=["0.bias_hh_l0"])


def test_blocks_by_names_and_shapes(tmp_path):
    blocks = [
        Embedding(11, 4, seed=1),
        Conv1d(4, 6, 3, padding="valid", seed=2),
        BatchNorm1d(6),
        LayerNorm(6),
        gru_native.GRU(6, 5, seed=3),
        Dense(5, 2, seed=4),
    ]
    chain = Chain(blocks)
    ids = RNG.integers(0, 11, (9, 2))
    expected = chain(ids)[0]
    for prefixes, own in (
        (range(6), blocks),
        (["word_embeddings", "rnn", "head"], [Embedding(11, 6, seed=5), *blocks[4:]]),
        (["emb", "rnn", "head"], [Embedding(11, 6, seed=5), *blocks[4:]]),
    ):
        tensors = {
            f"{prefix}.{name}": np.asarray(w)
            for prefix, block in zip(prefixes, own, strict=True)
            for name, w in block.weights.items()
        }
        save_file(tensors, tmp_path / "m.safetensors")
        read = load(tmp_path / "m.safetensors")
        assert [type(b) for b in read.blocks] == [type(b) for b in own]
        wanted = expected if own is blocks else Chain(own)(ids)[0]
        assert_same_bits(read(ids)[0], wanted)
    # A dense layer without bias stays one where that fits.
    save_file({"0.weight": np.ones((4, 3), "f"), "1.weight": np.ones((2, 4), "f")}, tmp_path / "d")
    assert [type(b) for b in load(tmp_path / "d").blocks] == [Dense, Dense]


def test_convolutions_of_images_by_names_and_shapes(tmp_path):
    """A state_dict of nn.Sequential(Conv2d, BatchNorm2d, Conv2d), whose numbers have gaps."""
    blocks = [Conv2d(3, 4, (3, 2), seed=1), BatchNorm2d(4), Conv2d(4, 2, 1, bias=False, seed=2)]
    with blocks[1].editing() as w:
        w["running_mean"][...] = RNG.standard_normal(4)
    tensors = {
        f"{number}.{name}": np.asarray(w)
        for number, block in zip((0, 1, 3), blocks, strict=True)
        for name, w in block.weights.items()
    }
    save_file(tensors, tmp_path / "m.safetensors")
    read = load(tmp_path / "m.safetensors")
    assert [repr(b) for b in read.blocks] == [repr(b) for b in blocks]
    x = RNG.standard_normal((2, 3, 7, 5)).astype(np.float32)
    assert_same_bits(read(x)[0], Chain(blocks)(x)[0])
    save_file({"weight": np.ones((4, 3, 3, 2), "f")}, tmp_path / "one")
    assert repr(load(tmp_path / "one")) == repr(Conv2d(3, 4, (3, 2), bias=False))


def test_a_pytorch_pickle_says_what_it_is(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch.nn.LSTM(3, 4).state_dict()
    torch.save(state, tmp_path / "new.pt")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.LSTM(3, 4), tmp_path / "whole.pth")
    text = r"is a PyTorch pickle, which may run any code .*safetensors\.torch\.save_file\("
    for name in ("new.pt", "old.pt", "whole.pth"):
        with pytest.raises(ValueError, match=rf"{name}: {text}"):
            load(tmp_path / name)
    save = pytest.importorskip("safetensors.torch").save_file
    save(torch.load(tmp_path / "new.pt", weights_only=True), tmp_path / "model.safetensors")
    assert isinstance(load(tmp_path / "model.safetensors"), gru_native.LSTM)
    import zipfile

    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ValueError, match=r"is a zip file, .* gru_native\.keras\.load reads"):
        load(tmp_path / "m.keras")
    for content in (
        b"PK\3\4",
        b"PK\3\4" + bytes(26) + b"\xff" * 9,
        b"\x80\2",
        b"PK\3\4" + b"\xff" * 40,
    ):
        (tmp_path / "cut").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut: "):
            load(tmp_path / "cut")
