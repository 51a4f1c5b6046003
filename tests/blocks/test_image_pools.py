"""Pools and batch normalisation of images against PyTorch in float64."""

import numpy as np
import pytest

from gru_native import AvgPool2d, BatchNorm2d, MaxPool2d, complexity
from helpers import assert_close, assert_same_bits
from images import both, compare, pair

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def random_pool(seed, dtype=np.float64):
    """A pool with random options, torch's function of it, and how large an image must be."""
    random = np.random.default_rng(seed)
    kernel = pair(random, 1, 5)
    padding = tuple(int(random.integers(0, k // 2 + 1)) for k in both(kernel))
    options = {
        "kernel_size": kernel,
        "stride": pair(random, 1, 5) if random.integers(3) else None,
        "padding": padding,
        "ceil_mode": bool(random.integers(2)),
    }
    if seed % 2:
        options["dilation"] = pair(random, 1, 3)
        layer, function = MaxPool2d(**options, dtype=dtype), functional.max_pool2d
    else:
        options["count_include_pad"] = bool(random.integers(2))
        options["divisor_override"] = 5 if random.integers(3) == 0 else None
        layer, function = AvgPool2d(**options, dtype=dtype), functional.avg_pool2d
    dilation = both(options.get("dilation", 1))
    least = [(k - 1) * d + 1 for k, d in zip(both(kernel), dilation, strict=True)]
    return layer, lambda x, _: function(x[None], **options)[0], least, random


@pytest.mark.parametrize("seed", range(80))
def test_pools_as_torch(seed):
    layer, function, (height, least), random = random_pool(seed)
    height, width = (n + int(random.integers(0, 9)) for n in (height, least))
    compare(layer, function, (int(random.integers(1, 4)), 19, height, width), least, random)


def test_the_first_of_equal_numbers_is_the_largest_and_nan_stays():
    x = np.maximum(np.random.default_rng(0).standard_normal((2, 3, 9, 8)) - 1, 0)
    x[0, 1, 2, 3] = np.nan
    given = torch.tensor(x, requires_grad=True)
    expected = functional.max_pool2d(given, 3, 2, 1)
    layer = MaxPool2d(3, 2, 1, dtype=np.float64)
    y, tape = layer.forward(x)
    assert_same_bits(y, expected.detach().numpy())
    dy = np.random.default_rng(1).standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    assert_close(layer.backward(tape, dy).x, given.grad.numpy(), 1e-15)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_batch_norm_as_torch(seed, training):
    random = np.random.default_rng(seed)
    options = {
        "eps": float(random.choice([1e-5, 0.1])),
        "momentum": float(random.choice([0.1, 1.0])),
        "affine": bool(random.integers(2)),
    }
    channels, height = int(random.integers(1, 40)), int(random.integers(1, 6))
    ours = BatchNorm2d(channels, **options, dtype=np.float64)
    theirs = torch.nn.BatchNorm2d(channels, **options, dtype=torch.float64).train(training)
    state = {n: random.uniform(0.5, 2, w.shape) for n, w in ours.weights.items()}
    ours.load_state_dict(state)
    theirs.load_state_dict({n: torch.tensor(w) for n, w in state.items()}, strict=False)
    lengths = [7, 3, 5] if random.integers(2) else [7, 7, 7]
    x, dy = random.standard_normal((2, 3, channels, height, 7)) + 3
    present = np.arange(7) < np.array(lengths)[:, None]  # (batch, width)
    x.transpose(0, 3, 1, 2)[~present] = np.nan
    packed = torch.tensor(x.transpose(0, 3, 1, 2)[present], requires_grad=True)  # (places, C, H)
    expected = theirs(packed[..., None])[..., 0]
    expected.backward(torch.tensor(dy.transpose(0, 3, 1, 2)[present]))
    y, tape = ours.forward(x, lengths=lengths, training=training)
    if not training:
        assert_same_bits(ours(x, lengths=lengths), y)
    assert_close(y.transpose(0, 3, 1, 2)[present], expected.detach().numpy(), 1e-11)
    assert not y.transpose(0, 3, 1, 2)[~present].any()
    x[...] = 7
    grads = ours.backward(tape, dy)
    assert_close(grads.x.transpose(0, 3, 1, 2)[present], packed.grad.numpy(), 1e-11)
    assert not grads.x.transpose(0, 3, 1, 2)[~present].any()
    assert set(grads.weights) == {n for n, _ in theirs.named_parameters()}
    for name, w in theirs.named_parameters():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)
    if training:
        ours.update_statistics(tape)
        for name in ("running_mean", "running_var"):
            assert_close(ours.weights[name], theirs.state_dict()[name].numpy(), 1e-11)


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_counts(kind):
    pool = (complexity.MaxPool2d if kind == "max" else complexity.AvgPool2d)(2, (2, 1), 1)
    conv = complexity.Conv2d(1, 3, (3, 2), (2, 1), bias=False)
    c = complexity.count(
        complexity.Chain([complexity.Image(9), conv, pool, complexity.BatchNorm2d(3)]), 6, 2
    )
    # heights 9, 4, 3 with windows of 1, 2, 1 places; widths 6, 5, 6 with 1, 2, 2, 2, 2, 1
    assert c.forward.macs == 2 * 3 * (4 * 5) * 6
    assert c.passes.to_weights.macs == c.forward.macs
    more = 2 * 3 * sum(a * b - 1 for a in (1, 2, 1) for b in (1, 2, 2, 2, 2, 1))
    made = 2 * 3 * 3 * 6
    norm = {"add": made, "multiply": made}
    window = {"select": more} if kind == "max" else {"add": more + made, "divide": made}
    assert c.passes.forward.elementwise == {**norm, **window}
    with pytest.raises(ValueError, match="does not know how high images are"):
        complexity.count(conv, 6)
    with pytest.raises(ValueError, match="expected an Image with features"):
        complexity.count(complexity.Chain([complexity.Image(), conv]), 6)
