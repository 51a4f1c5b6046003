"""Counts of softmax layers over large vocabularies, by hand, and what they refuse."""

import numpy as np
import pytest

from gru_native import complexity, losses


def test_samples_by_hand():
    # 3 rows of 5 numbers, one of them ignored; 4 different words among 6 draws, and each target.
    layer = losses.SampledSoftmax(5, 100, 6, seed=0)
    c = complexity.count_large_softmax(layer, [7, 0, 9], ignore=0, samples=4)
    for work in (c.forward, c.to_inputs, c.to_weights):
        assert work.macs == 2 * (4 + 1) * 5
    # max, a - max and exp for each; two exponentials put the target beside them, a third in da.
    assert c.forward.elementwise["exp"] == 2 * (4 + 4 + 3)
    assert c.to_weights.elementwise == {"add": 2 * (4 + 1)}
    assert c.to_inputs.elementwise == {"multiply": 2 * 5}
    assert c.parameters == 100 * 5 + 100
    assert c.extent == {"rows": 2, "words": 4 + 2}
    exact = complexity.count_large_softmax(layer, [7, 0, 9], ignore=0, training=False)
    assert exact.forward.macs == 2 * 100 * 5
    assert exact.backward.macs == 0


def test_noise_by_hand():
    layer = losses.NoiseContrastive(5, 100, 6, bias=False, seed=0)
    c = complexity.count_large_softmax(layer, [[7, 8]])
    assert c.forward.macs == 2 * (6 + 1) * 5
    assert c.forward.elementwise["softplus"] == c.forward.elementwise["sigmoid"] == 2 * 7
    assert c.to_weights.elementwise == {}


def test_classes_by_hand():
    # Classes of 3 and 2 words: two rows with the first, one with the second.
    layer = losses.ClassSoftmax(5, 5, classes=[0, 1, 0, 1, 0], seed=0)
    c = complexity.count_large_softmax(layer, [0, 3, 4])
    assert c.forward.macs_by() == {"class": 3 * 2 * 5, "output": (2 * 3 + 1 * 2) * 5}
    assert c.forward.elementwise["log"] == 2 * 3
    assert c.parameters_by_role == {"output": 5 * 5 + 2 * 5, "bias": 5 + 2}
    usual = losses.ClassSoftmax(5, 10, seed=0)  # 4, 4 and 2 words
    assert complexity.count_large_softmax(usual, [9]).forward.macs == (3 + 2) * 5


def test_trees_by_hand():
    # Of 5 words 0 is 3 deep in a balanced tree: below 5, below 3, below 2.
    balanced = losses.TreeSoftmax(4, 5, seed=0)
    depths = [complexity.count_large_softmax(balanced, [w]).forward.macs // 4 for w in range(5)]
    assert depths == [3, 3, 2, 2, 2]
    huffman = losses.TreeSoftmax(4, 5, counts=[1, 2, 4, 8, 16], seed=0)
    depths = [complexity.count_large_softmax(huffman, [w]).forward.macs // 4 for w in range(5)]
    assert depths == [4, 4, 3, 2, 1]
    c = complexity.count_large_softmax(huffman, [0, 1, 4, 4])
    assert c.extent == {"rows": 4, "words": 4}
    assert c.forward.elementwise["softplus"] == 4 + 4 + 1 + 1


def test_cost_does_not_grow_with_the_vocabulary():
    small, large = (complexity.SampledSoftmax(1024, words, 50) for words in (1000, 10**9))
    steps = [complexity.count_large_softmax(layer, np.arange(99)) for layer in (small, large)]
    assert steps[0].passes == steps[1].passes
    assert large.num_parameters == steps[1].parameters == 1025 * 10**9


@pytest.mark.parametrize(
    ("kind", "sizes", "options"),
    [
        ("SampledSoftmax", (5, 100, 6), {"proposal": np.arange(1, 101)}),
        ("NoiseContrastive", (5, 100, 6), {"proposal": "uniform"}),
        ("ClassSoftmax", (5, 100), {"classes": np.arange(100) % 7}),
        ("TreeSoftmax", (5, 100), {"counts": np.arange(100), "bias": False}),
    ],
)
def test_descriptions(kind, sizes, options):
    layer = getattr(losses, kind)(*sizes, seed=0, **options)
    described = getattr(complexity, kind)(*sizes, **options)
    counts = [complexity.count_large_softmax(k, [3, 99, 3]) for k in (layer, described)]
    assert counts[0] == counts[1]
    assert described.num_parameters == layer.num_parameters
    for use in (described, described.forward, described.log_probability):
        with pytest.raises(TypeError, match="a description has no weights"):
            use(np.ones((1, 5), np.float32), [1])
    for wrong in ((0, *sizes[1:]), (5, 1, *sizes[2:]), (2**40, 2**40, *sizes[2:])):
        messages = []
        for of in (losses, complexity):
            with pytest.raises(ValueError, match=r"expected|memory") as error:
                getattr(of, kind)(*wrong, **options)
            messages.append(str(error.value))
        assert messages[0] == messages[1]


def test_what_cannot_be():
    layer = losses.SampledSoftmax(5, 100, 6, seed=0)
    for options, message in (
        ({"targets": [100]}, "targets holds 100; expected 0 to 99"),
        ({"targets": [1], "samples": 7}, "samples is 7; expected at most num_samples=6"),
        ({"targets": [1], "samples": 0}, "samples is 0; expected at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            complexity.count_large_softmax(layer, **options)
    with pytest.raises(ValueError, match="samples is 2; expected None of a layer that draws no"):
        complexity.count_large_softmax(losses.TreeSoftmax(4, 5, seed=0), [1], samples=2)
    with pytest.raises(TypeError, match="targets has dtype float64; expected whole numbers"):
        complexity.count_large_softmax(layer, [0.5])
    with pytest.raises(TypeError, match="layer is a GRU; expected a softmax"):
        complexity.count_large_softmax(complexity.GRU(2, 3), [0])
