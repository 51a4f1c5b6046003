"""Keras on its PyTorch back end, if both are there, and random layers of it."""

import os

import numpy as np
import pytest

from gru_native.keras import from_keras, load, load_weights, to_keras

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

KINDS = ("SimpleRNN", "LSTM", "GRU")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear", "softsign", "elu", "softplus", "leaky_relu")
GATES = ("sigmoid", "sigmoid", "hard_sigmoid", "tanh", "softsign")
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def one_of(rng, values):
    return values[int(rng.integers(len(values)))]


def coin(rng):
    return bool(rng.integers(2))


def draw_weights(layer, rng):
    """Random and asymmetric, biases too; with a -0, which must come back as one."""
    arrays = [rng.uniform(-0.6, 0.6, w.shape).astype(w.dtype) for w in layer.get_weights()]
    for array in arrays:
        array.flat[0] = -0.0
    layer.set_weights(arrays)
    return layer


def cell_options(kind, rng):
    options = {"units": int(rng.integers(1, 9)), "use_bias": coin(rng)}
    options["activation"] = one_of(rng, ACTIVATIONS)
    if kind != "SimpleRNN":
        options["recurrent_activation"] = one_of(rng, GATES)
    if kind == "LSTM":
        options["unit_forget_bias"] = coin(rng)
    if kind == "GRU":
        options["reset_after"] = coin(rng)
    return options


def layer_options(rng):
    names = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    return {name: coin(rng) for name in names}


def random_recurrent(rng, dtype, form=None, **fixed):
    """A layer, an RNN over a cell, or an RNN over a stack of different cells."""
    options = {**layer_options(rng), **fixed, "dtype": dtype}
    form = form or one_of(rng, ("layer", "cell", "stack"))
    if form == "layer":
        kind = one_of(rng, KINDS)
        return getattr(keras.layers, kind)(**cell_options(kind, rng), **options)
    cells = []
    for _ in range(1 if form == "cell" else int(rng.integers(2, 4))):
        kind = one_of(rng, KINDS)
        cells.append(getattr(keras.layers, f"{kind}Cell")(**cell_options(kind, rng), dtype=dtype))
    return keras.layers.RNN(cells[0] if form == "cell" else cells, **options)


def random_bidirectional(rng, dtype):
    """Both directions alike, or another layer backwards."""
    shared = {"return_sequences": coin(rng), "return_state": coin(rng)}
    merge_mode = one_of(rng, ("concat", "sum", "mul", "ave", None))
    if coin(rng):
        layer = random_recurrent(rng, dtype, go_backwards=False, **shared)
        return keras.layers.Bidirectional(layer, merge_mode=merge_mode, dtype=dtype)
    backwards = coin(rng)  # the "forward" layer may be the one that goes backwards
    layers = [
        random_recurrent(rng, dtype, "layer", go_backwards=go, **shared)
        for go in (backwards, not backwards)
    ]
    if merge_mode in ("sum", "mul", "ave"):
        layers[1].cell.units = layers[0].units
        config = {**layers[1].get_config(), "units": layers[0].units}
        layers[1] = type(layers[1]).from_config(config)
    return keras.layers.Bidirectional(
        layers[0], merge_mode=merge_mode, backward_layer=layers[1], dtype=dtype
    )


def built(layer, input_size, rng):
    layer.build((None, None, input_size))
    return draw_weights(layer, rng)


def random_mask(rng, batch, seq_len):
    """Holes anywhere; one row without any, one with nothing else."""
    mask = rng.random((batch, seq_len)) < 0.6
    mask[0], mask[-1] = True, False
    return mask


def arrays(value):
    """All arrays of an output, whatever it is, as NumPy's."""
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in arrays(part)]
    return [value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)]


def assert_same_output(ours, theirs, dtype):
    assert isinstance(ours, tuple) == isinstance(theirs, (list, tuple))
    ours, theirs = arrays(ours), arrays(theirs)
    assert len(ours) == len(theirs)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == wanted.dtype == dtype
        assert mine.shape == wanted.shape
        scale = max(1.0, np.abs(wanted).max(initial=0.0))
        assert np.abs(mine - wanted).max(initial=0.0) <= TOLERANCE[dtype] * scale


def assert_same_weights(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == wanted.dtype
        assert mine.shape == wanted.shape
        assert mine.tobytes() == wanted.tobytes()


def _leaves(layer):
    inner = getattr(layer, "layers", None) or [getattr(layer, "layer", None)]
    for own in inner:
        if own is not None:
            yield from _leaves(own)
    yield layer


def drawn(model, seed):
    """Random weights; what a variance is stays above 0."""
    rng = np.random.default_rng(seed)
    draw_weights(model, rng)
    for layer in _leaves(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.3, 2, layer.moving_variance.shape))
    return model


def compare(model, x, tmp_path=None):
    """What from_keras and the files make of a model, with its outputs and weights, and back."""
    ours = from_keras(model)
    expected = model(x)
    assert_same_output(ours(x), expected, "float64")
    assert_same_weights(ours.get_weights(), model.get_weights())
    back = to_keras(ours)
    assert_same_weights(back.get_weights(), model.get_weights())
    assert_same_output(ours(x), back(x), "float64")
    if tmp_path is not None:
        for name in ("m.keras", "m.h5"):
            model.save(tmp_path / name)
            read = load(tmp_path / name)
            assert_same_weights(read.get_weights(), model.get_weights())
            assert_same_output(read(x), expected, "float64")
            read.set_weights([2 * array for array in model.get_weights()])
            load_weights(read, tmp_path / name)
            assert_same_weights(read.get_weights(), model.get_weights())
    return ours
