"""Convolutions of each width of a panel, in float32 with a half vector, of few and many taps.

Where kernels branch on sizes: vectors of outputs and a half one, panels, runs of taps, windows over
the ends of sequences, more of a panel than a cache holds; and groups of one channel, which are
summed a vector of them at a time.
"""

import numpy as np
import pytest

from gru_native import Chain, Conv1d, Conv2d
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
functional = torch.nn.functional

CHANNELS = [(2, 8), (8, 8), (16, 16), (6, 24), (24, 24), (24, 40), (8, 56), (7, 24), (10, 3)]
CHANNELS += [(16, 80), (3, 1), (1, 16), (20, 13), (4, 132)]
DEPTHWISE = [2, 3, 7, 8, 15, 16, 17, 40, 131]


def with_gradients(layer, x, by_torch):
    """y and all gradients by the layer, and by torch in float64."""
    y, tape = layer.forward(x)
    assert_same_bits(layer(x), y)
    dy = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    ours = layer.backward(tape, dy)
    given = torch.tensor(x.astype(np.float64), requires_grad=True)
    weights = {
        name: torch.tensor(w.astype(np.float64), requires_grad=True)
        for name, w in layer.state_dict().items()
    }
    expected = by_torch(given, weights["weight"], weights["bias"])
    (expected * torch.tensor(dy)).sum().backward()
    yield "y", y, expected
    yield "x", ours.x, given.grad
    for name, w in ours.weights.items():
        yield name, w, weights[name].grad


