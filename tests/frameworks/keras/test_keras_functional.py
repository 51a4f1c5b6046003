"""Functional models that branch, and the layers around the recurrent ones."""

import numpy as np
import pytest

import gru_native
from gru_native.keras import Functional, from_keras
from helpers import assert_same_bits
from keras_models import assert_same_output, compare, drawn, keras

L = keras.layers


def conv_options(rng):
    strides = int(rng.integers(1, 4))
    return {
        "kernel_size": int(rng.integers(1, 5)),
        "strides": strides,
        "dilation_rate": 1 if strides > 1 else int(rng.integers(1, 4)),
        "groups": int(rng.choice([1, 2])),
        "padding": str(rng.choice(["valid", "same", "causal"])),
        "use_bias": bool(rng.integers(2)),
        "activation": str(rng.choice(["linear", "relu", "silu", "elu", "hard_sigmoid"])),
    }


@pytest.mark.parametrize("seed", range(12))
def test_layers_over_time(seed, tmp_path):
    rng = np.random.default_rng([41, seed])
    pool = (L.MaxPooling1D, L.AveragePooling1D)[seed % 2]
    last = (L.GlobalMaxPooling1D(), L.GlobalAveragePooling1D(), L.GRU(3))[seed % 3]
    norm = {"scale": seed % 4 != 1, "center": seed % 4 != 2}
    layers = [
        L.Conv1D(6, **conv_options(rng)),
        L.BatchNormalization(epsilon=0.02, **norm),
        (L.LeakyReLU(0.07), L.ELU(0.6), L.ReLU(), L.Softmax())[seed % 4],
        pool(int(rng.integers(1, 4)), int(rng.integers(1, 3)), ("same", "valid")[seed // 2 % 2]),
        L.LSTM(5, return_sequences=True),
        L.LayerNormalization(epsilon=0.01, **norm),
        last,
        L.RepeatVector(3),
        L.TimeDistributed(L.Dense(2)),
    ]
    model = drawn(keras.Sequential([keras.Input((19, 4)), *layers]), seed)
    compare(model, rng.standard_normal((3, 19, 4)), tmp_path if seed < 4 else None)


@pytest.mark.parametrize("padding", [2, (3, 0), (0, 1)])
def test_zeros_around_steps(padding, tmp_path):
    model = keras.Sequential(
        [keras.Input((7, 4)), L.ZeroPadding1D(padding), L.Conv1D(3, 2), L.GRU(5)]
    )
    ours = compare(drawn(model, 5), np.random.default_rng(6).standard_normal((2, 7, 4)), tmp_path)
    before, behind = (padding, padding) if isinstance(padding, int) else padding
    assert ours.layers[0](np.ones((1, 7, 4))).shape == (1, 7 + before + behind, 4)
    with pytest.raises(ValueError, match=r"x has shape \(7, 4\)"):
        ours.layers[0](np.ones((7, 4)))
    with pytest.raises(ValueError, match=r"\(ZeroPadding1D\) cannot be part of a Chain"):
        ours.chain()


def residual_model():
    x = keras.Input((None, 5))
    h = L.Conv1D(5, 3, padding="causal", activation="tanh")(x)
    h = L.Add()([x, h])
    left = L.BatchNormalization()(L.GRU(4, return_sequences=True)(h))
    right = L.Activation("softplus")(L.Dense(3)(h))
    h = L.Concatenate()([right, left, h])
    h = L.Multiply()([L.Dense(6, activation="sigmoid")(h), L.Dense(6)(h)])
    h = L.Average()([L.LayerNormalization()(h), L.LSTM(6, return_sequences=True)(h), h])
    return drawn(keras.Model(x, L.Dense(2, activation="softmax")(h)), 42)


def test_branches_that_join_are_a_chain_that_streams(tmp_path):
    model = residual_model()
    x = np.random.default_rng(43).standard_normal((1, 9, 5))
    ours = compare(model, x, tmp_path)
    assert isinstance(ours, Functional)
    chain = ours.chain()
    assert_same_output(chain(x)[0], model(x), "float64")
    gru_native.save(chain, tmp_path / "m.safetensors")
    stream = gru_native.load(tmp_path / "m.safetensors").stream()
    assert_same_bits(np.stack([stream(x[0, t]) for t in range(9)]), chain(x)[0][0])


def test_last_steps_and_pools_join_in_a_chain():
    ids = keras.Input((None,), dtype="int32")
    h = L.Embedding(11, 6)(ids)
    ends = [L.GRU(4)(h), L.GlobalMaxPooling1D()(h), L.GlobalAveragePooling1D()(L.Conv1D(3, 2)(h))]
    model = drawn(keras.Model(ids, L.Dense(3)(L.Concatenate()(ends))), 44)
    x = np.random.default_rng(45).integers(0, 11, (4, 8))
    chain = compare(model, x).chain()
    assert_same_output(chain(x)[0], model(x), "float64")


def test_an_encoder_and_a_decoder_with_its_states(tmp_path):
    source, target = keras.Input((None, 3), name="source"), keras.Input((None, 2), name="target")
    _, h, c = L.LSTM(5, return_state=True)(source)
    y = L.LSTM(5, return_sequences=True)(target, initial_state=[h, c])
    y, last = L.GRU(5, return_sequences=True, return_state=True)(y, initial_state=h)
    model = drawn(keras.Model([source, target], [L.Dense(4)(y), last]), 46)
    rng = np.random.default_rng(47)
    x = [rng.standard_normal((3, 6, 3)), rng.standard_normal((3, 4, 2))]
    ours = compare(model, x, tmp_path)
    with pytest.raises(ValueError, match="2 inputs and 2 outputs; a Chain has one of each"):
        ours.chain()
    with pytest.raises(ValueError, match="x is ndarray; expected a list of 2 inputs"):
        ours(x[0])


def test_a_layer_that_is_called_twice():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    shared = L.GRU(4, name="shared")
    model = drawn(keras.Model([a, b], L.Subtract()([shared(a), shared(b)])), 48)
    rng = np.random.default_rng(49)
    compare(model, [rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 7, 3))])
    both = keras.Model(a, L.Add()([shared(a), shared(shared(L.Dense(3)(a))[:, None, :3])]))
    with pytest.raises(ValueError, match="is a GetItem"):
        from_keras(both)


