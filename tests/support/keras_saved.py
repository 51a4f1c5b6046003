"""A model of every class of layer in Keras's two kinds of files."""

import numpy as np

from gru_native.keras import from_keras
from keras_models import draw_weights, keras

L = keras.layers
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def make_model():
    """Every class of layer, most of them twice, so that the numbers of the groups count."""
    return keras.Sequential(
        [
            keras.Input((None, 5)),
            L.Masking(0.5, name="first"),
            L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="mul", name="both"),
            L.RNN([L.GRUCell(4), L.LSTMCell(2), L.GRUCell(3)], return_sequences=True),
            L.RNN(L.SimpleRNNCell(4), return_sequences=True, name="plain"),
            L.LSTM(3, return_sequences=True, go_backwards=True, name="first_lstm"),
            L.TimeDistributed(L.Dense(4, activation="relu")),
            L.Dropout(0.3),
            L.GRU(4, return_sequences=True, reset_after=False),
            L.LSTM(3, return_sequences=True, use_bias=False, name="second_lstm"),
            L.Bidirectional(
                L.GRU(2), backward_layer=L.LSTM(2, go_backwards=True), merge_mode="sum"
            ),
            L.Dense(3, activation="softmax"),
            L.Dense(2, use_bias=False),
        ]
    )


def save(folder):
    """Both files of a model, x and y in the folder. Returns the folder, x and the model itself."""
    rng = np.random.default_rng(41)
    model = draw_weights(make_model(), rng)
    x = rng.standard_normal((3, 6, 5))
    x[0, 2:4] = x[1, :3] = x[2, 4:] = 0.5
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", from_keras(model)(x))
    return folder, x, model