def check(layer, x, by_torch):
    tolerance = 1e-11 if x.dtype == np.float64 else 3e-6
    for name, actual, expected in with_gradients(layer, x, by_torch):
        assert_close(actual, expected.detach().numpy(), tolerance, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_over_time_as_torch(inputs, outputs, dtype):
    layer = Conv1d(inputs, outputs, 4, padding=3, stride=2, dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((61, 3, inputs)).astype(dtype)

    def by_torch(x, weight, bias):
        y = functional.conv1d(x.permute(1, 2, 0), weight, bias, stride=2, padding=3)
        return y.permute(2, 0, 1)

    check(layer, x, by_torch)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_of_images_as_torch(inputs, outputs, dtype):
    layer = Conv2d(inputs, outputs, (3, 2), padding=(1, 2), stride=(1, 2), dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((2, inputs, 9, 17)).astype(dtype)
    check(layer, x, lambda x, w, b: functional.conv2d(x, w, b, stride=(1, 2), padding=(1, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", [2, 3])
def test_groups_of_half_a_vector_as_torch(groups, dtype):
    layer = Conv2d(groups * 4, groups * 24, 3, padding=1, groups=groups, dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((2, groups * 4, 6, 11)).astype(dtype)
    check(layer, x, lambda x, w, b: functional.conv2d(x, w, b, padding=1, groups=groups))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_panel_larger_than_a_cache_as_torch(dtype):
    layer = Conv1d(160, 70, 9, padding=4, dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((33, 2, 160)).astype(dtype)

    def by_torch(x, weight, bias):
        return functional.conv1d(x.permute(1, 2, 0), weight, bias, padding=4).permute(2, 0, 1)

    check(layer, x, by_torch)


@pytest.mark.parametrize("seq_len", [1, 2, 3, 5, 9, 40])
@pytest.mark.parametrize("padding", ["causal", "same", 4, 11])
def test_windows_over_both_ends_as_torch(padding, seq_len):
    layer = Conv1d(5, 7, 3, padding=padding, dilation=4, dtype=np.float64, seed=1)
    x = np.random.default_rng(0).standard_normal((seq_len, 2, 5))
    left, right = {"causal": (8, 0), "same": (4, 4)}.get(padding, (padding, padding))
    if seq_len + left + right < 9:
        pytest.skip("shorter than a window")

    def by_torch(x, weight, bias):
        padded = functional.pad(x.permute(1, 2, 0), (left, right))
        return functional.conv1d(padded, weight, bias, dilation=4).permute(2, 0, 1)

    check(layer, x, by_torch)


@pytest.mark.parametrize(("inputs", "outputs"), CHANNELS)
def test_same_bits_alone_in_streams_and_on_any_number_of_threads(inputs, outputs, threads):
    layer = Conv1d(inputs, outputs, 3, dilation=2, seed=1)
    x = np.random.default_rng(0).standard_normal((200, 5, inputs)).astype(np.float32)
    y, tape = layer.forward(x)
    assert_same_bits(layer(x), y)
    assert_same_bits(layer(x[:, 1:2]), y[:, 1:2])
    stream, alone = Chain([layer]).stream(5), Chain([layer]).stream(1)
    parts = [stream(x[0])[None], stream(x[1:2]), stream(x[2:9]), stream(x[9:])]
    assert_same_bits(np.concatenate(parts), y)
    parts = [alone(x[:1, 3:4]), alone(x[1:2, 3:4]), alone(x[2:, 3:4])]
    assert_same_bits(np.concatenate(parts), y[:, 3:4])
    grads = layer.backward(tape, y)
    threads(1)
    one, tape = layer.forward(x)
    assert_same_bits(one, y)
    again = layer.backward(tape, y)
    assert_same_bits(again.x, grads.x)
    assert_same_bits(
        layer.backward(tape, y, input_gradient=False).weights["weight"], grads.weights["weight"]
    )
    for name, w in again.weights.items():
        assert_same_bits(grads.weights[name], w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", DEPTHWISE)
def test_depthwise_over_time_as_torch(channels, dtype):
    options = {"stride": 2, "padding": 3, "dilation": 2, "groups": channels}
    layer = Conv1d(channels, channels, 4, **options, dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((61, 3, channels)).astype(dtype)

    def by_torch(x, weight, bias):
        return functional.conv1d(x.permute(1, 2, 0), weight, bias, **options).permute(2, 0, 1)

    check(layer, x, by_torch)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", DEPTHWISE)
@pytest.mark.parametrize("kernel", [(3, 2), (1, 1), (5, 3)])
def test_depthwise_of_images_as_torch(kernel, channels, dtype):
    options = {"stride": (1, 2), "padding": (1, 2), "groups": channels}
    layer = Conv2d(channels, channels, kernel, **options, dtype=dtype, seed=1)
    x = np.random.default_rng(0).standard_normal((2, channels, 9, 17)).astype(dtype)
    check(layer, x, lambda x, w, b: functional.conv2d(x, w, b, **options))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", DEPTHWISE)
def test_depthwise_same_bits_in_parts(channels, dtype, threads):
    """Alone, in streams, of ragged batches, and on any number of threads."""
    layer = Conv1d(channels, channels, 3, padding="causal", groups=channels, dtype=dtype, seed=1)
    random = np.random.default_rng(0)
    x, lengths = random.standard_normal((200, 5, channels)).astype(dtype), [3, 200, 71, 1, 64]
    y, tape = layer.forward(x)
    assert_same_bits(layer(x[:, 1:2]), y[:, 1:2])
    stream = Chain([layer]).stream(5)
    assert_same_bits(np.concatenate([stream(x[0])[None], stream(x[1:9]), stream(x[9:])]), y)
    ragged, ragged_tape = layer.forward(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert_same_bits(ragged[:length, row], y[:length, row])
    dy = random.standard_normal(y.shape).astype(dtype)
    kept = [layer.backward(tape, dy), layer.backward(ragged_tape, dy)]
    threads(1)
    for seen, options in zip(kept, [{}, {"lengths": lengths}], strict=True):
        one, tape = layer.forward(x, **options)
        assert_same_bits(one, ragged if options else y)
        grads = layer.backward(tape, dy)
        assert_same_bits(grads.x, seen.x)
        for name, w in grads.weights.items():
            assert_same_bits(seen.weights[name], w)


def test_depthwise_is_what_each_channel_is_alone():
    layer = Conv1d(40, 40, 5, padding=2, dilation=3, groups=40, activation="tanh", seed=1)
    weights = layer.state_dict()
    x = np.random.default_rng(0).standard_normal((90, 2, 40)).astype(np.float32)
    y = layer(x)
    for c in (0, 15, 16, 39):
        alone = Conv1d(1, 1, 5, padding=2, dilation=3, activation="tanh")
        alone.load_state_dict({name: w[c : c + 1] for name, w in weights.items()})
        assert_same_bits(alone(x[:, :, c : c + 1]), y[:, :, c : c + 1])
