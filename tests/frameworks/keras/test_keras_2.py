"""Files of Keras 2, against its equations written out, and those that Keras 3 writes so."""

import numpy as np
import pytest

from gru_native.keras import from_keras, load, load_weights, to_keras
from helpers import assert_same_bits
from keras_models import assert_same_output, assert_same_weights, draw_weights, keras

h5py = pytest.importorskip("h5py")
import keras_2  # noqa: E402
from keras_2 import hard_sigmoid, layer, sigmoid  # noqa: E402
from keras_saved import make_model  # noqa: E402

RNG = np.random.default_rng(71)


def draw(*shape):
    return RNG.uniform(-0.9, 0.9, shape)


def weights_of(prefix, input_size, columns, units, bias):
    return {
        f"{prefix}/kernel:0": draw(input_size, columns),
        f"{prefix}/recurrent_kernel:0": draw(units, columns),
        f"{prefix}/bias:0": draw(*bias),
    }


def close(ours, expected):
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-12


def cudnn_model():
    """As Keras 2.2.2 has it: the layers are the configuration, and no layer is an input."""
    common = {"dtype": "float64"}
    inner = layer("CuDNNGRU", "cu_dnngru_1", units=4, return_sequences=True, **common)
    config = {
        "class_name": "Sequential",
        "config": [
            layer(
                "Embedding",
                "embedding_1",
                batch_input_shape=[None, None],
                input_dim=9,
                output_dim=3,
                mask_zero=False,
                input_length=None,
                **common,
            ),
            layer("Bidirectional", "bidirectional_1", layer=inner, merge_mode="concat", **common),
            layer("CuDNNLSTM", "cu_dnnlstm_1", units=5, return_sequences=False, **common),
            layer("Dropout", "dropout_1", rate=0.5, noise_shape=None, seed=None, **common),
            layer("Dense", "dense_1", units=2, activation="softmax", use_bias=True, **common),
        ],
        "keras_version": "2.2.2",
        "backend": "tensorflow",
    }
    layers = [
        ("embedding_1", {"embedding_1/embeddings:0": draw(9, 3)}),
        (
            "bidirectional_1",
            weights_of("bidirectional_1/forward_cu_dnngru_1", 3, 12, 4, (24,))
            | weights_of("bidirectional_1/backward_cu_dnngru_1", 3, 12, 4, (24,)),
        ),
        ("cu_dnnlstm_1", weights_of("cu_dnnlstm_1", 8, 20, 5, (40,))),
        ("dropout_1", {}),
        ("dense_1", {"dense_1/kernel:0": draw(5, 2), "dense_1/bias:0": draw(2)}),
    ]
    (_, table), (_, both), (_, lstm), _, (_, dense) = layers
    x = RNG.integers(0, 9, (3, 6))
    h = table["embedding_1/embeddings:0"][x]
    arrays = list(both.values())
    forward = keras_2.cudnn_gru(h, *arrays[:3])
    backward = keras_2.cudnn_gru(h[:, ::-1], *arrays[3:])[:, ::-1]
    last = keras_2.cudnn_lstm(np.concatenate([forward, backward], -1), *lstm.values())[:, -1]
    e = np.exp(last @ dense["dense_1/kernel:0"] + dense["dense_1/bias:0"])
    return config, layers, x, e / e.sum(-1, keepdims=True)


def test_cudnn_layers(tmp_path):
    config, layers, x, y = cudnn_model()
    keras_2.write(tmp_path / "model.h5", "2.2.2", layers, config)
    model = load(tmp_path / "model.h5")
    close(model(x), y)
    close(keras.ops.convert_to_numpy(to_keras(model)(x)), y)  # as an LSTM and a GRU of Keras 3

    keras_2.write(tmp_path / "weights.h5", "2.2.2", layers)
    close(load(tmp_path / "weights.h5", config)(x), y)
    model.set_weights([2 * array for array in model.get_weights()])
    assert np.abs(model(x) - y).max() > 1e-3
    load_weights(model, tmp_path / "weights.h5")
    close(model(x), y)


@pytest.mark.parametrize("version", ["2.1.6", "2.3.0-tf"])
def test_a_functional_model_with_hard_gates(version, tmp_path):
    """Keras 2's hard_sigmoid, its defaults, the names of TensorFlow, states in the inputs."""
    lstm = {"units": 4, "recurrent_activation": "hard_sigmoid", "dtype": "float64"}
    entries = [
        layer("InputLayer", "input_1", [], batch_input_shape=[None, None, 3], dtype="float64"),
        layer("InputLayer", "input_2", [], batch_input_shape=[None, None, 2], dtype="float64"),
        layer("LSTM", "lstm_1", [("input_1", 0, 0)], return_state=True, **lstm),
        layer(
            "LSTM",
            "lstm_2",
            [("input_2", 0, 0), ("lstm_1", 0, 1), ("lstm_1", 0, 2)],
            return_sequences=True,
            **lstm,
        ),
        # Neither reset_after nor recurrent_activation: files of 2.0 have none.
        layer("GRU", "gru_1", [("lstm_2", 0, 0)], units=3, return_sequences=True, dtype="float64"),
        layer("Concatenate", "joined", [("lstm_2", 0, 0), ("gru_1", 0, 0)], axis=-1),
        layer("Activation", "end", [("joined", 0, 0)], activation="hard_sigmoid", dtype="float64"),
    ]
    ends = {
        "input_layers": [["input_1", 0, 0], ["input_2", 0, 0]],
        "output_layers": [["end", 0, 0]],
    }
    config = {"class_name": "Model", "config": {"name": "model_1", "layers": entries, **ends}}
    layers = [
        ("lstm_1", weights_of("lstm_1/lstm_cell_4", 3, 16, 4, (16,))),
        ("lstm_2", weights_of("lstm_2/lstm_cell_5", 2, 16, 4, (16,))),
        ("gru_1", weights_of("gru_1", 4, 9, 3, (9,))),
    ]
    keras_2.write(tmp_path / "model.h5", version, layers, config)
    x, target = draw(3, 6, 3) * 3, draw(3, 5, 2) * 3
    (_, first), (_, second), (_, gru) = layers
    _, h, c = keras_2.plain_lstm(x, *first.values(), hard_sigmoid)
    y, _, _ = keras_2.plain_lstm(target, *second.values(), hard_sigmoid, (h, c))
    y = np.concatenate([y, keras_2.plain_gru(y, *gru.values(), hard_sigmoid)], -1)
    model = load(tmp_path / "model.h5")
    close(model([x, target]), hard_sigmoid(y))
    with pytest.raises(ValueError, match="hard_sigmoid of Keras 2, which Keras 3 does not have"):
        to_keras(model)


