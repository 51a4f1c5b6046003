"""Model files with random changes, read by Python and by the C++ library: both take one, or none.

    python tests/fuzz/model_files.py --count 20000

Changed are bytes, the length of the header, the header's JSON and the description of the layers in
it. What both take gives the same outputs, bit for bit. Each try makes CHANGES files of one model.
Needs the shared library of C++, which pip installs with the package; GRU_NATIVE_LIBRARY names
another. Try N alone, with its traceback: ``--only N``.
"""

import copy
import ctypes
import json
import os
import random
import re
import struct
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import fuzzing  # noqa: E402
import gru_native as gn  # noqa: E402
from gru_native import files, losses  # noqa: E402

CHANGES = 100
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5, -1.5, 1e308, ""),
    *(
        "F32",
        "F64",
        "BF16",
        "I8",
        "GRU",
        "LSTM",
        "RNN",
        "Dense",
        "Pool",
        "MaxPool1d",
        "Branch",
        "Image",
        "Columns",
        "Conv2d",
        "MaxPool2d",
        "BatchNorm2d",
        "same",
        "TreeSoftmax",
        "ClassSoftmax",
        "counts",
        "I64",
        "fork",
        "tanh",
        "relu",
        "x",
        "\x00",
        "é",
    ),
    *([], {}, [1, 2], [0, 0], [2, 3], [[1]], {"a": 1}, [2**40, 2**40], [-1, 2], ["elu", 0.5]),
)
PIECES = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u0000", b"\\ud800", b"1e999", b"\x00", b" ")


def library():
    """The C API of the shared library, or None where there is none."""
    root = Path(__file__).parents[2]
    places = [Path(p) for p in [os.environ.get("GRU_NATIVE_LIBRARY")] if p]
    places += [Path(gn.__file__).parent / "lib/libgru_native.so"]
    places += sorted(root.glob("build/*/cpp/libgru_native.so"))
    for place in places:
        if place.exists():
            try:
                loaded = ctypes.CDLL(str(place))
            except OSError:  # built for another machine
                continue
            loaded.gru_native_error.restype = ctypes.c_char_p
            for name in ("model_input_size", "model_output_size"):
                getattr(loaded, f"gru_native_{name}").restype = ctypes.c_int64
            return loaded
    return None


