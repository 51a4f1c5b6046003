"""What a decoder does by itself: beam search for a batch, and token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._arguments import flag, memory_for, number, of_dtype, size
from ._pickling import CopiedByCore, attributes_beside, remake, sealed, set_attributes
from ._recurrent import StateLike
from ._weights import Array, Weighted, built, missing
from .decoder_state import DecoderState, parts_of
from .hypotheses import AttendedHypothesis, Hypothesis

HELD = ("decoder", "memory", "memory_lengths", "state", "attention", "attributes")


class DecoderStream(CopiedByCore):
    """A decoder at work token by token: the caller chooses what each step is fed.

    ``AttentionDecoder.stream`` makes one. It is called with a token, and returns the logits of the
    next one. The memory is looked through once, when the stream is made. The weights are those of
    that moment; arrays and decoder may change afterwards. Copies, also by ``copy.copy``, and
    pickles go on from where it is, on their own.

    Parameters
    ----------
    decoder : AttentionDecoder
        What runs.
    memory : array_like or list of array_like
        As in ``AttentionDecoder.stream``.
    memory_lengths : array_like of int or list, optional
        Likewise.
    state : DecoderState, array_like or tuple of two, optional
        Likewise.

    Attributes
    ----------
    batch_size : int
        Sequences side by side.

    Raises
    ------
    ValueError
        For wrong shapes or lengths; the text names the argument.
    TypeError
        For another dtype or kind.
    """

    def __init__(
        self,
        decoder: GeneratingDecoder,
        memory: ArrayLike | Sequence[ArrayLike],
        memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        state: StateLike | DecoderState | None = None,
    ) -> None:
        if not isinstance(decoder, GeneratingDecoder):
            raise TypeError(f"decoder is {_core.a_type(decoder)}; expected an AttentionDecoder")
        memories = decoder._per_memory("memory", memory)
        lengths = decoder._per_memory("memory_lengths", memory_lengths)
        self._make(decoder, memories, lengths, parts_of(state), None)

    def _make(
        self,
        decoder: GeneratingDecoder,
        memory: list[Any],
        memory_lengths: list[Any],
        state: tuple[Any, Any, Any],
        attention: list[Array] | None,
    ) -> None:
        kind: Any = next(base for base in type(decoder).__mro__ if "_arguments" in vars(base))
        options = {name: getattr(decoder, name) for name in kind._arguments}
        self._decoder = kind, {**options, "seed": None}  # not its weights, which may change
        self._core: Any = of_dtype(decoder.dtype, _core.DecoderStream32, _core.DecoderStream64)(
            decoder._core, memory, memory_lengths, state, attention
        )
        self.batch_size: int = self._core.batch_size

    # --- pickles

    def __getstate__(self) -> dict[str, Any]:
        kind, options = self._decoder
        core, *parts = self._core.parts()
        held = {"decoder": built(kind, options, core), **dict(zip(HELD[1:], parts, strict=False))}
        return sealed(held, attributes=attributes_beside(self, "_core", "_decoder"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        remake(self, state, *HELD)

    def _remake(
        self,
        decoder: GeneratingDecoder,
        memory: list[Any],
        memory_lengths: list[Any],
        state: tuple[Any, Any, Any],
        attention: list[Array] | None,
        attributes: dict[str, Any],
    ) -> None:
        if not isinstance(decoder, GeneratingDecoder):
            raise TypeError(f"its decoder is {_core.a_type(decoder)}")
        if not isinstance(state, tuple) or len(state) != 3:
            raise ValueError("its state is no tuple of three")
        if not isinstance(memory, list) or not isinstance(memory_lengths, list):
            raise TypeError("its memories or their lengths are no list")
        set_attributes(self, attributes)
        self._make(decoder, memory, memory_lengths, state, attention)

    # --- steps

    def __call__(self, tokens: ArrayLike) -> Array:
        """Feed every sequence a token.

        Parameters
        ----------
        tokens : array_like of int
            (batch,), or for a memory without a batch one token.

        Returns
        -------
        ndarray
            The logits of the next token, (batch, vocab_size), or without a batch (vocab_size,):
            those of a call of the decoder, bit for bit.

        Raises
        ------
        ValueError
            For a token outside the vocabulary or a wrong shape; the state is then unchanged.
        TypeError
            For anything but whole numbers; likewise.
        RuntimeError
            While another call of this stream is under way; likewise.
        """
        logits: Array = self._core.step(tokens)
        return logits

    @property
    def attention(self) -> Array | list[Array]:
        """Where the last step looked: its attention weights.

        (batch, src_len), or without a batch (src_len,), 0 past a memory's length; with several
        memories a list. ValueError before the first step, after the state was set, and with
        ``attention=None``.
        """
        found: list[Array] = self._core.attention()
        return found[0] if len(found) == 1 else found

    @property
    def state(self) -> DecoderState:
        """The state after the last step, a copy; assign one to go on from there."""
        return DecoderState(*self._core.state())

    @state.setter
    def state(self, value: StateLike | DecoderState | None) -> None:
        self._core.set_state(parts_of(value))

    def reset(self) -> None:
        """Go back to zeros, from where a sequence begins."""
        self._core.reset()

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)


class GeneratingDecoder(Weighted):
    """The part of ``AttentionDecoder`` that writes."""

    num_memories: int
    attention: str | None
    _core: Any

    def _per_memory(self, name: str, value: Any) -> list[Any]:
        """One item for each memory; where there is only one, it may stand alone."""
        if value is None:
            return [None] * self.num_memories
        listed = isinstance(value, (list, tuple))
        if self.num_memories == 1 and not (
            listed and len(value) == 1 and isinstance(value[0], np.ndarray)
        ):
            return [value]
        if not listed:
            raise TypeError(
                f"{name} is {_core.a_type(value)}; expected a list of {self.num_memories} arrays"
            )
        return [*value]

    def generate(
        self,
        memory: ArrayLike | Sequence[ArrayLike],
        *,
        memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        state: StateLike | DecoderState | None = None,
        start: int,
        end: int,
        max_steps: int,
        beam_size: int = 1,
        length_penalty: float = 0.0,
        return_attention: bool = False,
    ) -> list[Any]:
        """Write the likeliest sequences, by beam search.

        Step after step the ``beam_size`` likeliest beginnings get every token that may follow, and
        the ``beam_size`` likeliest of all these are taken: those that now end with ``end`` are
        complete, the others go on, until none of them, were it complete a token later without loss,
        would be better than ``beam_size`` complete ones. A beam of 1 takes the best token of every
        step. A beam that holds all sequences finds the likeliest of all. Neither the number of
        threads nor the other sequences of the batch change a bit of the result.

        Parameters
        ----------
        memory : array_like or list of array_like
            (src_len, batch, memory_size), without a batch (src_len, memory_size); a list of
            ``num_memories`` of them, of any lengths. With ``attention=None`` it has no src_len.
        memory_lengths : array_like of int or list, optional
            (batch,), each from 1 to src_len, in any order, or a list of such with several memories.
            What lies past them is never read.
        state : DecoderState, array_like or tuple of two, optional
            The initial state, as in a call of the decoder. None means zeros.
        start : int
            The token that the first step is fed.
        end : int
            The token that ends a sequence.
        max_steps : int
            Tokens of a sequence at most, ``end`` included. What has no ``end`` by then is complete,
            too.
        beam_size : int, optional
            How many beginnings are followed, and how many hypotheses there are in the end.
        length_penalty : float, optional
            A score is log-probability / (tokens, ``end`` included) ** length_penalty: 0 favours
            short sequences, 1 takes the mean of the tokens.
        return_attention : bool, optional
            Whether the attention weights of each step are wanted.

        Returns
        -------
        list of list of hypotheses, or list of hypotheses without a batch
            For each sequence up to ``beam_size``, the best first: ``decoding.Hypothesis``, or with
            ``return_attention`` ``decoding.AttendedHypothesis``. Their ids have neither ``start``
            nor ``end``.

        Raises
        ------
        ValueError
            For a start or end outside the vocabulary, ``max_steps`` or ``beam_size`` below 1, a
            length_penalty that is no finite number, ``return_attention`` without attention, wrong
            shapes or lengths, a memory with NaN or infinity, and logits that have no softmax (NaN,
            +inf, or no finite number).
        TypeError
            For another dtype or kind.

        Notes
        -----
        Of equal scores those come first that were complete first, then those whose beginning was
        better, then the better token, then the smaller one.
        """
        wanted = flag("return_attention", return_attention)
        if wanted and self.attention is None:
            raise ValueError("return_attention is True without attention; expected False")
        beam = size("beam_size", beam_size)
        with memory_for("the hypotheses", beam_size=beam):
            found, batched = _core.generate(
                self._core,
                self._per_memory("memory", memory),
                self._per_memory("memory_lengths", memory_lengths),
                parts_of(state),
                size("start", start),
                size("end", end),
                size("max_steps", max_steps),
                beam,
                number("length_penalty", length_penalty),
                wanted,
            )
        rows = [[self._hypothesis(*h) for h in of_sequence] for of_sequence in found]
        return rows if batched else rows[0]

    def _hypothesis(
        self, ids: Any, score: float, attention: list[Array] | None
    ) -> Hypothesis | AttendedHypothesis:
        if attention is None:
            return Hypothesis(ids, score)
        return AttendedHypothesis(ids, score, attention[0] if self.num_memories == 1 else attention)

    def stream(
        self,
        memory: ArrayLike | Sequence[ArrayLike],
        *,
        memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        state: StateLike | DecoderState | None = None,
    ) -> DecoderStream:
        """Make a stream, which goes token by token.

        Parameters
        ----------
        memory : array_like or list of array_like
            As in a call of the decoder; without a batch the stream is of one sequence.
        memory_lengths : array_like of int or list, optional
            (batch,), each from 1 to src_len, in any order, or a list of such with several memories.
        state : DecoderState, array_like or tuple of two, optional
            Where it begins. None means zeros.

        Returns
        -------
        DecoderStream
            With the weights of this moment.

        Raises
        ------
        ValueError
            For wrong shapes or lengths; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        return DecoderStream(self, memory, memory_lengths, state)
