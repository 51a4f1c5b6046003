"""Losses of sequences and of large vocabularies, each with its exact gradient."""

from ._functions import cross_entropy, ctc, transducer

__all__ = ["cross_entropy", "ctc", "transducer"]