@cache
def beginnings():
    """Headers and tensors of models of every kind."""
    made = []
    gru, dense = gn.GRU(3, 4, seed=0), gn.Dense(4, 2, seed=1)
    images = [
        gn.Conv2d(1, 3, (3, 2), (2, 1), padding=(1, 0), seed=0),
        gn.BatchNorm2d(3),
        gn.Parallel([gn.MaxPool2d(3, 1, 1), gn.AvgPool2d((1, 3), 1, (0, 1))], "add"),
        gn.MaxPool2d((2, 1), (2, 1)),
        gn.Conv2d(3, 9, (2, 1), seed=1),
    ]
    models = [
        gru,
        gn.LSTM(3, 4, 2, bidirectional=True, proj_size=2, seed=0),
        gn.LSTM(3, 4, peephole=True, gate_activation=("hard_sigmoid", 0.2, 0.5), seed=0),
        gn.RNN(3, 4, nonlinearity="relu", bias=False, seed=0),
        dense,
        gn.Chain([gru, gn.LSTM(4, 4, seed=2), dense]),
        gn.Chain([gru, dense]).quantize("int8"),
        gn.GRU(3, 4, seed=0, dtype=np.float64),
        gn.Chain([gn.Embedding(5, 3, seed=0), gn.Conv1d(3, 3, 2, seed=1), gn.MaxPool1d(2), gru]),
        gn.Chain([gn.AvgPool1d(2, padding=1), gn.LayerNorm(4), gn.Pool("mean"), dense]),
        gn.Chain([gn.Image(9), *images, gn.Columns(), gn.GRU(9, 4, seed=0)]),
        gn.Chain([gn.Residual(gn.Dense(3, 3, seed=0)), gn.Parallel([gru, gru], "add"), dense]),
        gn.AttentionDecoder(5, 2, 3, 3, seed=0),
        losses.SampledSoftmax(3, 5, 2, seed=0),
        losses.NoiseContrastive(3, 5, 2, proposal=np.arange(1.0, 6), seed=0, dtype=np.float64),
        losses.ClassSoftmax(3, 5, classes=[0, 1, 1, 0, 2], seed=0),
        losses.TreeSoftmax(3, 5, counts=[3, 1, 2, 0, 5], bias=False, seed=0),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            path = Path(folder) / "model"
            gn.save(model, path)
            data = path.read_bytes()
            (size,) = struct.unpack("<Q", data[:8])
            made.append((json.loads(data[8 : 8 + size]), data[8 + size :]))
    return made


# --- changes


def places(value, path=()):
    """The paths of everything in JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def change_json(rnd, value):
    """One entry becomes another, goes, or comes twice; or a key gets another name."""
    path = rnd.choice(list(places(value)))
    for key in path[:-1]:
        value = value[key]
    key, how = path[-1], rnd.randrange(6)
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, list):
        value.insert(rnd.randrange(len(value) + 1), value[key])
    elif how == 1 and isinstance(value, dict):
        value[rnd.choice(("", "x", "weight", "bias", "__metadata__", f"{key}0"))] = value.pop(key)
    elif how == 2 and isinstance(value[key], int) and not isinstance(value[key], bool):
        value[key] += rnd.choice((-4, -1, 1, 4))
    else:
        value[key] = copy.deepcopy(rnd.choice(VALUES))


def changed(rnd):
    header, tensors = rnd.choice(beginnings())
    how = rnd.randrange(10)
    if how < 3:
        header = copy.deepcopy(header)
        for _ in range(rnd.randrange(1, 3)):
            change_json(rnd, header)
    elif how < 6 and (metadata := header.get("__metadata__")):
        (key,) = metadata
        described = json.loads(metadata[key])
        for _ in range(rnd.randrange(1, 3)):
            change_json(rnd, described)
        header = {**header, "__metadata__": {key: json.dumps(described)}}
    text = bytearray(json.dumps(header).encode())
    if how == 6:
        at = rnd.randrange(len(text) + 1)
        text[at : at + rnd.randrange(3)] = rnd.choice(PIECES)
    size = len(text) if rnd.randrange(20) else rnd.choice((0, 1, len(text) - 1, 2**31, 2**63 + 1))
    data = bytearray(struct.pack("<Q", size) + text + tensors)
    if how >= 7:  # anywhere, or in the tensors
        first = 0 if how == 7 else 8 + len(text)
        for _ in range(rnd.randrange(1, 4)):
            data[rnd.randrange(first, len(data))] = rnd.randrange(256)
        if how == 7 and rnd.randrange(3) == 0:
            del data[rnd.randrange(len(data)) :]
    return bytes(data)


# --- what becomes of them


def by_python(path):
    """A model, or what is wrong."""
    try:
        return gn.load(path), ""
    except (ValueError, OSError) as error:
        if not str(error).startswith(path) and not isinstance(error, OSError):
            raise fuzzing.Wrong(f"names no file: {error}") from error
        return None, str(error)


def by_cpp(loaded, path, x, steps_of_y):
    """Its outputs, or what is wrong; None and no text for a model that reads something else."""
    model = ctypes.c_void_p()
    if loaded.gru_native_model_load(path.encode(), None, ctypes.byref(model)) != 0:
        return None, loaded.gru_native_error().decode(errors="replace")
    try:
        columns = loaded.gru_native_model_output_size(model)
        y = np.empty((steps_of_y, columns), np.float32)
        if loaded.gru_native_model_input_size(model) != x.shape[1]:
            raise fuzzing.Wrong("has another input_size in C++")
        numbers = ctypes.POINTER(ctypes.c_float)
        steps, batch = ctypes.c_int64(len(x)), ctypes.c_int64(1)
        given = (x.ctypes.data_as(numbers), None, None, y.ctypes.data_as(numbers), None)
        if loaded.gru_native_model_forward(model, steps, batch, *given) != 0:
            return None, loaded.gru_native_error().decode(errors="replace")
        return y, ""
    finally:
        loaded.gru_native_model_free(model)


def of_no_chain(loaded, path, model):
    """A decoder or a softmax: no Model in C++. It computes, and what is saved of it comes back."""
    if loaded and by_cpp(loaded, path, np.zeros((1, 1), np.float32), 1)[0] is not None:
        raise fuzzing.Wrong("C++ takes it for a chain")
    if isinstance(model, gn.AttentionDecoder):
        shape = (1, model.memory_size) if model.attention is None else (2, 1, model.memory_size)
        memory = [np.ones(shape, model.dtype)] * model.num_memories
        model.generate(memory, start=0, end=1, max_steps=2)
    else:
        model.top_k(np.ones((1, model.input_size), model.dtype), 1)
    gn.save(model, path)
    again = gn.load(path)
    if again.__getstate__()["checksum"] != model.__getstate__()["checksum"]:
        raise fuzzing.Wrong("what is saved of it comes back as something else")
    return f"loaded, {type(model).__name__}"


def compare(loaded, path):
    model, refused = by_python(path)
    if model is None:
        y, also = by_cpp(loaded, path, np.zeros((1, 1), np.float32), 1) if loaded else (None, "it")
        if y is not None or not also:
            raise fuzzing.Wrong(f"C++ takes what Python refuses: {re.sub('/[^:]*', '', refused)}")
        return "refused"
    if isinstance(model, (gn.AttentionDecoder, *files.SOFTMAXES.values())):
        return of_no_chain(loaded, path, model)
    if model.input_size is None:  # of images, whose height C++ must know
        if loaded and by_cpp(loaded, path, np.zeros((1, 1), np.float32), 1)[0] is not None:
            raise fuzzing.Wrong("C++ takes a chain whose input_size is not known")
        return "loaded, without a size"
    if model.input_size > 1000:
        return "loaded"
    x = np.linspace(-1, 1, 2 * model.input_size).astype(model.dtype).reshape(2, model.input_size)
    first = model.blocks[0] if isinstance(model, gn.Chain) else model
    if isinstance(first, gn.Embedding):  # whose rows 0 and 1 there are
        x = np.arange(2).reshape(2, 1).astype(model.dtype) % first.num_embeddings
    given = np.ascontiguousarray(x, np.float32)
    try:
        result = model(x[:, 0].astype(int) if isinstance(first, gn.Embedding) else x)
    except ValueError as error:  # windows wider than x
        few = "steps" in str(error) or "columns of dots" in str(error)
        if not few or (loaded and by_cpp(loaded, path, given, 1)[0] is not None):
            raise
        return "takes more steps"
    y = result[0] if isinstance(result, tuple) else result
    if y.ndim == 3:  # an image (channels, height, width), as it lies in memory
        y = y.transpose(2, 1, 0).reshape(y.shape[2], -1)
    if loaded is None:
        return "loaded"
    steps = y.size // max(1, y.shape[-1])  # pools and convolutions make other ones than x has
    own, wrong = by_cpp(loaded, path, given, steps)
    if model.dtype == np.float64:
        if own is not None or "float64" not in wrong:
            raise fuzzing.Wrong(f"C++ reads float64 as float32: {wrong}")
        return "loaded, float64"
    if own is None:
        raise fuzzing.Wrong(f"Python takes what C++ refuses: {re.sub('/[^:]*', '', wrong)}")
    if own.tobytes() != np.ascontiguousarray(y).tobytes():
        raise fuzzing.Wrong("C++ computes something else")
    return "computed by both"


@np.errstate(all="ignore")
def one(rng):
    rnd = random.Random(int(rng.integers(2**62)))
    outcomes = Counter()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = f"{folder}/model"
        for _ in range(CHANGES):
            Path(path).write_bytes(changed(rnd))
            outcomes[compare(cached_library(), path)] += 1
    return outcomes


cached_library = cache(library)

if __name__ == "__main__":
    raise SystemExit(fuzzing.main(__doc__, one))
