"""Keras's files, read without Keras."""

import json

import numpy as np
import pytest

from gru_native.keras import from_keras, load, load_weights
from helpers import assert_same_bits, run_python
from keras_models import assert_same_output, assert_same_weights, draw_weights, keras
from lines import assert_all_or_nothing

h5py = pytest.importorskip("h5py")
from keras_saved import make_model  # noqa: E402

L = keras.layers


def test_a_keras_file(saved):
    folder, x, model = saved
    ours = load(folder / "model.keras")
    assert_same_weights(ours.get_weights(), model.get_weights())
    assert_same_bits(ours(x), from_keras(model)(x))
    assert_same_output(ours(x), model(x), "float64")


def test_a_weights_file_with_its_config(saved):
    folder, x, model = saved
    for config in (model.to_json(), json.loads(model.to_json())):
        ours = load(folder / "model.weights.h5", config)
        assert_same_weights(ours.get_weights(), model.get_weights())
        assert_same_bits(ours(x), from_keras(model)(x))


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_load_weights_into_a_model(saved, name):
    folder, x, model = saved
    ours = from_keras(draw_weights(make_model(), np.random.default_rng(42)))
    assert abs(ours(x) - from_keras(model)(x)).max() > 1e-3
    load_weights(ours, folder / name)
    assert_same_bits(ours(x), from_keras(model)(x))


def test_float32(tmp_path):
    model = keras.Sequential([keras.Input((None, 3), dtype="float32"), L.GRU(4, dtype="float32")])
    model.save(tmp_path / "m.keras")
    ours = load(tmp_path / "m.keras")
    assert ours.layers[0].layer.dtype == np.float32
    assert_same_weights(ours.get_weights(), model.get_weights())


def test_a_functional_model(tmp_path):
    start = keras.Input((None, 4))
    h = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Masking()(start))
    model = keras.Model(start, L.Dense(2)(L.LSTM(3)(h)))
    draw_weights(model, np.random.default_rng(43)).save(tmp_path / "m.keras")
    x = np.random.default_rng(44).standard_normal((3, 5, 4))
    x[0, 1:3] = 0
    assert_same_output(load(tmp_path / "m.keras")(x), model(x), "float64")


def test_neither_keras_nor_torch_is_needed(saved):
    folder, _, _ = saved
    code = (
        "import sys; sys.modules.update(keras=None, torch=None, tensorflow=None, jax=None)\n"
        "import numpy as np; from gru_native.keras import load\n"
        "folder = sys.argv[1]; y = load(folder + '/model.keras')(np.load(folder + '/x.npy'))\n"
        "assert y.tobytes() == np.load(folder + '/y.npy').tobytes()\n"
    )
    done = run_python(code, folder)
    assert done.returncode == 0, done.stderr


def test_without_h5py_it_says_how_to_install_it(saved, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install \"gru-native\[keras\]\""):
        load(saved[0] / "model.keras")


def test_arguments_are_checked(saved, tmp_path):
    folder, _, model = saved
    with pytest.raises(ValueError, match=r"model\.weights\.h5: has weights only; expected config="):
        load(folder / "model.weights.h5")
    with pytest.raises(ValueError, match=r"model\.keras: has a config of its own"):
        load(folder / "model.keras", model.to_json())
    with pytest.raises(TypeError, match="config is an int"):
        load(folder / "model.weights.h5", 3)
    with pytest.raises(TypeError, match="model is a Sequential"):
        load_weights(model, folder / "model.keras")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.keras")
    (tmp_path / "text.keras").write_text("no such thing")
    with pytest.raises(ValueError, match=r"text\.keras: is neither a \.keras file nor"):
        load(tmp_path / "text.keras")


def test_weights_are_set_as_a_whole():
    """Of all layers, whatever line a signal comes at; also where an embedding is among them."""
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            L.Embedding(5, 3),
            L.Bidirectional(L.GRU(2, return_sequences=True)),
            L.LSTM(2),
            L.Dense(2),
        ]
    )
    ours = from_keras(model)
    before = ours.get_weights()
    after = [2 * w + 1 for w in before]
    assert_all_or_nothing(
        lambda: ours.set_weights(after),
        lambda: dict(enumerate(ours.get_weights())),
        lambda: ours.set_weights(before),
        dict(enumerate(before)),
    )
