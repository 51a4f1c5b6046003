"""Random options of images' blocks, and calls of these against PyTorch."""

import numpy as np
import pytest

import gru_native
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
both = gru_native.layers._sides.both


def pair(random, low, high):
    """One number or two."""
    two = tuple(int(n) for n in random.integers(low, high, 2))
    return two if random.integers(2) else two[0]


def compare(layer, by_torch, shape, least, random):
    """Forward and backward of a random call; by_torch(image, weights): of one image."""
    batch, width = shape[0], shape[3]
    x = random.standard_normal(shape)
    ragged = bool(random.integers(2))
    lengths = random.integers(least, width + 1, batch) if ragged else np.full(batch, width)
    options = {"lengths": lengths} if ragged else {}
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in layer.state_dict().items()}
    inputs = [torch.tensor(x[b, :, :, :n], requires_grad=True) for b, n in enumerate(lengths)]
    y, tape = layer.forward(x, **options)
    assert_same_bits(layer(x, **options), y)
    dy, loss = random.standard_normal(y.shape), 0
    for b, part in enumerate(inputs):
        expected = by_torch(part, weights)
        n = expected.shape[-1]
        assert_close(y[b, :, :, :n], expected.detach().numpy(), 1e-11)
        assert not y[b, :, :, n:].any()
        loss = loss + (expected * torch.tensor(dy[b, :, :, :n])).sum()
    loss.backward()
    x += 1  # the tape has copies of all it needs
    grads = layer.backward(tape, dy)
    for b, part in enumerate(inputs):
        assert_close(grads.x[b, :, :, : part.shape[-1]], part.grad.numpy(), 1e-11)
        assert not grads.x[b, :, :, part.shape[-1] :].any()
    assert grads.x.shape == x.shape
    for name, w in grads.weights.items():
        assert_close(w, weights[name].grad.numpy(), 1e-11)
