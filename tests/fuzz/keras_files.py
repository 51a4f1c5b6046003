"""Keras's files with random changes: they compute, or an error names the file and the layer.

    python tests/fuzz/keras_files.py --count 20000

Changed are the configuration, the tensors and what HDF5 says of them, and single bytes. No change
may bring another exception, a crash, seconds of work or much memory. Needs Keras, to write the
files that are changed. Try N alone, with its traceback: ``--only N``.
"""

import copy
import io
import json
import re
import sys
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import fuzzing  # noqa: E402
import gru_native.keras as ours  # noqa: E402
from keras_models import keras  # noqa: E402
from keras_saved import CONFIG, WEIGHTS, make_model  # noqa: E402

import h5py  # noqa: E402  isort: skip

L = keras.layers
# What no error may say: Python's own words for a bug.
RAW = re.compile(
    r"NoneType|object (has no|is not)|positional|unhashable|unsupported operand"
    r"|not supported between|cannot be interpreted|not iterable|not subscriptable"
)
CLASSES = (
    *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "Dense", "TimeDistributed", "Embedding"),
    *("Masking", "Activation", "Dropout", "InputLayer", "Sequential", "Functional", "Conv1D", ""),
    *("BatchNormalization", "MaxPooling1D", "Add", "Concatenate", "RepeatVector", "CuDNNLSTM"),
    *("ZeroPadding1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "Reshape"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "ZeroPadding2D", "Permute", "Flatten", "ReLU"),
)
VALUES = (
    *(None, True, False, 0, 1, -1, 3, 2**40, 10**30, 0.5, -2.5, 1e308, "", "tanh", "float64"),
    *("float32", "mixed_float16", "sum", "x", [], {}, [1, 2], [None, None, 5], {"config": {}}),
)


# --- files to begin with


def models():
    yield make_model()
    yield keras.Sequential([keras.Input((None, 5)), L.LSTM(3, return_sequences=True), L.Dense(2)])
    yield keras.Sequential([keras.Input((4,)), L.Embedding(7, 5, mask_zero=True), L.GRU(3)])
    x = keras.Input((6, 5))
    yield keras.Model(x, L.Dense(2)(L.SimpleRNN(4)(L.Masking(0.5)(x))))
    h = L.BatchNormalization()(L.Conv1D(5, 2, padding="causal")(x))
    _, state = L.GRU(4, return_state=True)(L.Add()([L.MaxPooling1D(1)(h), x]))
    y = L.GRU(4, return_sequences=True)(x, initial_state=state)
    yield keras.Model(x, L.Concatenate()([L.GlobalAveragePooling1D()(y), state]))
    yield from models_of_images()


def models_of_images():
    image = keras.Input((6, 5, 2))
    h = L.ZeroPadding2D(((1, 0), (0, 2)))(image)
    h = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, (2, 3), strides=2, padding="same")(h)))
    h = L.Concatenate()([L.SeparableConv2D(2, 2, padding="same")(h), h])
    h = L.MaxPooling2D(2, padding="same")(L.Permute((2, 1, 3))(h))
    yield keras.Model(image, L.GRU(3)(L.Reshape((2, -1))(h)))
    frames = [L.DepthwiseConv2D(2), L.AveragePooling2D(2), L.Flatten()]
    frames = keras.Sequential([keras.Input((5, 5, 1)), *frames])
    video = [keras.Input((3, 5, 5, 1)), L.TimeDistributed(frames), L.LSTM(2)]
    yield keras.Sequential([*video, keras.Sequential([keras.Input((2,)), L.Dense(3)])])
    x = keras.Input((None, 5))
    h = L.Conv2D(2, 3, padding="same")(L.Reshape((-1, 5, 1))(x))
    yield keras.Model(x, L.Dense(2)(L.TimeDistributed(L.Flatten())(h)))


@cache
def beginnings():
    """For each model its configuration, and its tensors in HDF5."""
    made = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models():
            path = Path(folder) / WEIGHTS
            model.save_weights(path)
            made.append((model.to_json(), path.read_bytes()))
    return made


