"""Models within models, and layers at each step, against Keras."""

import json

import numpy as np
import pytest

from gru_native.keras import TimeDistributed, from_keras, load, load_weights
from helpers import assert_same_bits
from keras_models import assert_same_output, compare, drawn, keras

h5py = pytest.importorskip("h5py")
import keras_2  # noqa: E402
from keras_2 import layer  # noqa: E402

L = keras.layers


def head(name):
    """A functional model with a branch and a normalisation."""
    x = keras.Input((None, 6))
    h = L.BatchNormalization()(L.Dense(6, activation="relu")(x))
    return keras.Model(x, L.Add()([x, L.Dense(6)(h)]), name=name)


def deep_model():
    inner = keras.Sequential(
        [keras.Input((None, 4)), L.Conv1D(6, 3, padding="causal"), L.BatchNormalization()],
        name="inner",
    )
    middle = keras.Sequential([keras.Input((None, 4)), inner, head("first"), L.Dropout(0.1)])
    x = keras.Input((None, 4))
    h = L.LSTM(6, return_sequences=True)(middle(x))
    return keras.Model(x, L.Dense(2, activation="softmax")(head("second")(h)))


def test_models_within_models(tmp_path):
    model = drawn(deep_model(), 81)
    x = np.random.default_rng(82).standard_normal((3, 9, 4))
    chain = compare(model, x, tmp_path).chain()
    assert_same_output(chain(x)[0], model(x), "float64")
    stream = chain.stream(3)
    steps = [stream(np.ascontiguousarray(x[:, t])) for t in range(9)]
    assert_same_bits(np.stack(steps, 1), chain(x)[0])


def test_a_sequential_of_models_gives_outputs_at_each_step():
    last = keras.Sequential([keras.Input((None, 4)), L.GRU(5, return_sequences=True), L.LSTM(3)])
    model = keras.Sequential([keras.Input((None, 4)), last, L.Dense(2)])
    x = np.random.default_rng(83).standard_normal((2, 6, 4))
    y = compare(drawn(model, 84), x).chain()(x)[0]
    assert_same_output(np.ascontiguousarray(y[:, -1]), model(x), "float64")
    x_in = keras.Input((None, 4))
    both = keras.Model(x_in, L.Concatenate()([last(x_in), L.GlobalMaxPooling1D()(x_in)]))
    assert_same_output(compare(drawn(both, 85), x).chain()(x)[0], both(x), "float64")


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("ends", ["last", "first and a layer", "first and second", "added"])
def test_models_that_end_with_a_model(functional, ends, tmp_path):
    """Keras counts the calls of outputs from 1 where they are a functional model's."""
    a, x_in = keras.Input((None, 3)), keras.Input((None, 3))
    dense = L.Dense(3, activation="tanh")
    inner = keras.Model(a, dense(a)) if functional else keras.Sequential([a, dense])
    first = inner(x_in)
    second = inner(L.Dense(3)(x_in) if ends == "added" else first)
    outputs = {
        "last": second,
        "first and a layer": [first, L.ReLU()(second)],
        "first and second": [first, second],
        "added": L.Add()([first, second]),
    }[ends]
    model = drawn(keras.Model(x_in, outputs), 87)
    x = np.random.default_rng(88).standard_normal((2, 5, 3))
    model.save(tmp_path / "m.keras")
    for ours in (from_keras(model), load(tmp_path / "m.keras")):
        assert_same_output(ours(x), model(x), "float64")


def test_a_model_that_is_called_twice_and_one_of_several_inputs(tmp_path):
    shared = keras.Sequential([keras.Input((None, 3)), L.BatchNormalization(), L.GRU(4)])
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    two = keras.Model([a, b], [L.Subtract()([shared(a), shared(b)]), shared(b)], name="two")
    c, d = keras.Input((None, 3)), keras.Input((None, 3))
    difference, second = two([d, c])
    model = drawn(keras.Model([c, d], L.Concatenate()([difference, second, L.LSTM(2)(c)])), 86)
    rng = np.random.default_rng(87)
    x = [rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 7, 3))]
    ours = from_keras(model)
    assert_same_output(ours(x), model(x), "float64")
    model.save(tmp_path / "m.keras")
    assert_same_output(load(tmp_path / "m.keras")(x), model(x), "float64")


def frames():
    return keras.Sequential(
        [
            keras.Input((7, 6, 2)),
            L.Conv2D(3, 3, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Flatten(),
        ]
    )


def test_convolutions_at_each_step(tmp_path):
    """Frames of a video, and then recurrent layers."""
    first = L.TimeDistributed(frames())
    model = keras.Sequential([keras.Input((5, 7, 6, 2)), first, L.GRU(4, return_sequences=True)])
    x = np.random.default_rng(88).standard_normal((2, 5, 7, 6, 2))
    ours = compare(drawn(model, 89), x, tmp_path)
    assert isinstance(ours.layers[0], TimeDistributed)
    with pytest.raises(
        ValueError, match=r"layer 'time_distributed.*' \(TimeDistributed\) has 'seq"
    ):
        ours.chain()


def each_step():
    x = keras.Input((6,))
    h = L.LayerNormalization()(L.Dense(6, activation="tanh")(x))
    return keras.Model(x, L.Dense(3)(L.Multiply()([x, h])))


def test_a_model_at_each_step_is_part_of_a_chain(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            L.GRU(6, return_sequences=True),
            L.TimeDistributed(each_step()),
            L.TimeDistributed(L.BatchNormalization()),
            L.TimeDistributed(L.Activation("softplus")),
            L.TimeDistributed(keras.Sequential([keras.Input((3,)), L.Dense(5), L.ReLU()])),
            L.LSTM(2, return_sequences=True),
        ]
    )
    x = np.random.default_rng(90).standard_normal((2, 6, 4))
    chain = compare(drawn(model, 91), x, tmp_path).chain()
    assert_same_output(chain(x)[0], model(x), "float64")


