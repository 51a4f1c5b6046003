"""The models of Keras's own examples (keras.io/examples): their layers in smaller sizes.

The guide has a table of them, docs/guide/frameworks.md.
"""

import numpy as np
import pytest

from gru_native.keras import from_keras
from keras_models import assert_same_output, compare, drawn, keras

L = keras.layers
RNG = np.random.default_rng(121)


def numbers(*shape):
    return RNG.standard_normal(shape)


def ids(*shape):
    return RNG.integers(0, 20, shape)


def addition():
    """nlp/addition_rnn"""
    layers = [L.LSTM(8), L.RepeatVector(4), L.LSTM(8, return_sequences=True)]
    layers.append(L.Dense(12, activation="softmax"))
    return (
        keras.Sequential([L.Input((7, 12)), *layers]),
        numbers(2, 7, 12),
        "a recurrent layer follows",
    )


def seq2seq():
    """nlp/lstm_seq2seq"""
    source, target = keras.Input((None, 7)), keras.Input((None, 6))
    _, h, c = L.LSTM(9, return_state=True)(source)
    decoder = L.LSTM(9, return_sequences=True, return_state=True)
    y, _, _ = decoder(target, initial_state=[h, c])
    y = L.Dense(6, activation="softmax")(y)
    x = [numbers(2, 5, 7), numbers(2, 4, 6)]
    return keras.Model([source, target], y), x, "2 inputs"


def imdb():
    """nlp/bidirectional_lstm_imdb"""
    x = keras.Input((None,), dtype="int32")
    h = L.Bidirectional(L.LSTM(6, return_sequences=True))(L.Embedding(20, 8)(x))
    h = L.Bidirectional(L.LSTM(6))(h)
    model = keras.Model(x, L.Dense(1, activation="sigmoid")(h))
    return model, ids(2, 9), "'bidirectional.*' cannot be part"


def characters():
    """generative/lstm_character_level_text_generation"""
    layers = [L.LSTM(8), L.Dense(12, activation="softmax")]
    return keras.Sequential([L.Input((10, 12)), *layers]), numbers(2, 10, 12), None


def weather():
    """timeseries/timeseries_weather_forecasting"""
    x = keras.Input((12, 7))
    return keras.Model(x, L.Dense(1)(L.LSTM(8)(x))), numbers(2, 12, 7), None


def word_vectors():
    """nlp/pretrained_word_embeddings"""
    x = keras.Input((None,), dtype="int32")
    h = L.Embedding(20, 6, trainable=False)(x)
    for _ in range(2):
        h = L.MaxPooling1D(3)(L.Conv1D(8, 5, activation="relu")(h))
    h = L.GlobalMaxPooling1D()(L.Conv1D(8, 3, activation="relu")(h))
    h = L.Dropout(0.5)(L.Dense(5, activation="relu")(h))
    return keras.Model(x, L.Dense(4, activation="softmax")(h)), ids(2, 50), None


def text():
    """nlp/text_classification_from_scratch"""
    x = keras.Input((None,), dtype="int64")
    h = L.Dropout(0.5)(L.Embedding(20, 6)(x))
    for _ in range(2):
        h = L.Conv1D(8, 7, padding="valid", activation="relu", strides=3)(h)
    h = L.Dropout(0.5)(L.Dense(8, activation="relu")(L.GlobalMaxPooling1D()(h)))
    return keras.Model(x, L.Dense(1, activation="sigmoid")(h)), ids(2, 60), None


def series():
    """timeseries/timeseries_classification_from_scratch"""
    x = h = keras.Input((30, 1))
    for _ in range(3):
        h = L.ReLU()(L.BatchNormalization()(L.Conv1D(8, 3, padding="same")(h)))
    h = L.GlobalAveragePooling1D()(h)
    return keras.Model(x, L.Dense(2, activation="softmax")(h)), numbers(2, 30, 1), None


def captcha():
    """vision/captcha_ocr: its prediction model; vision/handwriting_recognition has the same"""
    x = keras.Input((40, 20, 1), name="image")
    h = L.Conv2D(5, 3, activation="relu", padding="same", name="Conv1")(x)
    h = L.MaxPooling2D((2, 2), name="pool1")(h)
    h = L.Conv2D(6, 3, activation="relu", padding="same", name="Conv2")(h)
    h = L.MaxPooling2D((2, 2), name="pool2")(h)
    h = L.Dense(8, activation="relu", name="dense1")(L.Reshape((10, 30), name="reshape")(h))
    h = L.Bidirectional(L.LSTM(6, return_sequences=True, dropout=0.25))(L.Dropout(0.2)(h))
    h = L.Bidirectional(L.LSTM(5, return_sequences=True, dropout=0.25))(h)
    model = keras.Model(x, L.Dense(9, activation="softmax", name="dense2")(h))
    return model, numbers(2, 40, 20, 1), None


