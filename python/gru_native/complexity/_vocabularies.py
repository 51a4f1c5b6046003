"""Softmax layers over large vocabularies, as they are counted."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..layers._arguments import flag, size
from ..losses import ClassSoftmax, NoiseContrastive, SampledSoftmax, TreeSoftmax
from ._arguments import at_least
from ._count import Count
from ._dense import LOG_SOFTMAX
from ._losses import LOG_P, NORMALIZER, NORMALIZER_ROW, SCALED
from ._roofline import Weights
from ._work import Passes, Product, Tensor, Work, ops, times

LargeSoftmax: TypeAlias = SampledSoftmax | NoiseContrastive | ClassSoftmax | TreeSoftmax
LARGE_SOFTMAXES = (SampledSoftmax, NoiseContrastive, ClassSoftmax, TreeSoftmax)

# As in cpp/losses/vocabulary/learn.cpp, of a row of n scores: its cross-entropy; that with the
# target's own score beside them; with noise, of each score and of the target's own.
CROSS_ENTROPY_ROW = NORMALIZER_ROW + LOG_P + ops(add=1)
SAMPLED_ROW = NORMALIZER_ROW + ops(select=1, add=7, exp=3, log=1, multiply=1)
NOISE = ops(softplus=1, sigmoid=1, multiply=3, add=1)
NOISE_ROW = ops(softplus=1, sigmoid=1, multiply=1)
NODE = ops(softplus=1, sigmoid=1, multiply=3, add=1)  # of a tree


@dataclass(frozen=True)
class Looked:
    """What a training step looks at: groups of words that rows share, and single words of rows."""

    groups: tuple[tuple[str, int, int], ...]  # role, rows and words
    singles: int  # of all rows together
    words: int  # different ones, in `weight`


def count_large_softmax(
    layer: LargeSoftmax,
    targets: ArrayLike,
    *,
    ignore: int | None = None,
    samples: int | None = None,
    training: bool = True,
) -> Count:
    """Count a training step of a softmax over a large vocabulary, or an exact evaluation.

    Parameters
    ----------
    layer : SampledSoftmax, NoiseContrastive, ClassSoftmax or TreeSoftmax
        With or without weights.
    targets : array_like of int
        (...), each a word: its class or its way through the tree says what is computed.
    ignore : int, optional
        Rows with this target are not computed.
    samples : int, optional
        How many different words are drawn, which depends on the seed; None means num_samples, the
        most that can be. Only of layers that draw.
    training : bool, optional
        Whether to count ``forward`` and the ``backward`` that follows it, or else the exact loss
        that calling the layer gives.

    Returns
    -------
    Count
        All figures. What it costs to draw words, to find them and to compute log Q(v) is not
        counted. In bytes, words are taken to be different from those that are drawn.

    Raises
    ------
    ValueError
        For a target outside the vocabulary, and for samples out of range.
    TypeError
        For another kind of layer or argument.
    """
    if not isinstance(layer, LARGE_SOFTMAXES):
        raise TypeError(
            f"layer is {_core.a_type(layer)}; expected a softmax over a large vocabulary"
        )
    words = _words(layer, targets, None if ignore is None else size("ignore", ignore))
    if samples is not None and not isinstance(layer, (SampledSoftmax, NoiseContrastive)):
        raise ValueError(f"samples is {samples}; expected None of a layer that draws no words")
    training, rows = flag("training", training), len(words)
    looked = _looked(layer, words, samples)
    if not training and isinstance(layer, (SampledSoftmax, NoiseContrastive)):
        looked = Looked((("output", rows, layer.vocab_size),), 0, layer.vocab_size)
        passes = _exact(layer, rows)
    else:
        passes = _step(layer, looked, rows)
        passes = passes if training else Passes(passes.forward)
    kept = {
        "inputs": rows * layer.input_size,
        "words": looked.words * (layer.input_size + 1),
        "scores": looked.singles + sum(n * m for _, n, m in looked.groups),
    }
    return Count(
        layer=repr(layer),
        extent={"rows": rows, "words": looked.words},
        tensors=tensors_of_words(layer),
        passes=passes,
        textbook=passes,
        kept=kept if training else {},
        reads=(Weights(looked.words * layer.input_size, 0),),
        moved=rows * layer.input_size,
    )


def _words(layer: LargeSoftmax, targets: ArrayLike, ignore: int | None) -> NDArray[np.int64]:
    """Of the rows that count."""
    given = _core.numpy_array("targets", targets, "whole numbers")
    if given.dtype.kind not in "iu":
        raise TypeError(f"targets has dtype {given.dtype}; expected whole numbers")
    own = given.astype(np.int64).ravel()
    own = own if ignore is None else own[own != ignore]
    for word in own[(own < 0) | (own >= layer.vocab_size)][:1]:
        raise ValueError(f"targets holds {word}; expected 0 to {layer.vocab_size - 1}")
    return own


def tensors_of_words(layer: LargeSoftmax) -> tuple[Tensor, ...]:
    """All weights, in the order of ``layer.weights``."""
    shapes = {"": layer.vocab_size - isinstance(layer, TreeSoftmax)}
    if isinstance(layer, ClassSoftmax):
        shapes["class_"] = int(_classes(layer).max()) + 1
    result = []
    for prefix, rows in shapes.items():
        result.append(Tensor(f"{prefix}weight", (rows, layer.input_size), "output"))
        result += [Tensor(f"{prefix}bias", (rows,), "bias")] * layer.bias
    return tuple(result)


def _looked(layer: LargeSoftmax, words: NDArray[np.int64], samples: int | None) -> Looked:
    rows = len(words)
    if isinstance(layer, ClassSoftmax):
        classes = _classes(layer)
        sizes = np.bincount(classes)
        groups = [("output", n, int(sizes[c])) for c, n in Counter(classes[words].tolist()).items()]
        grouped = sum(n for _, _, n in groups)
        return Looked((("class", rows, len(sizes)), *groups), 0, grouped)
    if isinstance(layer, TreeSoftmax):
        above, ways, nodes = _above(layer), 0, set[int]()
        for word, n in Counter(words.tolist()).items():
            way = _way(above, word)
            ways += n * len(way)
            nodes.update(way)
        return Looked((), ways, len(nodes))
    drawn = layer.num_samples if samples is None else at_least("samples", samples, 1)
    if drawn > layer.num_samples:
        raise ValueError(f"samples is {drawn}; expected at most num_samples={layer.num_samples}")
    different = min(layer.vocab_size, drawn + len(set(words.tolist())))
    return Looked((("output", rows, drawn),), rows, different)


def _step(layer: LargeSoftmax, looked: Looked, rows: int) -> Passes:
    """A loss with its gradient by the scores, then the backward from them."""
    d = layer.input_size
    groups = [Product(role, n, d, times) for role, times, n in looked.groups]
    back = [Product(role, d, n, times) for role, times, n in looked.groups]
    single = [Product("output", 1, d, looked.singles)] if looked.singles else []
    single_back = [Product("output", d, 1, looked.singles)] if looked.singles else []
    operations = ops(add=rows, divide=2)  # the mean, and what a gradient is divided by
    for role, n, words in looked.groups:
        if isinstance(layer, NoiseContrastive):
            operations += times(n, times(words, NOISE) + NOISE_ROW)
        else:
            of_row = SAMPLED_ROW if isinstance(layer, SampledSoftmax) else CROSS_ENTROPY_ROW
            operations += times(n, times(words, NORMALIZER + SCALED) + of_row)
            # A row's loss is the sum of that of its class and that of its word.
            operations += ops(add=n * (isinstance(layer, ClassSoftmax) and role == "output"))
    if isinstance(layer, TreeSoftmax):
        operations += times(looked.singles, NODE)
    scores = looked.singles + sum(n * words for _, n, words in looked.groups)
    return Passes(
        Work((*groups, *single), operations),
        Work((*back, *single_back), ops(multiply=rows * d)),  # by dloss
        Work((*groups, *single), ops(add=scores * layer.bias)),
    )


def _exact(layer: SampledSoftmax | NoiseContrastive, rows: int) -> Passes:
    """The softmax over all words."""
    words = layer.vocab_size
    product = (Product("output", words, layer.input_size, rows),)
    of_row = times(words, LOG_SOFTMAX.forward) + ops(log=1)
    return Passes(Work(product, times(rows, of_row) + ops(add=rows, divide=1)))


def _classes(layer: ClassSoftmax) -> NDArray[np.int64]:
    """Of each word."""
    if layer.classes is not None:
        return layer.classes
    return np.arange(layer.vocab_size) // math.ceil(math.sqrt(layer.vocab_size))


def _above(layer: TreeSoftmax) -> Sequence[int]:
    """Of each word, and then of each node in the order in which they are made, what is above it."""
    words = layer.vocab_size
    above = [-1] * (2 * words - 1)
    if layer.counts is None:
        parts, made = [(0, words, -1)], words
        while parts:
            begin, end, over = parts.pop()
            own = begin
            if end - begin > 1:
                own, made = made, made + 1
                middle = begin + (end - begin + 1) // 2
                parts += [(begin, middle, own), (middle, end, own)]
            above[own] = over
        return above
    # As in cpp/losses/vocabulary/word_tree.cpp: the least is joined first.
    least = [(count, word) for word, count in enumerate(layer.counts.tolist())]
    heapq.heapify(least)
    for node in range(words, 2 * words - 1):
        count = 0.0
        for _ in range(2):
            own, child = heapq.heappop(least)
            count += own
            above[child] = node
        heapq.heappush(least, (count, node))
    return above


def _way(above: Sequence[int], word: int) -> list[int]:
    """The nodes over a word."""
    way = []
    node = above[word]
    while node >= 0:
        way.append(node)
        node = above[node]
    return way
