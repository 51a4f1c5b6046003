"""Executed work of softmax layers over large vocabularies, against gru_native.complexity."""

import numpy as np
import pytest

from executed_work import check, counted, executed, numbers, pick
from gru_native import complexity, losses


def random_layer(kind, rng, **options):
    """Of any sizes, and its vocabulary."""
    columns, words = (int(n) for n in rng.integers([1, 4], [40, 60]))
    options = {"dtype": pick(rng, np.float32, np.float64), "bias": bool(rng.integers(2)), **options}
    if kind == "ClassSoftmax":
        many = int(rng.integers(1, words))
        classes = rng.permutation(np.arange(words) % many)
        options["classes"] = pick(rng, None, classes)
    elif kind == "TreeSoftmax":
        options["counts"] = pick(rng, None, rng.integers(0, 9, words) ** 2)
    else:
        options["proposal"] = pick(rng, "uniform", "log_uniform", rng.random(words) + 0.1)
        columns = columns, words, int(rng.integers(2, words + 1))
        return getattr(losses, kind)(*columns, seed=1, **options)
    return getattr(losses, kind)(columns, words, seed=1, **options)


@pytest.mark.parametrize(
    "kind", ["SampledSoftmax", "NoiseContrastive", "ClassSoftmax", "TreeSoftmax"]
)
@pytest.mark.parametrize("seed", range(40))
def test_step_and_evaluation(seed, kind, threads):
    rng = np.random.default_rng(seed)
    layer = random_layer(kind, rng)
    targets = rng.integers(0, layer.vocab_size, int(rng.integers(1, 50)))
    ignore = pick(rng, None, int(targets[0]))
    x = numbers(rng, layer.dtype, len(targets), layer.input_size)
    threads(1 + seed % 3)
    options = {"ignore": ignore}
    if kind in ("SampledSoftmax", "NoiseContrastive"):
        # One word alone may be a row's target, and then there is no other.
        seed = next(other for other in range(seed, seed + 99) if drawn(layer, other) > 1)
        options["samples"] = drawn(layer, seed)
    step = complexity.count_large_softmax(layer, targets, **options)
    check(layer, lambda: layer.forward(x, targets, ignore=ignore, seed=seed), step)
    exact = complexity.count_large_softmax(layer, targets, ignore=ignore, training=False)
    assert executed(layer, x, targets, ignore=ignore)[1] == counted(exact.passes)[0]
    assert {t.name: t.shape for t in step.tensors} == {
        name: a.shape for name, a in layer.weights.items()
    }
    assert step.parameters == layer.num_parameters


def drawn(layer, seed):
    """How many different words: those whose rows have a gradient, whatever the target is."""
    x = np.zeros((1, layer.input_size), layer.dtype)
    tapes = (layer.forward(x, [word], seed=seed)[1] for word in (0, 1))
    rows = [set(layer.backward(tape).weights["weight"].rows.tolist()) for tape in tapes]
    return len(rows[0] & rows[1])
