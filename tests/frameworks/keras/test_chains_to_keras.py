"""Chains of all blocks to Keras and back: the same outputs."""

import numpy as np
import pytest

import gru_native as gn
from gru_native.keras import from_keras, to_keras
from keras_models import TOLERANCE, coin, keras, one_of

OPTIONS = {"dtype": np.float64, "batch_first": True}
L = keras.layers


def random_weights(chain, rng):
    """Drawn, statistics too; a variance stays above 0."""
    with chain.editing() as w:
        for name, array in w.items():
            low, high = (0.3, 2) if name.endswith("running_var") else (-0.7, 0.7)
            array[...] = rng.uniform(low, high, array.shape)
    return chain


def close(ours, expected):
    expected = np.asarray(expected)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= TOLERANCE["float64"] * max(1, np.abs(expected).max())


def round_trip(chain, x, chains=True):
    """chains: whether the model of Keras is a chain again."""
    model = to_keras(chain)
    y = chain(x)[0]
    close(y, keras.ops.convert_to_numpy(model(x)))
    back = from_keras(model)
    close(back(x), y)
    if chains:
        close(back.chain()(x)[0], y)
    return model


def random_block(rng, size):
    """A block of sequences that keeps the number of steps and of features."""
    function = one_of(rng, ("tanh", "relu", ("leaky_relu", 0.07), ("elu", 1.3), "identity"))
    makers = {
        "conv": lambda: gn.Conv1d(
            size,
            size,
            int(rng.integers(1, 4)),
            dilation=int(rng.integers(1, 3)),
            groups=one_of(rng, (1, 2)),
            padding=one_of(rng, ("same", "causal")),
            bias=coin(rng),
            activation=one_of(rng, ("relu", "identity", "hard_sigmoid")),
            **OPTIONS,
        ),
        "batch_norm": lambda: gn.BatchNorm1d(size, 0.02, 0.2, coin(rng), **OPTIONS),
        "layer_norm": lambda: gn.LayerNorm(size, 0.01, bias=coin(rng), **OPTIONS),
        "activation": lambda: gn.Activation(function, **OPTIONS),
        "gru": lambda: gn.GRU(size, size // 2, bidirectional=True, **OPTIONS),
        "lstm": lambda: gn.LSTM(size, size, int(rng.integers(1, 3)), **OPTIONS),
        "dense": lambda: gn.Dense(size, size, activation="softmax", **OPTIONS),
        "chain": lambda: gn.Residual(gn.Chain([random_block(rng, size), random_block(rng, size)])),
        "residual": lambda: gn.Residual(random_block(rng, size), one_of(rng, ("add", "multiply"))),
        "parallel": lambda: gn.Parallel(
            [random_block(rng, size), gn.Chain([gn.Dense(size, size, **OPTIONS)])],
            one_of(rng, ("add", "multiply")),
        ),
    }
    return makers[one_of(rng, tuple(makers))]()


@pytest.mark.parametrize("seed", range(10))
def test_random_chains(seed):
    rng = np.random.default_rng([101, seed])
    size = 4
    blocks = [random_block(rng, size) for _ in range(4)]
    x = rng.standard_normal((2, 9, size))
    if seed % 3 == 0:
        blocks.insert(0, gn.Embedding(11, size, **OPTIONS))
        x = rng.integers(0, 11, (2, 9))
    if seed % 2:
        pool = one_of(rng, (gn.MaxPool1d, gn.AvgPool1d))
        blocks += [gn.Conv1d(size, 3, 2, stride=2, padding="valid", **OPTIONS)]
        blocks += [pool(2, one_of(rng, (None, 1)), **OPTIONS)]
    blocks += [[], [gn.Pool("mean", **OPTIONS)], [gn.Pool("max", **OPTIONS)]][seed % 3]
    blocks.insert(0 if seed % 3 else 1, gn.Dense(size, size, **OPTIONS))
    round_trip(random_weights(gn.Chain(blocks), rng), x)


def test_the_last_step_and_paths_side_by_side():
    rng = np.random.default_rng(102)
    last = [gn.LSTM(4, 3, **OPTIONS), gn.Pool("last", **OPTIONS)]
    mean = [gn.Conv1d(4, 2, 3, **OPTIONS), gn.Pool("mean", **OPTIONS)]
    head = gn.Dense(5, 2, activation="log_softmax", **OPTIONS)
    both = gn.Parallel([gn.Chain(last), gn.Chain(mean)])
    chain = random_weights(gn.Chain([gn.Dense(3, 4, **OPTIONS), both, head]), rng)
    model = round_trip(chain, rng.standard_normal((3, 6, 3)))
    assert not next(own for own in model.layers if isinstance(own, L.LSTM)).return_sequences
    twice = gn.Chain([gn.Dense(3, 4, **OPTIONS), gn.GRU(4, 2, 2, **OPTIONS), last[1]])
    # As a chain the Sequential would have outputs at every step.
    round_trip(random_weights(twice, rng), rng.standard_normal((3, 6, 3)), chains=False)


def images(rng):
    return [
        gn.Conv2d(1, 4, (3, 2), padding=(1, 2), activation="relu", **OPTIONS),
        gn.BatchNorm2d(4, 0.01, **OPTIONS),
        gn.MaxPool2d((2, 1), **OPTIONS),
        gn.Residual(gn.Conv2d(4, 4, (1, 3), padding="same", groups=2, **OPTIONS), "concat"),
        gn.Activation(("leaky_relu", 0.1), **OPTIONS),
        gn.Conv2d(8, 3, 2, (1, 2), dilation=1, bias=False, **OPTIONS),
        gn.AvgPool2d((3, 2), (2, 1), (1, 0), **OPTIONS),
    ]


@pytest.mark.parametrize("form", ["sequences", "steps", "images"])
def test_chains_of_images(form):
    rng = np.random.default_rng(103)
    blocks, shape = images(rng), (2, 1, 9, 14)
    if form == "sequences":
        blocks, shape = [gn.Image(9, **OPTIONS), *blocks], (2, 14, 9)
    if form != "images":
        tail = [gn.Columns(**OPTIONS), gn.GRU(6, 4, bidirectional=True, **OPTIONS)]
        blocks += [*tail, gn.Dense(8, 3, activation="softmax", **OPTIONS)]
    chain = random_weights(gn.Chain(blocks), rng)
    round_trip(chain, rng.standard_normal(shape))


@pytest.mark.parametrize(
    ("blocks", "error", "text"),
    [
        (lambda: [gn.MaxPool1d(3, padding=1)], ValueError, "'maxpool1d_1' has padding=1, which"),
        (lambda: [gn.MaxPool1d(3, ceil_mode=True)], ValueError, "has ceil_mode=True"),
        (
            lambda: [gn.Activation(("scaled_tanh", 1.7, 0.6))],
            ValueError,
            "'activation_1' has name=",
        ),
        (lambda: [gn.Conv1d(4, 4, 2, activation=("affine", 2.0, 1.0))], ValueError, "activation="),
        (lambda: [gn.Conv1d(4, 4, 2, stride=2, dilation=2)], ValueError, "has dilation=2"),
        (lambda: [gn.LayerNorm(4, elementwise_affine=False)], ValueError, "elementwise_affine=F"),
        (lambda: [gn.Pool("last")], ValueError, r"Pool\('last'\) behind a Dense"),
        (lambda: [gn.LSTM(4, 2, peephole=True)], ValueError, "peephole=True"),
        (lambda: [gn.Residual(gn.LSTM(4, 4, cell_clip=2.0))], ValueError, r"cell_clip=2\.0"),
    ],
)
def test_what_keras_lacks_is_named(blocks, error, text):
    chain = gn.Chain([gn.Dense(3, 4), *blocks()])
    with pytest.raises(error, match=text):
        to_keras(chain)


def test_images_of_no_known_size_are_named():
    for blocks, text in (
        ([gn.Image(), gn.Conv2d(1, 2, 3), gn.Columns()], "'image_0' has features=None"),
        ([gn.Conv2d(1, 2, 3), gn.Columns()], "'columns_1' has columns of any size"),
        ([gn.Conv2d(1, 2, 3, 2, dilation=2)], "has dilation=2"),
        ([gn.Conv2d(1, 2, 3), gn.AvgPool2d(2, divisor_override=3)], "divisor_override=3"),
        ([gn.Conv2d(1, 2, 3), gn.MaxPool2d(2, dilation=2)], "has dilation=2"),
    ):
        with pytest.raises(ValueError, match=text):
            to_keras(gn.Chain(blocks))
