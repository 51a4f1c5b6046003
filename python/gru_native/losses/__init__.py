"""Losses of sequences and of large vocabularies, each with its exact gradient."""

from ._functions import cross_entropy, ctc, transducer
from ._large_softmax import LargeSoftmaxGradients, LargeSoftmaxTape
from .class_softmax import ClassSoftmax
from .noise_contrastive import NoiseContrastive
from .sampled_softmax import SampledSoftmax
from .tree_softmax import TreeSoftmax

__all__ = [
    "ClassSoftmax",
    "LargeSoftmaxGradients",
    "LargeSoftmaxTape",
    "NoiseContrastive",
    "SampledSoftmax",
    "TreeSoftmax",
    "cross_entropy",
    "ctc",
    "transducer",
]
