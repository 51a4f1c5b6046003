"""Layers of images, and models that make steps of images, against Keras."""

import numpy as np
import pytest

import gru_native
from gru_native.keras import from_keras
from keras_models import assert_same_output, coin, compare, drawn, keras, one_of

L = keras.layers
FORMATS = ("channels_last", "channels_first")


def chain_input(x, data_format, first_is_time):
    """(batch, channels, height, width), where the width is time."""
    if data_format == "channels_last":
        x = x.transpose(0, 3, 1, 2)
    return x.swapaxes(2, 3) if first_is_time else x


def random_convolution(rng, kind, data_format):
    strides = tuple(int(n) for n in rng.integers(1, 3, 2))
    options = {
        "kernel_size": tuple(int(n) for n in rng.integers(1, 5, 2)),
        "strides": strides,
        "dilation_rate": (1, 1)
        if max(strides) > 1
        else tuple(int(n) for n in rng.integers(1, 3, 2)),
        "padding": one_of(rng, ("valid", "same")),
        "use_bias": coin(rng),
        "activation": one_of(rng, ("linear", "relu", "elu", "tanh")),
        "data_format": data_format,
    }
    if kind == "DepthwiseConv2D":
        options["strides"] = (strides[0], strides[0])  # Keras's own limit
        options["dilation_rate"] = (1, 1)
        return L.DepthwiseConv2D(depth_multiplier=int(rng.integers(1, 3)), **options)
    if kind == "SeparableConv2D":
        options["strides"] = (strides[0], strides[0])
        options["dilation_rate"] = (1, 1)
        return L.SeparableConv2D(4, depth_multiplier=2, **options)
    return L.Conv2D(4, groups=int(rng.integers(1, 3)), **options)


def random_pool(rng, data_format):
    """Means whose zeros are uneven are other numbers on Keras's back end of PyTorch."""
    if coin(rng):
        options = {"padding": one_of(rng, ("valid", "same")), "data_format": data_format}
        return L.AveragePooling2D(one_of(rng, ((3, 1), (1, 3), 3)), strides=1, **options)
    return L.MaxPooling2D(
        tuple(int(n) for n in rng.integers(1, 4, 2)),
        strides=one_of(rng, (None, (2, 1), (1, 2))),
        padding=one_of(rng, ("valid", "same")),
        data_format=data_format,
    )


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("seed", range(9))
def test_layers_of_images(seed, data_format, tmp_path):
    rng = np.random.default_rng([61, seed])
    axis = -1 if data_format == "channels_last" else 1
    kinds = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
    pools = (L.GlobalMaxPooling2D, L.GlobalAveragePooling2D)
    layers = [
        random_convolution(rng, kinds[seed % 3], data_format),
        L.BatchNormalization(axis=axis, epsilon=0.02, scale=coin(rng)),
        L.ZeroPadding2D(one_of(rng, (1, (2, 0), ((1, 2), (0, 3)))), data_format=data_format),
        L.Conv2D(6, (3, 2), data_format=data_format, padding="valid"),
        L.ReLU(),
        random_pool(rng, data_format),
        L.SpatialDropout2D(0.2, data_format=data_format),
        pools[seed % 2](data_format=data_format, keepdims=seed % 4 == 3),
    ]
    shape = (15, 17, 4) if data_format == "channels_last" else (4, 15, 17)
    model = drawn(keras.Sequential([keras.Input(shape), *layers]), seed)
    x = rng.standard_normal((3, *shape))
    ours = compare(model, x, tmp_path if seed < 4 else None)
    if seed % 4 == 3:
        with pytest.raises(ValueError, match="has keepdims, which a Chain cannot have"):
            ours.chain()
        return
    pool = layers[5]
    even = any(n % 2 == 0 and s == 1 for n, s in zip(pool.pool_size, pool.strides, strict=True))
    if pool.padding == "same" and even:
        with pytest.raises(ValueError, match="padding='same', which a Chain cannot have with this"):
            ours.chain()
        return
    chain = ours.chain()
    y = chain(chain_input(x, data_format, False))[0]
    assert_same_output(y, model(x), "float64")


