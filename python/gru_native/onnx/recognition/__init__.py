"""Which chain of layers a graph is."""

from .recognise import Recognition, recognise

__all__ = ["Recognition", "recognise"]
