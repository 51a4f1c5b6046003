"""As long_calls.py: blocks without a state, and what is about words and labels."""

import numpy as np

import gru_native
from gru_native import decoding, losses
from long_calls import decoder, decoder_stream, numbers, random


def operation(layer, ids=False, backward=False):
    """A block without a state, on n steps of 8 sequences: no more than memory has room for."""

    def make(n):
        n = min(n, 40_000)
        x = random.integers(0, 1000, (n, 8)) if ids else numbers(n, 8, 256)
        if not backward:
            return lambda: layer(x)
        y, tape = layer.forward(x)
        return lambda: layer.backward(tape, y).weights["weight"]

    return make


def transducer_networks():
    prediction = gru_native.Chain(
        [gru_native.Dense(50, 32, seed=1), gru_native.LSTM(32, 128, seed=2)]
    )
    output = gru_native.Dense(256, 50, seed=3)
    return decoding.TransducerJoint(prediction, output, activation="tanh")


def transducer_beam(n):
    joint, encoded = transducer_networks(), numbers(n, 4, 128)
    return lambda: decoding.transducer_beam(joint, encoded, beam_size=8)[0][0].ids


def transducer_stream(n):
    own, encoded = transducer_networks().stream(4), numbers(n, 4, 128)

    def call():
        own.reset()
        try:
            return own(encoded)[0]
        finally:
            own(encoded[:1])  # it works as before

    return call


def large_softmax(layer, of):
    """Rows of a softmax over 20,000 words."""

    def make(n):
        x, targets = numbers(n, 256), random.integers(0, 20_000, n)
        if of == "forward":
            return lambda: np.array(layer.forward(x, targets, seed=3)[0])
        if of == "backward":
            tape = layer.forward(x, targets, seed=3)[1]
            return lambda: layer.backward(tape).x
        if of == "top_k":
            return lambda: layer.top_k(x, 5)[0]
        return lambda: np.array(layer(x, targets))

    return make


WORDS = {
    "sampled": losses.SampledSoftmax(256, 20_000, 500, seed=1),
    "contrastive": losses.NoiseContrastive(256, 20_000, 500, seed=1),
    "class": losses.ClassSoftmax(256, 20_000, seed=1),
    "tree": losses.TreeSoftmax(256, 20_000, seed=1),
}


def images(backward=False):
    """n pictures of text through convolutions and a pool."""
    layers = [
        gru_native.Image(),
        gru_native.Conv2d(1, 16, 3, padding="same", seed=1),
        gru_native.MaxPool2d(2),
        gru_native.Conv2d(16, 32, 3, seed=2),
        gru_native.BatchNorm2d(32),
        gru_native.Columns(),
    ]
    chain = gru_native.Chain(layers)

    def make(n):
        x = numbers(64, n, 32)
        if not backward:
            return lambda: chain(x)[0]
        y, _, tape = chain.forward(x)
        dy = numbers(*y.shape)
        return lambda: chain.backward(tape, dy).weights["3.weight"]

    return make


CASES = {
    "images_backward": images(backward=True),
    "conv_backward": operation(gru_native.Conv1d(256, 256, 5, seed=1), backward=True),
    "transducer_beam": transducer_beam,
    "words_of_classes_backward": large_softmax(WORDS["class"], "backward"),
}
# Kinds that are near one of these.
OTHERS = {
    "decoder_stream": decoder_stream,
    "decoder_general": decoder("general"),
    "decoder_location_backward": decoder("location", backward=True),
    "conv": operation(gru_native.Conv1d(256, 256, 5, seed=1)),
    "conv_in_groups": operation(gru_native.Conv1d(256, 256, 5, groups=256, dilation=2, seed=1)),
    "conv_in_groups_backward": operation(
        gru_native.Conv1d(256, 256, 5, groups=256, seed=1), backward=True
    ),
    "images": images(),
    "embedding": operation(gru_native.Embedding(1000, 256, seed=1), ids=True),
    "embedding_backward": operation(
        gru_native.Embedding(1000, 256, seed=1), ids=True, backward=True
    ),
    "layer_norm_of_rows": operation(gru_native.LayerNorm(256)),
    "layer_norm_of_rows_backward": operation(gru_native.LayerNorm(256), backward=True),
    "activation": operation(gru_native.Activation("tanh")),
    "transducer_stream": transducer_stream,
    **{
        f"{of}_of_{kind}": large_softmax(layer, of)
        for kind, layer in WORDS.items()
        for of in ("words", "forward", "backward", "top_k")
    },
}
