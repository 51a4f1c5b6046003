"""Calls that handle weights as a whole, of so many MB: edits, files, copies."""

import tempfile
from pathlib import Path

import numpy as np

import gru_native
from gru_native import optim
from long_calls import numbers

# Functions make(size): a call that does it once.


def _lstm(size):
    n = int((size * 1e6 / 32) ** 0.5)
    return gru_native.LSTM(n, n, seed=1)


def edit(size):
    layer = _lstm(size)

    def call():
        before = layer.weights["weight_hh_l0"][0, 0]
        done = False
        try:
            with layer.editing() as w:
                for weight in w.values():
                    weight[0] += 1
            done = True
        finally:
            assert layer.weights["weight_hh_l0"][0, 0] in (before, before + 1)
            assert not done or layer.weights["weight_hh_l0"][0, 0] == before + 1

    return call


def load_state_dict(size):
    layer = _lstm(size)
    state = layer.state_dict()
    return lambda: layer.load_state_dict(state)


def torch_load(size):
    layer, other = _lstm(size), _lstm(size)
    each = [layer.state_dict(), {k: v + 1 for k, v in other.state_dict().items()}]

    def call():
        each.reverse()
        layer._core.load(list(each[0].values()))

    return call


def first_backward(size):
    layer = _lstm(size)
    x = numbers(1, 1, layer.input_size)

    def call():
        with layer.editing() as w:
            w["bias_ih_l0"][0] += 1
        y, _, tape = layer.forward(x)
        layer.backward(tape, y)

    return call


def optimizer(size):
    layer = _lstm(size / 3)
    step = optim.Adam(layer, lr=1e-3)
    gradients = {name: np.ones_like(w) for name, w in layer.weights.items()}
    return lambda: step.step(gradients)


def quantize(precision):
    def make(size):
        layer = _lstm(size)
        return lambda: layer.quantize(precision)

    return make


def save(size):
    layer, folder = _lstm(size), tempfile.TemporaryDirectory()

    def call():
        gru_native.save(layer, Path(folder.name, "model"))

    return call


def load(size):
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "model")
    gru_native.save(_lstm(size), path)

    def call():
        assert folder
        gru_native.load(path)

    return call


def compare(size):
    layer = _lstm(size / 2)
    fast, x = layer.quantize("int8"), numbers(20, 1, layer.input_size)
    return lambda: gru_native.compare(layer, fast, x)


OF_WEIGHTS = {
    "making": lambda size: lambda: _lstm(size),
    "edit": edit,
    "load_state_dict": load_state_dict,
    "state_dict": lambda size: _lstm(size).state_dict,
    "torch_load": torch_load,
    "first_backward": first_backward,
    "optimizer": optimizer,
    "quantize_int8": quantize("int8"),
    "quantize_bf16": quantize("bf16"),
    "save": save,
    "load": load,
    "compare": compare,
}