def test_masks_at_each_step():
    inner = L.TimeDistributed(L.LayerNormalization())
    model = keras.Sequential([keras.Input((None, 4)), L.Masking(), inner, L.GRU(3)])
    x = np.random.default_rng(92).standard_normal((3, 6, 4))
    x[0, 4:] = x[1, :2] = 0
    ours = from_keras(drawn(model, 93))
    assert_same_output(ours(x), model(x), "float64")
    steps = keras.Sequential([keras.Input((None, 2, 4)), L.TimeDistributed(L.GRU(3), name="t")])
    with pytest.raises(ValueError, match="layer 't': has a mask, and so has layer 'gru"):
        from_keras(drawn(steps, 94))(np.zeros((2, 3, 2, 4)), mask=np.ones((2, 3), bool))


@pytest.mark.parametrize("first", [0, 1])
def test_a_nested_model_of_keras_2(first, tmp_path):
    """Its group has all that is trained, and then all statistics; its calls begin at 0 or at 1."""
    rng = np.random.default_rng(95)
    double = {"dtype": "float64"}
    conv = layer(
        "Conv2D",
        "conv",
        filters=3,
        kernel_size=[2, 3],
        strides=[1, 1],
        padding="valid",
        data_format="channels_last",
        dilation_rate=[1, 1],
        activation="hard_sigmoid",
        batch_input_shape=[None, 5, 6, 2],
        **double,
    )
    options = {"axis": [3], "epsilon": 0.01, **double}
    norms = [layer("BatchNormalization", f"bn{i}", **options) for i in (0, 1)]
    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [conv, norms[0], norms[1]]},
        "name": "inner",
        "inbound_nodes": [[["x", 0, 0, {}]]],
    }
    entries = [
        layer("InputLayer", "x", [], batch_input_shape=[None, 5, 6, 2], **double),
        inner,
        layer("Reshape", "steps", [("inner", first, 0)], target_shape=[4, 12], **double),
        layer("Dense", "out", [("steps", 0, 0)], units=2, activation="linear", **double),
    ]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["out", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "m", "layers": entries, **ends}}
    draw = lambda *shape: rng.uniform(0.2, 1, shape)  # noqa: E731
    trained = {"conv/kernel:0": draw(2, 3, 2, 3), "conv/bias:0": draw(3)}
    statistics = {}
    for bn in ("bn0", "bn1"):
        trained |= {f"{bn}/gamma:0": draw(3), f"{bn}/beta:0": draw(3)}
        statistics |= {f"{bn}/moving_mean:0": draw(3), f"{bn}/moving_variance:0": draw(3)}
    out = {"out/kernel:0": draw(12, 2), "out/bias:0": draw(2)}
    layers = [("inner", trained | statistics), ("steps", {}), ("out", out)]
    keras_2.write(tmp_path / "m.h5", "2.4.0", layers, config)
    x = rng.standard_normal((2, 5, 6, 2))
    h = np.zeros((2, 4, 4, 3)) + trained["conv/bias:0"]
    for i in range(2):
        for j in range(3):
            h += x[:, i : i + 4, j : j + 4] @ trained["conv/kernel:0"][i, j]
    h = keras_2.hard_sigmoid(h)
    for bn in ("bn0", "bn1"):
        mean, variance = (statistics[f"{bn}/moving_{s}:0"] for s in ("mean", "variance"))
        h = (h - mean) / np.sqrt(variance + 0.01) * trained[f"{bn}/gamma:0"]
        h = h + trained[f"{bn}/beta:0"]
    expected = h.reshape(2, 4, 12) @ out["out/kernel:0"] + out["out/bias:0"]
    model = load(tmp_path / "m.h5")
    assert np.abs(model(x) - expected).max() < 1e-12
    chain = model.chain()
    y = chain(x.transpose(0, 3, 2, 1))[0]  # the steps come from the first side
    assert np.abs(y - expected).max() < 1e-12


def test_models_that_are_too_deep_are_named(tmp_path):
    config = json.loads(keras.Sequential([keras.Input((3,)), L.Dense(2)]).to_json())
    for _ in range(60):
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [config]}}
    with h5py.File(tmp_path / "w.weights.h5", "w"):
        pass
    with pytest.raises(ValueError, match="is nested too deeply"):
        load(tmp_path / "w.weights.h5", config)


@pytest.mark.parametrize("frozen", [[], [0], [0, 1]])
def test_frozen_layers_of_a_nested_model(frozen, tmp_path):
    """In .h5 those of a model come behind the others; their shapes do not show it."""
    layers = [L.Dense(3), L.Dense(3)]
    inner = keras.Sequential([keras.Input((None, 3)), *layers])
    model = drawn(keras.Sequential([keras.Input((None, 3)), inner, L.Dense(3)]), 96)
    for i in frozen:
        layers[i].trainable = False
    x = np.random.default_rng(97).standard_normal((2, 4, 3))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    ours = load(tmp_path / "m.keras")
    assert_same_output(ours(x), model(x), "float64")
    if len(frozen) == 1:
        for read in (load, lambda path: load_weights(ours, path)):
            with pytest.raises(ValueError, match=r"m\.h5: layer 'dense.*' is not trainable, but"):
                read(tmp_path / "m.h5")
    else:
        assert_same_output(load(tmp_path / "m.h5")(x), model(x), "float64")
