"""Blocks that read images against PyTorch in float64, alone and in chains."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import (
    GRU,
    Activation,
    AvgPool2d,
    BatchNorm2d,
    Chain,
    Columns,
    Conv2d,
    Dense,
    Image,
    LayerNorm,
    MaxPool2d,
    Parallel,
    Pool,
    Residual,
)
from helpers import assert_close, assert_same_bits
from images import both, compare, pair

torch = pytest.importorskip("torch")
functional = torch.nn.functional

ACTIVATIONS = {"identity": lambda a: a, "tanh": torch.tanh, "relu": torch.relu}


def random_conv(seed, dtype=np.float64):
    random = np.random.default_rng(seed)
    groups = int(random.choice([1, 1, 2, 3]))
    padding = ["same", "valid", pair(random, 0, 4), pair(random, 0, 4)][seed % 4]
    options = {
        "kernel_size": pair(random, 1, 5),
        "stride": 1 if padding == "same" else pair(random, 1, 4),
        "dilation": pair(random, 1, 3),
        "groups": groups,
        "padding": padding,
        "bias": bool(random.integers(2)),
        "activation": str(random.choice([*ACTIVATIONS])),
    }
    inputs, outputs = groups * int(random.integers(1, 7)), groups * int(random.integers(1, 37))
    layer = Conv2d(inputs, outputs, **options, dtype=dtype, seed=seed)
    kernel, dilation = both(layer.kernel_size), both(layer.dilation)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    return layer, [n + int(random.integers(0, 7)) for n in spans], random


def conv_by_torch(layer, x, weights):
    """y of one image (channels, height, width)."""
    options = {"padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    weight, bias = weights["weight"], weights.get("bias")
    y = functional.conv2d(x[None], weight, bias, layer.stride, **options)
    return ACTIVATIONS[layer.activation](y[0])


@pytest.mark.parametrize("seed", range(80))
def test_conv2d_as_torch(seed):
    layer, (height, least), random = random_conv(seed)
    width = least + int(random.integers(0, 6))
    shape = (int(random.integers(1, 4)), layer.in_channels, height, width)
    compare(layer, lambda x, w: conv_by_torch(layer, x, w), shape, least, random)


def of_any_kind(seed, dtype):
    if seed < 8:
        return random_conv(seed, dtype)
    o = {"dtype": dtype}
    others = [MaxPool2d(3, 2, 1, **o), MaxPool2d(2, dilation=3, **o), AvgPool2d(3, 2, 1, **o)]
    return [*others, BatchNorm2d(21, **o)][seed - 8], (6, 6), np.random.default_rng(seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(12))
def test_same_bits_alone_and_together(seed, dtype, threads):
    layer, (height, width), random = of_any_kind(seed, dtype)
    channels = layer.in_channels if isinstance(layer, Conv2d) else 21
    x = random.standard_normal((5, channels, height, 90 + width)).astype(dtype)
    y, tape = layer.forward(x, training=False)
    assert_same_bits(layer(x[2:3]), y[2:3])
    assert_same_bits(layer(x[2]), y[2])
    as_in_memory = np.ascontiguousarray(x.transpose(3, 0, 2, 1)).transpose(1, 3, 2, 0)
    assert_same_bits(layer(as_in_memory), y)
    grads = layer.backward(tape, y)
    assert_same_bits(layer.backward(tape, np.ascontiguousarray(y)).x, grads.x)
    threads(1)
    one, tape = layer.forward(x, training=False)
    alone = layer.backward(tape, y)
    assert_same_bits(one, y)
    assert_same_bits(alone.x, grads.x)
    for name, w in alone.weights.items():
        assert_same_bits(grads.weights[name], w)


@pytest.mark.parametrize("batch_first", [False, True])
def test_images_and_columns(batch_first):
    o = {"batch_first": batch_first, "dtype": np.float64}
    x = np.random.default_rng(0).standard_normal((5, 3, 4))
    given = x.swapaxes(0, 1) if batch_first else x
    image, tape = Image(**o).forward(given, lengths=[5, 2, 4])
    assert image.shape == (3, 1, 4, 5)
    expected = x.transpose(1, 2, 0)[:, None].copy()
    expected[1, :, :, 2:] = expected[2, :, :, 4:] = 0
    assert_same_bits(image, expected)
    back = Image(**o).backward
    with pytest.raises(ValueError, match="tape"):
        back(tape, image)
    wide = np.random.default_rng(1).standard_normal((3, 2, 4, 5))
    rows, tape = (columns := Columns(**o)).forward(wide)
    by_step = rows.swapaxes(0, 1) if batch_first else rows
    assert_same_bits(by_step, wide.transpose(3, 0, 1, 2).reshape(5, 3, 8))
    assert_same_bits(columns.backward(tape, rows).x, wide)
    assert_same_bits(columns(wide[1]), by_step[:, 1])
    assert_same_bits(Image(**o)(x[:, 1]), x[:, 1].T[None])


def recognizer(dtype=np.float64, batch_first=False, features=8):
    """Text recognition in small: lengths shrink by half."""
    o = {"dtype": dtype, "batch_first": batch_first}
    body = [Conv2d(6, 6, 3, padding="same", seed=2, **o), Activation("tanh", **o)]
    paths = [Conv2d(6, 3, 1, seed=3, **o), Conv2d(6, 2, (3, 5), padding=(1, 2), seed=4, **o)]
    return Chain(
        [
            Image(features, **o),
            Conv2d(1, 6, 3, 2, 1, activation="relu", seed=1, **o),
            Residual(Chain(body)),
            BatchNorm2d(6, **o),
            Parallel(paths),
            MaxPool2d((2, 1), **o),
            Columns(**o),
            GRU(10, 5, bidirectional=True, seed=5, **o),
            Dense(10, 3, seed=6, **o),
        ]
    )


def by_torch(model, x, modules):
    """y of one sequence (seq, features)."""
    w = modules
    image = torch.relu(functional.conv2d(x.T[None, None], w["1.weight"], w["1.bias"], 2, 1))
    image = image + torch.tanh(
        functional.conv2d(image, w["2.block.0.weight"], w["2.block.0.bias"], padding=1)
    )
    mean, var = w["3.running_mean"].detach(), w["3.running_var"].detach()
    image = functional.batch_norm(image, mean, var, w["3.weight"], w["3.bias"])
    left = functional.conv2d(image, w["4.blocks.0.weight"], w["4.blocks.0.bias"])
    wide = functional.conv2d(image, w["4.blocks.1.weight"], w["4.blocks.1.bias"], padding=(1, 2))
    joined = functional.max_pool2d(torch.cat([left, wide], 1), (2, 1))
    rows = joined[0].permute(2, 0, 1).reshape(-1, 10)
    gru = torch.nn.GRU(10, 5, bidirectional=True).double()
    parameters = {n.removeprefix("7."): p for n, p in w.items() if n.startswith("7.")}
    hidden = torch.func.functional_call(gru, parameters, (rows[:, None],))[0][:, 0]
    return hidden @ w["8.weight"].T + w["8.bias"]


def test_a_chain_trains_as_in_torch():
    model = recognizer()
    assert (model.input_size, model.output_size) == (8, 3)
    random = np.random.default_rng(0)
    x, lengths = random.standard_normal((11, 3, 8)), [11, 4, 7]
    y, _, tape = model.forward(x, lengths=lengths, training=False)
    assert y.shape == (6, 3, 3)
    assert_same_bits(model(x, lengths=lengths)[0], y)
    dy, loss = random.standard_normal(y.shape), 0
    grads = model.backward(tape, dy)
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in model.state_dict().items()}
    given = torch.tensor(x, requires_grad=True)
    for b, n in enumerate(lengths):
        expected = by_torch(model, given[:n, b], weights)
        assert_close(y[: len(expected), b], expected.detach().numpy(), 1e-11)
        assert not y[len(expected) :, b].any()
        loss = loss + (expected * torch.tensor(dy[: len(expected), b])).sum()
    loss.backward()
    assert_close(grads.x, given.grad.numpy(), 1e-11)
    assert set(weights) - set(grads.weights) == {"3.running_mean", "3.running_var"}
    for name, w in grads.weights.items():
        assert_close(w, weights[name].grad.numpy(), 1e-11)
    _, _, tape = model.forward(x, lengths=lengths)
    model.update_statistics(tape)
    assert not (model.weights["3.running_mean"] == 0).any()


@pytest.mark.parametrize("batch_first", [False, True])
def test_files_and_copies(tmp_path, batch_first):
    model = recognizer(np.float32, batch_first)
    x = np.random.default_rng(0).standard_normal((11, 2, 8)).astype(np.float32)
    x = x.swapaxes(0, 1) if batch_first else x
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    assert repr(again) == repr(model)
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(x)[0], model(x)[0])
    assert model.quantize("int8")(x)[0].shape == model(x)[0].shape


def test_sizes_that_a_call_brings():
    o = {"dtype": np.float64}
    model = Chain([Residual(Conv2d(2, 2, 3, padding=1, seed=1, **o)), Activation("relu", **o)])
    assert (model.input_size, model.output_size) == (None, None)
    x = np.random.default_rng(0).standard_normal((3, 2, 5, 7))
    y, _, tape = model.forward(x, lengths=[7, 3, 5])
    assert y.shape == x.shape
    assert not y[1, :, :, 3:].any()
    assert model.backward(tape, y).x.shape == x.shape
    open_ended = Chain([Image(**o), Conv2d(1, 2, 2, seed=1, **o), Columns(**o), GRU(10, 3, **o)])
    assert (open_ended.input_size, open_ended.output_size) == (None, 3)
    assert open_ended(np.zeros((4, 1, 6)))[0].shape == (3, 1, 3)
    with pytest.raises(ValueError, match=r"blocks\[3\]: x has shape .* input_size=10"):
        open_ended(np.zeros((4, 1, 7)))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: MaxPool2d((2, 0)), ValueError, "kernel_size.width is 0; expected at least 1"),
        (lambda: MaxPool2d(3, 0), ValueError, "stride.height is 0; expected at least 1"),
        (lambda: MaxPool2d(3, padding=(1, 2)), ValueError, "padding.width is 2; expected 0 to 1"),
        (lambda: AvgPool2d(3, divisor_override=0), ValueError, "divisor_override is 0"),
        (lambda: BatchNorm2d(0), ValueError, "num_features is 0; expected at least 1"),
        (
            lambda: BatchNorm2d(3).forward(np.ones((1, 3, 1, 1), np.float32)),
            ValueError,
            "x has 1 row; expected at least 2 in training",
        ),
        (
            lambda: Chain([Image(8), MaxPool2d(2), Columns()]).sessions(1),
            ValueError,
            "a Image has no s",
        ),
        (lambda: Conv2d(3, 4, 0), ValueError, "kernel_size.height is 0; expected at least 1"),
        (lambda: Conv2d(3, 4, (1, 0)), ValueError, "kernel_size.width is 0"),
        (
            lambda: Conv2d(3, 4, (1, 2, 3)),
            ValueError,
            "kernel_size has 3 numbers; expected",
        ),
        (lambda: Conv2d(3, 4, 1.5), TypeError, "kernel_size is a float"),
        (lambda: Conv2d(3, 4, (1, 1.5)), TypeError, r"kernel_size\[1\] is a float"),
        (lambda: Conv2d(3, 4, 2, groups=2), ValueError, "in_channels is 3; expected a multiple"),
        (lambda: Conv2d(3, 4, 2, padding="full"), ValueError, 'padding is "full"; expected'),
        (lambda: Conv2d(3, 4, 2, padding="causal"), ValueError, 'padding is "causal"; expected'),
        (lambda: Conv2d(3, 4, 2, padding=-1), ValueError, "padding.height is -1"),
        (lambda: Conv2d(3, 4, 2, 2, "same"), ValueError, r"stride is \(2, 2\); expected 1"),
        (lambda: Conv2d(3, 4, 2**40, dilation=2**40), ValueError, "kernel_size.height"),
        (lambda: Image(0), ValueError, "features is 0; expected at least 1"),
        (
            lambda: Conv2d(3, 4, 2)(np.zeros((1, 2, 5, 5), np.float32)),
            ValueError,
            r"x has shape \(1, 2, 5, 5\); expected \(batch, channels=3, height, width\)",
        ),
        (
            lambda: Conv2d(3, 4, 4)(np.zeros((1, 3, 3, 5), np.float32)),
            ValueError,
            r"x has shape \(1, 3, 3, 5\); expected a height of at least 4",
        ),
        (
            lambda: Conv2d(3, 4, 4)(np.zeros((1, 3, 5, 3), np.float32)),
            ValueError,
            r"x has shape \(1, 3, 5, 3\); expected at least 4 columns of dots",
        ),
        (lambda: Conv2d(3, 4, 4)(np.zeros((1, 3, 5, 5))), TypeError, "x has dtype float64"),
        (
            lambda: Chain([Image(8), Conv2d(1, 2, 3), GRU(12, 2)]),
            ValueError,
            r"blocks\[2\] is a GRU, which reads rows; expected Columns before it",
        ),
        (lambda: Chain([Image(8), LayerNorm(8)]), ValueError, r"blocks\[1\] is a LayerNorm, which"),
        (
            lambda: Chain([Image(8), Pool("max")]),
            ValueError,
            r"blocks\[1\] is a Pool, which",
        ),
        (
            lambda: Chain([GRU(2, 3), Conv2d(1, 2, 3)]),
            ValueError,
            r"blocks\[1\] is a Conv2d, which reads images; expected an Image before it",
        ),
        (
            lambda: Chain([Image(8), Conv2d(2, 2, 3)]),
            ValueError,
            r"blocks\[1\] has 2 channels; expected 1, those of the images before it",
        ),
        (
            lambda: Chain([Image(8), Conv2d(1, 2, 9)]),
            ValueError,
            r"blocks\[1\] gets images of height 8, lower than its windows",
        ),
        (
            lambda: Chain([Image(8), Conv2d(1, 2, 3), Columns(), GRU(16, 2)]),
            ValueError,
            r"blocks\[3\] has input_size 16; expected 12",
        ),
        (
            lambda: Chain([Image(8), Parallel([Conv2d(1, 2, 3), Conv2d(1, 2, 1)])]),
            ValueError,
            r"blocks\[1\].* joins images of heights \[6, 8\]",
        ),
        (
            lambda: Chain([Image(8), Columns(), GRU(8, 2)]).stream(),
            ValueError,
            "a Image has no stream",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
