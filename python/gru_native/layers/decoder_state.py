"""What a decoder's calls return beside the logits."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from .. import _core
from ._recurrent import StateLike
from ._weights import Array

DecoderTape: TypeAlias = _core.DecoderTape32 | _core.DecoderTape64


class DecoderState(NamedTuple):
    """Where a decoder stands after a step, or the gradient of that.

    Attributes
    ----------
    layers : ndarray or tuple of two
        h, or for the LSTM (h, c), each (num_layers, batch, hidden_size).
    context : ndarray or None
        The contexts of all memories side by side, (batch, num_memories * memory_size). None with
        ``attention=None``. As an argument None means zeros.
    weights : tuple of ndarray
        With location attention for each memory the attention weights of the last step, (batch,
        src_len); otherwise empty. As an argument ``()`` means zeros.
    """

    layers: Any
    context: Any = None
    weights: Any = ()


class DecoderGradients(NamedTuple):
    """What ``AttentionDecoder.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    memory : ndarray or list of ndarray
        The gradient of the memory, or with several of each; 0 past its length.
    state : DecoderState
        The gradient of the initial state.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    memory: Array | list[Array]
    state: DecoderState
    weights: dict[str, Array]


def parts_of(state: StateLike | DecoderState | None) -> tuple[Any, Any, Any]:
    """The layers' state, the context and the weights."""
    if isinstance(state, DecoderState):
        return state.layers, state.context, list(state.weights or ()) or None
    return state, None, None
