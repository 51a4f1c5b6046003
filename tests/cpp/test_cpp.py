"""The C++ tests, one case each, built as users get the library but with every warning an error."""

import ctypes
import json
import os
import platform

import numpy as np
import pytest

import gru_native
from builds import ROOT, run
from helpers import assert_same_bits

ISAS = ["baseline", "avx2", "avx512"] if platform.machine() in ("x86_64", "AMD64") else ["baseline"]
NAMES = [
    *sorted(
        source.stem for source in ROOT.glob("cpp/tests/*/*.cpp") if "support" not in source.parts
    ),
    *(f"symbols_{isa}" for isa in ISAS),
    "c_api",
    "exports",
    "strace_stream",
]


@pytest.mark.usefixtures("built")
def test_no_test_is_left_out():
    listing = json.loads(run("ctest", "--preset", "release", "--show-only=json-v1"))
    assert sorted(test["name"] for test in listing["tests"]) == sorted(NAMES)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", NAMES)
def test_cpp(name):
    run("ctest", "--preset", "release", "--tests-regex", f"^{name}$")


# --- the C API, and with it C++'s own loader, by ctypes


@pytest.fixture(scope="module")
def c_api(built):
    library = ctypes.CDLL(str(next((ROOT / "build/release/cpp").glob("libgru_native.so"))))
    library.gru_native_error.restype = ctypes.c_char_p
    for name in ("input", "output"):
        getattr(library, f"gru_native_model_{name}_size").restype = ctypes.c_int64
    library.gru_native_model_state_size.restype = ctypes.c_int64
    return library


def pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


@pytest.fixture
def c_load(c_api):
    """load(path) -> handle; ValueError with the library's text. Handles are freed."""
    models = []

    def load(path, description=None):
        model = ctypes.c_void_p()
        if c_api.gru_native_model_load(os.fsencode(path), description, ctypes.byref(model)):
            raise ValueError(c_api.gru_native_error().decode())
        models.append(model)
        return model

    yield load
    for model in models:
        c_api.gru_native_model_free(model)


def c_forward(c_api, model, x):
    seq_len, batch, inputs = x.shape
    assert c_api.gru_native_model_input_size(model) == inputs
    y = np.empty((seq_len, batch, c_api.gru_native_model_output_size(model)), np.float32)
    sizes = ctypes.c_int64(seq_len), ctypes.c_int64(batch)
    assert not c_api.gru_native_model_forward(
        model, *sizes, pointer(x), None, None, pointer(y), None
    )
    return y


def c_stream(c_api, model, x, block):
    seq_len, batch, _ = x.shape
    stream = ctypes.c_void_p()
    created = c_api.gru_native_stream_create(model, ctypes.c_int64(batch), 1, ctypes.byref(stream))
    assert not created
    y = np.empty((seq_len, batch, c_api.gru_native_model_output_size(model)), np.float32)
    for t in range(0, seq_len, block):
        frames = ctypes.c_size_t(min(block, seq_len - t))
        assert not c_api.gru_native_stream_process(stream, pointer(x[t:]), pointer(y[t:]), frames)
    c_api.gru_native_stream_free(stream)
    return y


MODELS = {
    "rnn": lambda: gru_native.RNN(3, 20, 2, nonlinearity="relu", bias=False, seed=1),
    "lstm": lambda: gru_native.LSTM(3, 20, 2, proj_size=7, seed=2),
    "lstm_variant": lambda: gru_native.LSTM(
        3,
        20,
        2,
        peephole=True,
        forget_gate=False,
        input_activation="sigmoid",
        cell_clip=0.5,
        proj_size=5,
        nonrecurrent_proj_size=4,
        seed=8,
    ),
    "gru_relu": lambda: gru_native.GRU(3, 20, candidate_activation="relu", seed=9),
    "gru": lambda: gru_native.GRU(3, 20, reset_after=False, dropout=0.5, seed=3),
    "chain": lambda: gru_native.Chain(
        [
            gru_native.LSTM(3, 20, seed=4),
            gru_native.GRU(20, 9, seed=5),
            gru_native.Dense(9, 2, activation="tanh", seed=6),
        ]
    ),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_cpp_reads_what_python_saves(c_api, c_load, model, tmp_path):
    """And computes the same bits, over the whole sequence and block by block."""
    model = model()
    gru_native.save(model, tmp_path / "model")
    x = np.random.default_rng(7).standard_normal((300, 2, 3)).astype(np.float32)
    expected, _ = model(x)
    loaded = c_load(tmp_path / "model")
    assert_same_bits(c_forward(c_api, loaded, x), expected)
    assert_same_bits(c_stream(c_api, loaded, x, 64), expected)


@pytest.mark.usefixtures("built")
def test_python_reads_what_cpp_saves(tmp_path):
    """test_files saves a model and its outputs where it is told to."""
    run(str(ROOT / "build/release/cpp/tests/test_files"), str(tmp_path))
    model = gru_native.load(tmp_path / "model")
    assert [type(block).__name__ for block in model.blocks] == ["LSTM", "GRU", "Dense"]
    assert model.blocks[1].reset_after is False
    x = np.fromfile(tmp_path / "x", np.float32).reshape(9, 2, 3)
    y = np.fromfile(tmp_path / "y", np.float32).reshape(9, 2, 2)
    assert_same_bits(model(x)[0], y)
    for precision in ("int8", "bf16"):
        fast = gru_native.load(tmp_path / precision)
        assert fast.precision == precision
        y = np.fromfile(tmp_path / f"{precision}_y", np.float32).reshape(9, 2, 2)
        assert_same_bits(fast(x)[0], y)
        again = tmp_path / f"{precision}_again"
        gru_native.save(fast, again)
        assert again.read_bytes() == (tmp_path / precision).read_bytes()


def corruptions():
    """Name -> bytes of a file that is no model: the corpus' bad files, and many more."""
    folder = ROOT / "cpp/tests/files/corpus"
    yield from ((path.name, path.read_bytes()) for path in sorted(folder.glob("bad_*")))
    good = (folder / "chain").read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    for end in range(0, len(good), 7):
        yield f"cut_at_{end}", good[:end]
    for at in (*range(0, 8), *range(8, header, 5)):
        yield f"flip_at_{at}", good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]
    for length in (0, 1, 7, header - 9, header - 7, 2**20, 10 * 2**20, 2**63, 2**64 - 1):
        yield f"length_{length}", length.to_bytes(8, "little") + good[8:]
    yield "more", good + bytes(4)
    padding = 10 * 2**20
    yield (
        "long_header",
        (header - 8 + padding).to_bytes(8, "little")
        + good[8:header]
        + (b" " * padding)
        + good[header:],
    )


@pytest.mark.parametrize(
    ("name", "content"), list(corruptions()), ids=lambda value: str(value)[:20]
)
def test_cpp_refuses(c_load, name, content, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        c_load(path)
    assert str(refused.value).startswith(f"{path}: "), name