# --- changes


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def places(value, path=()):
    """The paths of everything in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def change_config(config, rng):
    """One entry becomes another, goes, or comes twice; or a class gets another name."""
    path = pick(rng, list(places(config)))
    inside = config
    for key in path[:-1]:
        inside = inside[key]
    key, how = path[-1], int(rng.integers(6))
    if how == 0:
        del inside[key]
    elif how == 1 and isinstance(inside, list):
        inside.insert(int(rng.integers(len(inside) + 1)), inside[key])
    elif key == "class_name":
        inside[key] = pick(rng, CLASSES)
    else:
        inside[key] = copy.deepcopy(pick(rng, VALUES))


def change_tensors(file, rng):
    """A tensor of another shape, dtype or value; none, one more, or a link to elsewhere."""
    names = []
    file.visit(lambda name: names.append(name) if isinstance(file[name], h5py.Dataset) else None)
    name = pick(rng, names)
    array, how = file[name][()], int(rng.integers(7))
    del file[name]
    if how == 0:
        file[name] = np.resize(array, rng.integers(0, 7, int(rng.integers(4))))
    elif how == 1:
        file[name] = array.astype(pick(rng, (np.float16, np.float64, np.int64, np.bool_, "S3")))
    elif how == 2:
        array.flat[0] = pick(rng, (np.nan, np.inf, 1e30, 0))
        file[name] = array
    elif how == 3:
        shape = pick(rng, ((2**40, 12), (2**20, 2**20), (0, 12), array.shape))
        file.create_dataset(
            name, shape, "f8", chunks=pick(rng, (True, None)) if 0 in shape else True
        )
    elif how == 4:
        file[name] = h5py.SoftLink(pick(rng, ("/", "/" + name, "/nowhere", "/" + pick(rng, names))))
    elif how == 5:
        file[name], file[f"{name}0"] = array, array


def with_other_bytes(data, rng):
    changed = bytearray(data)
    for at in rng.integers(len(data), size=int(rng.integers(1, 4))):
        changed[at] = rng.integers(256)
    return bytes(changed[: int(rng.integers(len(data) + 1))] if rng.integers(4) == 0 else changed)


def changed(rng):
    """(config or None, the file's bytes): a .keras file has its configuration inside."""
    config, data = pick(rng, beginnings())
    how = int(rng.integers(8))
    if how < 4:
        parsed = json.loads(config)
        for _ in range(int(rng.integers(1, 4))):
            change_config(parsed, rng)
        config = json.dumps(parsed)
    elif how < 6:
        file = io.BytesIO(data)
        with h5py.File(file, "r+") as opened:
            change_tensors(opened, rng)
        data = file.getvalue()
    elif how == 6:
        data = with_other_bytes(data, rng)
    if rng.integers(2):
        return config, data
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as z:
        z.writestr(CONFIG, config)
        z.writestr(WEIGHTS, data)
    whole = archive.getvalue()
    return None, with_other_bytes(whole, rng) if how == 7 else whole


# --- what becomes of them


def refused(call, begin):
    """The call's result, or None for an error that begins so and names what is wrong."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        said = str(error)
        if RAW.search(said) or not said.startswith(begin):
            raise fuzzing.Wrong(f"{type(error).__name__} says no name: {said[:300]}") from error
        return None


def one(rng):
    config, data = changed(rng)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "file"
        path.write_bytes(data)
        model = refused(lambda: ours.load(path, config), str(path))
    if model is None:
        return "refused by load"
    refused(lambda: model.chain() if hasattr(model, "chain") else None, "layer ")
    whole = isinstance(getattr(model, "layers", [None])[0], ours.Embedding)
    shape = getattr(model, "input_shape", None) or (None, None, 5)
    sizes = [int(rng.integers(1, 4)) if n is None else n for n in shape]
    if np.prod(np.array(sizes, float)) > 1e5:
        return "loaded"
    x = rng.integers(0, 7, sizes) if whole else rng.standard_normal(sizes)
    for dtype in (np.float64, np.float32):
        y = refused(lambda d=dtype: model(x if whole else x.astype(d)), ("layer ", "x "))
        if y is not None:
            return "computed"
    return "refused by a call"


if __name__ == "__main__":
    raise SystemExit(fuzzing.main(__doc__, one))
