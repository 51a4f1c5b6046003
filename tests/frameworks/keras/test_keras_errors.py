"""What is not known here is named; nothing is imported that is not needed."""

import sys

import numpy as np
import pytest

import gru_native
from gru_native.keras import from_keras, to_keras
from helpers import run_python
from keras_models import built, draw_weights, keras

DTYPES = ("float64", "float32")
L = keras.layers


class Own(L.LSTM):
    pass


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: L.LSTM(3, activation="gelu", name="a"), "layer 'a': activation is 'gelu'"),
        (
            lambda: L.GRU(3, recurrent_activation="mish", name="a"),
            "layer 'a': recurrent_activation is 'mish'",
        ),
        (
            lambda: L.SimpleRNN(3, dtype="mixed_float16", name="a"),
            "layer 'a': dtype is 'mixed_float16'",
        ),
        (lambda: L.Conv1DTranspose(3, 1, name="a"), "layer 'a' is a Conv1DTranspose; expected"),
        (lambda: L.Conv1D(3, 1, activation="mish", name="a"), "layer 'a': activation is 'mish'"),
        (lambda: L.LayerNormalization(rms_scaling=True, name="a"), "'a': rms_scaling is True"),
        (lambda: L.ReLU(max_value=2.0, name="a"), r"layer 'a': max_value is 2\.0; expected none"),
        (lambda: Own(3, name="a"), "layer 'a' is a Own, which is no class of Keras's own"),
        (
            lambda: L.Bidirectional(L.GRU(3, activation=keras.activations.mish), name="a"),
            "layer 'forward_gru.*': activation is 'mish'",
        ),
        (
            lambda: L.RNN([L.LSTMCell(3), Cell(3)], name="a"),
            "is a Cell, which is no class of Keras's own",
        ),
        (lambda: L.Dense(3, activation="sparsemax", name="a"), "activation is 'sparsemax'"),
    ],
)
def test_layers_that_are_not_known_are_named(layer, text):
    layer = layer()
    layer.build((None, None, 4))
    with pytest.raises(ValueError, match=text):
        from_keras(layer)


class Cell(L.LSTMCell):
    pass


def test_other_errors_name_the_argument():
    with pytest.raises(ValueError, match="layer 'a' has no weights yet"):
        from_keras(L.LSTM(3, name="a"))
    with pytest.raises(TypeError, match="layer is a list"):
        from_keras([1])
    with pytest.raises(TypeError, match="layer is a list"):
        to_keras([1])
    stateful = L.LSTM(3, stateful=True, name="a")
    stateful.build((2, None, 4))
    with pytest.raises(ValueError, match="layer 'a': stateful is True"):
        from_keras(stateful)

    rng = np.random.default_rng(31)
    layer = from_keras(built(L.LSTM(3), 4, rng))
    x = np.zeros((2, 5, 4))
    with pytest.raises(ValueError, match=r"x has shape \(5, 4\); expected \(batch, seq_len, input"):
        layer(x[0])
    with pytest.raises(TypeError, match="x has dtype float32; expected float64"):
        layer(x.astype(np.float32))
    with pytest.raises(ValueError, match="initial_state has 1 arrays; expected 2 for a LSTM"):
        layer(x, [np.zeros((2, 3), np.float64)])
    with pytest.raises(ValueError, match=r"mask has shape \(2, 4\)"):
        layer(x, mask=np.ones((2, 4), bool))
    model = from_keras(
        draw_weights(keras.Sequential([keras.Input((None, 4)), L.GRU(2, name="a")]), rng)
    )
    with pytest.raises(ValueError, match="layer 'a': x has shape"):
        model(x[..., :3])


def test_importing_it_imports_neither_keras_nor_h5py():
    code = (
        "import sys, gru_native; assert 'gru_native.keras' not in sys.modules\n"
        "import gru_native.keras; found = {'keras', 'h5py', 'torch'} & set(sys.modules)\n"
        "assert not found, found"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_without_keras_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install \"gru-native\[keras\]\""):
        to_keras(gru_native.LSTM(3, 4))
    with pytest.raises(TypeError, match="layer is an LSTM; expected a layer or a model of Keras"):
        from_keras(gru_native.LSTM(3, 4))