def means(x, pool, stride):
    """Of the dots of each window that are in the image, as TensorFlow and JAX have them."""

    def begins(n):
        count = -(-n // stride)
        before = max(0, (count - 1) * stride + pool - n) // 2
        starts = [i * stride - before for i in range(count)]
        return [slice(max(0, start), start + pool) for start in starts]

    rows = [
        [x[:, down, across].mean((1, 2)) for across in begins(x.shape[2])]
        for down in begins(x.shape[1])
    ]
    return np.array(rows).transpose(2, 0, 1, 3)


@pytest.mark.parametrize(
    ("pool", "stride"), [(2, 2), (3, 1), (3, 2), (3, 3), (5, 2), (4, 3), (2, 1)]
)
@pytest.mark.parametrize("kind", [L.MaxPooling2D, L.AveragePooling2D])
def test_same_pools(kind, pool, stride):
    layer = kind(pool, strides=stride, padding="same", name="p")
    model = drawn(keras.Sequential([keras.Input((8, 9, 2)), L.Conv2D(2, 1), layer]), 1)
    x = np.random.default_rng(62).standard_normal((2, 8, 9, 2))
    ours = from_keras(model)
    mean = kind is L.AveragePooling2D
    expected = means(ours.layers[0](x), pool, stride) if mean else model(x)
    assert_same_output(ours(x), expected, "float64")
    if stride == 1 and pool % 2 == 0:
        with pytest.raises(ValueError, match="layer 'p' has padding='same', which a Chain cannot"):
            ours.chain()
        return
    y = ours.chain()(chain_input(x, FORMATS[0], False))[0]
    assert_same_output(np.ascontiguousarray(y.transpose(0, 2, 3, 1)), expected, "float64")


def recogniser(data_format, form):
    """Convolutions, and then steps of what is left, as Keras's example of captchas has them."""
    last = data_format == "channels_last"
    axis = -1 if last else 1
    first_is_time = form in ("reshape", "flatten")
    common = {"data_format": data_format}
    shape = ((20, 12) if first_is_time else (12, 20)) + (2,)
    layers = [
        L.Conv2D(5, (3, 2), padding="same", activation="relu", **common),
        L.BatchNormalization(axis=axis),
        L.MaxPooling2D((2, 2), **common),
        L.Conv2D(3, (2, 4), strides=(1, 2) if first_is_time else (2, 1), padding="same", **common),
        L.LeakyReLU(0.1),
    ]
    if not last:
        shape = (shape[2], *shape[:2])
        layers.append(L.Permute((2, 3, 1) if first_is_time else (3, 1, 2)))
    elif not first_is_time:
        layers.append(L.Permute((2, 1, 3) if form == "permute" else (2, 3, 1)))
    layers.append(L.TimeDistributed(L.Flatten()) if form == "flatten" else L.Reshape((10, -1)))
    head = {
        "reshape": [L.Dense(7, activation="tanh")],
        "flatten": [L.BatchNormalization(), L.Dropout(0.1), L.LayerNormalization()],
        "permute": [L.Conv1D(4, 3, padding="same")],
        "channels": [],
    }[form]
    rest = [
        L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.GRU(3, return_sequences=True),
        L.Dense(6, activation="softmax"),
    ]
    return keras.Sequential([keras.Input(shape), *layers, *head, *rest]), shape, first_is_time


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("form", ["reshape", "flatten", "permute", "channels"])
def test_images_become_steps(form, data_format, tmp_path):
    model, shape, first_is_time = recogniser(data_format, form)
    drawn(model, 63)
    x = np.random.default_rng(64).standard_normal((3, *shape))
    ours = compare(model, x, tmp_path)
    chain = ours.chain()
    kinds = [type(block).__name__ for block in chain.blocks]
    assert kinds[:5] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "Conv2d", "Activation"]
    assert kinds[5] == "Columns"
    y = chain(chain_input(x, data_format, first_is_time))[0]
    assert_same_output(y, model(x), "float64")
    gru_native.save(chain, tmp_path / "m.safetensors")
    again = gru_native.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again(chain_input(x, data_format, first_is_time))[0], y)


