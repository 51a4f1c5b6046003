"""Recurrent layers that were written out step by step, as the nodes that ONNX has for them."""

from .rewrite import with_layers

__all__ = ["with_layers"]