def speech():
    """audio/ctc_asr, whose spectra have any number of steps"""
    x = keras.Input((None, 21), name="input")
    h = L.Reshape((-1, 21, 1), name="expand_dim")(x)
    options = {"padding": "same", "use_bias": False}
    h = L.Conv2D(4, (11, 41), strides=(2, 2), name="conv_1", **options)(h)
    h = L.ReLU()(L.BatchNormalization()(h))
    h = L.Conv2D(4, (11, 21), strides=(1, 2), name="conv_2", **options)(h)
    h = L.ReLU()(L.BatchNormalization()(h))
    h = L.Reshape((-1, h.shape[-2] * h.shape[-1]))(h)
    for i in range(3):
        gru = L.GRU(5, return_sequences=True, reset_after=True, name=f"gru_{i}")
        h = L.Bidirectional(gru, merge_mode="concat")(h)
        h = L.Dropout(0.5)(h) if i < 2 else h
    h = L.Dropout(0.5)(L.ReLU()(L.Dense(10)(h)))
    model = keras.Model(x, L.Dense(7, activation="softmax")(h), name="DeepSpeech_2")
    return model, numbers(2, 17, 21), "'conv_1' has padding='same' with strides"


def speakers():
    """audio/speaker_recognition_using_cnn"""

    def residual(x, filters, convolutions):
        s = L.Conv1D(filters, 1, padding="same")(x)
        for _ in range(convolutions - 1):
            x = L.Activation("relu")(L.Conv1D(filters, 3, padding="same")(x))
        x = L.Add()([L.Conv1D(filters, 3, padding="same")(x), s])
        return L.MaxPooling1D(pool_size=2, strides=2)(L.Activation("relu")(x))

    x = keras.Input((48, 1), name="input")
    h = residual(residual(x, 4, 2), 6, 3)
    h = L.Flatten()(L.AveragePooling1D(pool_size=3, strides=3)(h))
    h = L.Dense(6, activation="relu")(L.Dense(8, activation="relu")(h))
    model = keras.Model(x, L.Dense(5, activation="softmax", name="output")(h))
    return model, numbers(2, 48, 1), r"\(Flatten\) makes of"


def digits():
    """vision/mnist_convnet"""
    layers = [L.Conv2D(4, (3, 3), activation="relu"), L.MaxPooling2D((2, 2))]
    layers += [L.Conv2D(5, (3, 3), activation="relu"), L.MaxPooling2D((2, 2))]
    layers += [L.Flatten(), L.Dropout(0.5), L.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((16, 16, 1)), *layers])
    return model, numbers(2, 16, 16, 1), r"\(Flatten\) makes of"


EXAMPLES = {
    own.__name__: own
    for own in (
        addition,
        seq2seq,
        imdb,
        characters,
        weather,
        word_vectors,
        text,
        series,
        captcha,
        speech,
        speakers,
        digits,
    )
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, tmp_path):
    model, x, no_chain = EXAMPLES[name]()
    drawn(model, 122)
    ours = compare(model, x, tmp_path)
    if no_chain is not None:
        with pytest.raises(ValueError, match=no_chain):
            ours.chain()
        return
    chain = ours.chain()
    y = chain(x.transpose(0, 3, 2, 1) if name == "captcha" else x)[0]
    whole = y.ndim == len(model.output_shape)
    assert_same_output(y if whole else np.ascontiguousarray(y[:, -1]), model(x), "float64")


def test_a_decoder_step_by_step():
    """The two models that lstm_seq2seq makes of its trained one, to translate with."""
    model = drawn(seq2seq()[0], 123)
    source, target = model.inputs
    first, second, head = (own for own in model.layers if own.count_params())
    _, h, c = first.output
    encoder = from_keras(keras.Model(source, [h, c]))
    states = [keras.Input((9,)), keras.Input((9,))]
    y, *after = second(target, initial_state=states)
    decoder = from_keras(keras.Model([target, *states], [head(y), *after]))
    x, steps = numbers(2, 5, 7), numbers(2, 4, 6)
    state = encoder(x)
    made = []
    for t in range(4):
        y, *state = decoder([steps[:, t : t + 1], *state])
        made.append(y)
    assert_same_output(np.concatenate(made, 1), model([x, steps]), "float64")


class Loss(L.Layer):
    """As the layers that captcha_ocr and others have for their losses."""

    def call(self, labels, y):
        return y


def attention():
    x = keras.Input((None, 4))
    return keras.Model(x, L.MultiHeadAttention(2, 3, name="a")(x, x))


def masked():
    """vision/video_classification: a mask that is an input"""
    x, mask = keras.Input((5, 4)), keras.Input((5,), dtype="bool")
    return keras.Model([x, mask], L.GRU(3, name="a")(x, mask=mask))


def autoencoder():
    """timeseries/timeseries_anomaly_detection"""
    layers = [L.Conv1D(4, 7, padding="same", strides=2), L.Conv1DTranspose(2, 7, name="a")]
    return keras.Sequential([keras.Input((12, 1)), *layers])


def frames():
    """vision/conv_lstm"""
    x = keras.Input((None, 8, 8, 1))
    return keras.Model(x, L.ConvLSTM2D(2, (3, 3), name="a")(x))


def loss():
    x, labels = keras.Input((None, 4)), keras.Input((None,))
    return keras.Model([x, labels], Loss(name="a")(labels, L.GRU(3)(x)))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (attention, "layer 'a' is a MultiHeadAttention; expected"),
        (masked, "has a mask of its own"),
        (autoencoder, "layer 'a' is a Conv1DTranspose; expected"),
        (frames, "layer 'a' is a ConvLSTM2D; expected"),
        (loss, "layer 'a' is a Loss, which is no class of Keras's own"),
    ],
)
def test_what_does_not_load_is_named(make, text):
    with pytest.raises(ValueError, match=text):
        from_keras(make())