@pytest.mark.parametrize("steps", [None, 30])
def test_spectra_as_images(steps, tmp_path):
    """As Keras's example of speech: steps become an image of one channel and steps again."""
    x = keras.Input((steps, 9))
    h = L.Reshape((-1, 9, 1))(x)
    h = L.Conv2D(4, (5, 5), strides=(1, 2), padding="same", use_bias=False)(h)
    h = L.ReLU()(L.BatchNormalization()(h))
    h = L.ZeroPadding2D(((2, 0), (1, 0)))(h)
    h = L.Conv2D(3, (3, 3), name="second")(h)
    h = L.Reshape((-1, h.shape[-2] * h.shape[-1]))(h)
    h = L.Bidirectional(L.GRU(4, return_sequences=True))(h)
    model = drawn(keras.Model(x, L.Dense(5, activation="softmax")(h)), 65)
    x = np.random.default_rng(66).standard_normal((2, 30, 9))
    ours = compare(model, x, tmp_path)
    chain = ours.chain()
    assert type(chain.blocks[0]).__name__ == "Image"
    assert chain.input_size == 9
    assert_same_output(chain(x)[0], model(x), "float64")
    if steps is None:
        y = chain(x, lengths=[30, 17])[0]
        assert_same_output(np.ascontiguousarray(y[1:, :17]), model(x[1:, :17]), "float64")
    with pytest.raises(ValueError, match="no stream"):
        chain.stream()


def test_strides_over_steps_of_any_number_are_no_chain():
    x = keras.Input((None, 8))
    h = L.Conv2D(2, (4, 3), strides=2, padding="same", name="first")(L.Reshape((-1, 8, 1))(x))
    model = drawn(keras.Model(x, L.GRU(3)(L.Reshape((-1, 8))(h))), 67)
    ours = compare(model, np.random.default_rng(68).standard_normal((2, 13, 8)))
    with pytest.raises(ValueError, match="layer 'first' has padding='same' with strides, which"):
        ours.chain()


def test_images_that_branch(tmp_path):
    x = keras.Input((10, 14, 3))
    h = L.Conv2D(4, 3, padding="same")(x)
    h = L.Add()([h, L.Conv2D(4, (1, 3), padding="same", activation="relu")(h)])
    h = L.Concatenate()([L.SeparableConv2D(2, 3, padding="same")(h), h])
    h = L.AveragePooling2D((2, 1))(h)
    h = L.Permute((2, 1, 3))(h)
    h = L.TimeDistributed(L.Flatten())(h)
    model = drawn(keras.Model(x, L.Dense(3)(L.LSTM(5)(h))), 69)
    x = np.random.default_rng(70).standard_normal((2, 10, 14, 3))
    chain = compare(model, x, tmp_path).chain()
    assert_same_output(chain(chain_input(x, FORMATS[0], False))[0], model(x), "float64")


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (lambda: [L.Flatten(name="f"), L.Dense(2)], r"layer 'f' \(Flatten\) makes of"),
        (lambda: [L.Reshape((-1, 6), name="r")], r"layer 'r' \(Reshape\) makes of"),
        (lambda: [L.Dense(3, name="d")], r"layer 'd' \(Dense\) reads images"),
        (
            lambda: [L.LayerNormalization(name="n")],
            "layer 'n' .* reads images",
        ),
        (
            lambda: [L.ZeroPadding2D(1), L.MaxPooling2D(2, name="m")],
            "layer 'm' .* zeros around",
        ),
        (lambda: [L.ZeroPadding2D(1), L.ReLU(name="a")], "layer 'a' .* reads images with zeros"),
        (lambda: [L.ZeroPadding2D(1, name="z")], "ends with zeros around images"),
        (lambda: [L.Reshape((8, 36), name="r")], "ends with dots of columns"),
        (
            lambda: [L.ZeroPadding2D(((0, 1), (0, 0))), L.Conv2D(2, 2, dilation_rate=2, name="c")],
            "layer 'c' has .* zeros before and .* behind, and dilation 2",
        ),
    ],
)
def test_what_chains_of_images_lack_is_named(layers, text):
    model = keras.Sequential([keras.Input((8, 9, 1)), L.Conv2D(4, 1), *layers()])
    x = np.random.default_rng(71).standard_normal((2, 8, 9, 1))
    with pytest.raises(ValueError, match=text):
        compare(drawn(model, 72), x).chain()