def test_masks_go_through_branches(tmp_path):
    ids = keras.Input((None,), dtype="int32")
    e = L.Embedding(9, 4, mask_zero=True)(ids)
    h = L.Add()([e, L.Dense(4)(e)])
    h = L.Concatenate()([L.LSTM(3, return_sequences=True)(h), e])
    pooled = L.GlobalAveragePooling1D()(h)
    model = drawn(keras.Model(ids, L.Concatenate()([pooled, L.Bidirectional(L.GRU(2))(h)])), 50)
    x = np.random.default_rng(51).integers(1, 9, (4, 7))
    x[0, 3:] = x[1, 2:4] = 0
    compare(model, x, tmp_path)
    with pytest.raises(ValueError, match="has mask_zero, which a Chain cannot have"):
        from_keras(model).chain()
    mixed = keras.Model(ids, L.Concatenate()([e, L.Conv1D(2, 1)(e)]))
    with pytest.raises(ValueError, match="joins inputs with several masks"):
        from_keras(mixed)(x)


def test_paths_that_no_chain_has_are_named():
    x = keras.Input((None, 3))
    a, b = L.Dense(3, name="a")(x), L.Dense(3, name="b")(x)
    crossed = L.Add(name="c")([a, b])
    model = drawn(keras.Model(x, L.Multiply()([L.Add()([a, crossed]), b])), 52)
    with pytest.raises(ValueError, match=r"layer '[ab]' is read by branches that do not join"):
        compare(model, np.random.default_rng(53).standard_normal((2, 4, 3))).chain()
    for layer, text in (
        (L.Maximum(name="m"), r"layer 'm' \(Maximum\) cannot be part of a Chain"),
        (L.Subtract(name="m"), r"layer 'm' \(Subtract\) cannot be part of a Chain"),
    ):
        with pytest.raises(ValueError, match=text):
            from_keras(keras.Model(x, layer([a, b]))).chain()
    last = keras.Model(
        x, L.Conv1D(2, 3, strides=2, padding="same", name="s")(L.GRU(4, return_sequences=True)(a))
    )
    with pytest.raises(ValueError, match="layer 's' has padding='same' with strides"):
        from_keras(last).chain()