@pytest.mark.parametrize("merge_mode", ["concat", "sum"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_time_major(merge_mode, bidirectional, tmp_path):
    options = {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid"}
    options |= {"return_sequences": True, "time_major": True, "dtype": "float64"}
    entry, name = layer("LSTM", "lstm", **options), "lstm"
    weights = weights_of("lstm/lstm_cell", 3, 16, 4, (16,))
    if bidirectional:
        name = "both"
        entry = layer("Bidirectional", "both", layer=entry, merge_mode=merge_mode)
        weights |= weights_of("both/backward_lstm/lstm_cell", 3, 16, 4, (16,))
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [entry]}}
    keras_2.write(tmp_path / "m.h5", "2.15.0", [(name, weights)], config)
    x = draw(2, 5, 3)
    arrays = list(weights.values())
    y = keras_2.plain_lstm(x, *arrays[:3], sigmoid)[0]
    if bidirectional:
        back = keras_2.plain_lstm(x[:, ::-1], *arrays[3:], sigmoid)[0][:, ::-1]
        y = np.concatenate([y, back], -1) if merge_mode == "concat" else y + back
    model = load(tmp_path / "m.h5")
    close(model(x.swapaxes(0, 1)), y.swapaxes(0, 1))
    with pytest.raises(ValueError, match="has time_major"):
        model.chain()
    with pytest.raises(ValueError, match="has time_major, which Keras 3 does not have"):
        to_keras(model)


@pytest.mark.parametrize("whole", [True, False])
def test_what_keras_3_writes_in_this_format(whole, tmp_path):
    model = draw_weights(make_model(), np.random.default_rng(72))
    x = np.random.default_rng(73).standard_normal((3, 6, 5))
    if whole:
        model.save(tmp_path / "m.h5")
        ours = load(tmp_path / "m.h5")
    else:
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(tmp_path / "w.h5", "w") as file:
            save_weights_to_hdf5_group(file, model)
        ours = load(tmp_path / "w.h5", model.to_json())
    assert_same_weights(ours.get_weights(), model.get_weights())
    assert_same_output(ours(x), model(x), "float64")
    assert_same_bits(ours(x), from_keras(model)(x))


def test_a_keras_file_of_keras_2(tmp_path):
    """Its metadata say what wrote it, and so which hard_sigmoid its layers have."""
    import json
    import zipfile

    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.LSTM(4, recurrent_activation="hard_sigmoid")]
    )
    draw_weights(model, np.random.default_rng(74)).save(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as old,
        zipfile.ZipFile(tmp_path / "n.keras", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "keras_version": "2.15.0"}).encode()
            new.writestr(name, data)
    x = draw(2, 5, 3) * 3
    weights = model.get_weights()
    close(load(tmp_path / "n.keras")(x), keras_2.plain_lstm(x, *weights, hard_sigmoid)[1])
    close(load(tmp_path / "m.keras")(x), keras.ops.convert_to_numpy(model(x)))


def change_names(file):
    file["model_weights/dense_1"].attrs["weight_names"] = [b"dense_1/bias:0", b"dense_1/kernel:0"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (change_names, "tensor model_weights/dense_1/dense_1/bias:0 stands where kernel of"),
        (lambda f: f["model_weights"].attrs.update(layer_names=[b"dense_1"]), "stands where"),
        (lambda f: f["model_weights"].attrs.update(layer_names=[b"x"]), "x .group. is missing"),
        (lambda f: f["model_weights"].attrs.pop("layer_names"), "end before layers/embedding"),
        (lambda f: f["model_weights/dense_1"].attrs.update(weight_names=3), "3 .3. is missing"),
        (lambda f: f.attrs.pop("model_config"), "has weights only; expected config="),
        (lambda f: f.attrs.update(keras_version=b"1.2.2"), r"is of Keras 1\.2\.2; expected 2 or 3"),
        (
            lambda f: f["model_weights/embedding_1"].attrs.update(
                weight_names=[b"embedding_1/embeddings:0"] * 2
            ),
            "stands where kernel",
        ),
        (
            lambda f: f["model_weights/dense_1"].attrs.update(
                weight_names=[b"dense_1/kernel:0", b"dense_1/bias:0", b"dense_1/bias:0"]
            ),
            "is one of 1 more than the model has",
        ),
    ],
)
def test_wrong_files_are_named(change, text, tmp_path):
    config, layers, _, _ = cudnn_model()
    keras_2.write(tmp_path / "m.h5", "2.2.2", layers, config)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"m\.h5: .*{text}"):
        load(tmp_path / "m.h5")
