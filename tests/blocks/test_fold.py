"""Batch normalisations as part of the products before them."""

import numpy as np
import pytest

import gru_native
from gru_native import (
    GRU,
    BatchNorm1d,
    BatchNorm2d,
    Chain,
    Columns,
    Conv1d,
    Conv2d,
    Dense,
    Image,
    Parallel,
    Residual,
    fold,
)
from helpers import assert_close, assert_same_bits


def network(dtype):
    o = {"dtype": dtype}
    image = [Conv2d(1, 4, 3, groups=1, seed=1, **o), BatchNorm2d(4, eps=0.1, **o)]
    inner = Chain([Conv2d(4, 4, 3, padding=1, groups=2, bias=False, **o), BatchNorm2d(4, **o)])
    return Chain(
        [
            BatchNorm1d(8, **o),  # behind nothing
            Image(8, **o),
            *image,
            Residual(inner),
            Conv2d(4, 4, 1, activation="relu", seed=3, **o),
            BatchNorm2d(4, **o),  # behind a function
            Columns(**o),
            Parallel([Chain([Conv1d(24, 6, 2, **o), BatchNorm1d(6, affine=False, **o)])]),
            Dense(6, 5, bias=False, seed=5, **o),
            BatchNorm1d(5, **o),
            GRU(5, 3, seed=6, **o),
            BatchNorm1d(3, **o),
        ]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_numbers_without_norms(dtype, tmp_path):
    model, random = network(dtype), np.random.default_rng(0)
    with model.editing() as w:
        for weight in w.values():
            weight[...] = random.uniform(0.2, 1.5, weight.shape)
    before = model.state_dict()
    made = fold(model)
    shown = repr(made)
    assert (repr(model).count("BatchNorm"), shown.count("BatchNorm")) == (7, 3)
    assert shown.count("Residual(Chain([Conv2d(4, 4, 3, padding=1, groups=2,") == 1
    x = random.standard_normal((7, 2, 8)).astype(dtype)
    y, _ = made(x, lengths=[7, 5])
    assert_close(y, model(x, lengths=[7, 5])[0], 1e-12 if dtype == np.float64 else 1e-5)
    for name, weight in before.items():
        assert_same_bits(model.weights[name], weight)
    gru_native.save(made, tmp_path / "model.safetensors")
    assert_same_bits(gru_native.load(tmp_path / "model.safetensors")(x)[0], made(x)[0])
    assert repr(fold(made)) == shown


def test_a_stream_and_few_bits():
    model = Chain([Conv1d(3, 4, 2, seed=1), BatchNorm1d(4), Dense(4, 2, seed=2), BatchNorm1d(2)])
    x = np.random.default_rng(0).standard_normal((9, 1, 3)).astype(np.float32)
    made = fold(model)
    stream = made.stream()
    assert_same_bits(np.concatenate([stream(row)[None] for row in x]), made(x)[0])
    assert [type(b) for b in fold(model.quantize("int8")).blocks] == [Conv1d, Dense, BatchNorm1d]
    with pytest.raises(TypeError, match="model is a Dense; expected a Chain"):
        fold(Dense(3, 2))