def test_wrong_arguments_are_named():
    model = keras.Sequential([keras.Input((8, 9, 2)), L.Conv2D(3, 2, name="c"), L.Flatten()])
    ours = from_keras(drawn(model, 73))
    with pytest.raises(ValueError, match=r"layer 'c': x has shape \(8, 9, 2\); expected \(batch, "):
        ours(np.zeros((8, 9, 2)))
    with pytest.raises(ValueError, match="layer 'c': x has shape"):
        ours(np.zeros((1, 8, 9, 3)))
    with pytest.raises(TypeError, match="layer 'c': x has dtype float32"):
        ours(np.zeros((1, 8, 9, 2), np.float32))
    reshape = from_keras(keras.Sequential([keras.Input((6, 4)), L.Reshape((3, 8))])).layers[0]
    with pytest.raises(ValueError, match=r"x has shape \(2, 5\), which cannot become \(batch, 3"):
        reshape(np.zeros((2, 5)))


def of_steps(*layers):
    return [keras.Input((None, 8)), *layers]


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (lambda: of_steps(L.Reshape((10, -1, 1), name="r"), L.Conv2D(2, 1)), "layer 'r'"),
        (
            lambda: of_steps(L.Reshape((-1, 8, 1)), L.Conv2D(2, 1), L.Reshape((5, -1), name="r")),
            "layer 'r'",
        ),
        (
            lambda: of_steps(
                L.Reshape((-1, 8, 1)),
                L.Conv2D(2, 1),
                L.TimeDistributed(L.Flatten(data_format="channels_first"), name="r"),
            ),
            "layer 'r'",
        ),
        (
            lambda: [
                keras.Input((4, 3, 8)),
                L.TimeDistributed(L.BatchNormalization(axis=1), name="r"),
            ],
            "layer 'r'",
        ),
    ],
)
def test_what_only_looks_like_columns_is_refused(layers, text):
    with pytest.raises(ValueError, match=text):
        from_keras(drawn(keras.Sequential(layers()), 74)).chain()


@pytest.mark.parametrize("kind", ["Conv2D", "MaxPooling2D", "GlobalMaxPooling2D", "ZeroPadding2D"])
@pytest.mark.parametrize(
    ("data_format", "axes"),
    [
        ("channels_last", "height, width, channels"),
        ("channels_first", "channels, height, width"),
    ],
)
def test_what_is_no_batch_of_images(kind, data_format, axes):
    """The error says which axes the layer reads."""
    sizes = {"filters": 3, "kernel_size": 2} if kind == "Conv2D" else {}
    layer = getattr(L, kind)(**sizes, data_format=data_format)
    model = from_keras(keras.Sequential([keras.Input((4, 5, 6)), layer]))
    with pytest.raises(ValueError, match=rf"x has shape \(2, 3\); expected \(batch, {axes}\)"):
        model(np.zeros((2, 3), np.float32))
