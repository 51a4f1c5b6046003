"""Decoder with attention: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, number, size, text
from ._options import public
from ._recurrent import StateLike
from ._weights import Array
from .decoder_generation import GeneratingDecoder
from .decoder_state import DecoderGradients, DecoderState, DecoderTape, parts_of


@public
class AttentionDecoder(GeneratingDecoder):
    """A recurrent decoder with attention: it writes a sequence and looks at an encoder's outputs.

    A step is fed the token before, y(t-1), and computes logits over the vocabulary [1]_ [2]_ [3]_::

        s(t) = cell([emb(y(t-1)); context(t-1)], s(t-1))            s: h of the last layer
        e_j = score(s(t), h_j)       a = softmax(e) over j       context(t) = sum of a_j h_j
        readout(t) = tanh(W_r [s(t); context(t); emb(y(t-1))] + b_r)
        logits(t) = W_o readout(t) + b_o

    where h_j are the positions of the memory, and the score is

    - ``"additive"`` [1]_: v . tanh(W s + U h_j + b);
    - ``"dot"`` [2]_: s . h_j, for which memory_size must be hidden_size;
    - ``"general"`` [2]_: s . (W h_j);
    - ``"location"`` [4]_: v . tanh(W s + U h_j + V f_j + b) with f = F * a(t-1), a convolution of
      the weights of the step before. These begin as zeros.

    With ``attention=None`` a memory is a single vector, which is the context of every step: the
    decoder of [5]_, but for the reset gate, which does not act on the context here. It is also the
    network from one vector to a sequence.

    Calling the decoder, ``forward`` and ``backward`` are for teacher forcing: all tokens that the
    steps are fed are known. What does not feed back, the logits above all, is computed for all
    steps at once. ``generate`` writes sequences by beam search, and ``stream`` goes token by token.

    Parameters
    ----------
    vocab_size : int
        Tokens; they are numbers from 0 to vocab_size - 1.
    embedding_dim : int
        Numbers that stand for a token.
    hidden_size : int
        Numbers in each h.
    memory_size : int
        Columns of each memory.
    cell : {"lstm", "gru"}, optional
        The cells, those of ``LSTM`` and of ``GRU``.
    num_layers : int, optional
        Layers on top of one another.
    attention : {"additive", "dot", "general", "location"} or None, optional
        The score.
    attention_size : int, optional
        Units of additive and location scores; None means hidden_size.
    num_memories : int, optional
        How many memories it looks at, each with an attention of its own [6]_. Their contexts stand
        side by side.
    input_feeding : bool, optional
        Whether the cell is fed the context of the step before; otherwise only the readout sees it.
    readout_size : int, optional
        Numbers of the readout; None means hidden_size.
    readout : {"tanh", "maxout"}, optional
        "maxout" [5]_ takes the larger one of each two numbers of W_r [..] + b_r, which then has
        twice as many, instead of the tanh.
    location_channels : int, optional
        Channels of the convolution of location attention.
    location_width : int, optional
        Positions that it sees, an odd number.
    dropout : float, optional
        The probability with which, in training, an output of a layer is dropped on its way to the
        layer above it.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What weights and dropout are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, an unknown cell, attention or readout, a memory_size that does not fit
        dot attention, an even location_width, a dropout outside [0, 1] or another dtype; the text
        names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are, with H = hidden_size, M =
    memory_size, C = num_memories * memory_size, A = attention_size and R = readout_size:
    ``weight_embedding`` (vocab_size, embedding_dim); ``weight_ih_l{k}``, ``weight_hh_l{k}``,
    ``bias_ih_l{k}`` and ``bias_hh_l{k}``, those of a recurrent layer whose input is [emb; context];
    for memory m ``weight_query_m{m}`` (A, H), ``weight_memory_m{m}`` (A, M), ``bias_score_m{m}``
    (A,) and ``weight_score_m{m}`` (A,), which are W, U, b and v, with general scores only
    ``weight_memory_m{m}`` (H, M), with location also ``weight_location_m{m}`` (A,
    location_channels) and ``weight_filter_m{m}`` (location_channels, location_width), V and F;
    ``weight_readout`` (R, H + C + embedding_dim) and ``bias_readout`` (R,), with maxout 2 R rows;
    ``weight_output`` (vocab_size, R) and ``bias_output`` (vocab_size,). They start uniform in
    +-1/sqrt(H).

    References
    ----------
    .. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to
       Align and Translate", ICLR 2015, arXiv:1409.0473.
    .. [2] M.-T. Luong, H. Pham and C. D. Manning, "Effective Approaches to Attention-based Neural
       Machine Translation", EMNLP 2015, arXiv:1508.04025.
    .. [3] W. Chan, N. Jaitly, Q. Le and O. Vinyals, "Listen, Attend and Spell", ICASSP 2016,
       arXiv:1508.01211.
    .. [4] J. Chorowski, D. Bahdanau, D. Serdyuk, K. Cho and Y. Bengio, "Attention-Based Models for
       Speech Recognition", NIPS 2015, arXiv:1506.07503.
    .. [5] K. Cho, B. van Merrienboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk and Y.
       Bengio, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
       Translation", EMNLP 2014, arXiv:1406.1078.
    .. [6] J. S. Chung, A. Senior, O. Vinyals and A. Zisserman, "Lip Reading Sentences in the Wild",
       CVPR 2017, arXiv:1611.05358.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        memory_size: int,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        attention: str | None = "additive",
        attention_size: int | None = None,
        num_memories: int = 1,
        input_feeding: bool = True,
        readout_size: int | None = None,
        readout: str = "tanh",
        location_channels: int = 10,
        location_width: int = 31,
        dropout: float = 0.0,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.vocab_size = size("vocab_size", vocab_size)
        self.embedding_dim = size("embedding_dim", embedding_dim)
        self.hidden_size = size("hidden_size", hidden_size)
        self.memory_size = size("memory_size", memory_size)
        self.cell = text("cell", cell)
        self.num_layers = size("num_layers", num_layers)
        self.attention = None if attention is None else text("attention", attention)
        self.attention_size = _size_or_none("attention_size", attention_size)
        self.num_memories = size("num_memories", num_memories)
        self.input_feeding = flag("input_feeding", input_feeding)
        self.readout_size = _size_or_none("readout_size", readout_size)
        self.readout = text("readout", readout)
        self.location_channels = size("location_channels", location_channels)
        self.location_width = size("location_width", location_width)
        self.dropout = number("dropout", dropout)
        core_type = self._core_type(_core.AttentionDecoder32, _core.AttentionDecoder64)
        self._core: Any = core_type(
            vocab_size=self.vocab_size,
            embedding_dim=self.embedding_dim,
            hidden_size=self.hidden_size,
            memory_size=self.memory_size,
            cell=self.cell,
            num_layers=self.num_layers,
            attention=self.attention,
            attention_size=self.attention_size,
            num_memories=self.num_memories,
            input_feeding=self.input_feeding,
            readout_size=self.readout_size,
            readout=self.readout,
            location_channels=self.location_channels,
            location_width=self.location_width,
            dropout=self.dropout,
        )
        super().__init__(seed, self.hidden_size**-0.5)

    def __call__(
        self,
        targets: ArrayLike,
        memory: ArrayLike | Sequence[ArrayLike],
        *,
        memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        lengths: ArrayLike | None = None,
        state: StateLike | DecoderState | None = None,
    ) -> tuple[Array, DecoderState]:
        """Compute the logits of all steps and the final state.

        Parameters
        ----------
        targets : array_like of int
            (steps, batch), or without a batch (steps,): the token that each step is fed. To learn
            a sequence, feed it from its start symbol on and compare the logits with the tokens
            that follow.
        memory : array_like or list of array_like
            (src_len, batch, memory_size), without a batch (src_len, memory_size); a list of
            ``num_memories`` of them, of any lengths. With ``attention=None`` it has no src_len.
        memory_lengths : array_like of int or list, optional
            (batch,), each from 1 to src_len, in any order, or a list of such with several memories.
            What lies past them is never read.
        lengths : array_like of int, optional
            (batch,), each from 0 to steps, in any order: steps past them are not made, and the
            state stands.
        state : DecoderState, array_like or tuple of two, optional
            The initial state. That of the layers alone, h or for the LSTM (h, c), may stand for it;
            context and weights then begin as zeros. None means zeros.

        Returns
        -------
        logits : ndarray
            (steps, batch, vocab_size), without a batch (steps, vocab_size); 0 past the end of a
            sequence.
        state : DecoderState
            From which another call goes on: both give the same bits as one call.

        Raises
        ------
        ValueError
            For wrong shapes or values, such as a token outside the vocabulary; the text names the
            argument.
        TypeError
            For another dtype or kind.
        """
        logits, final = self._core(
            targets,
            self._per_memory("memory", memory),
            self._per_memory("memory_lengths", memory_lengths),
            lengths,
            parts_of(state),
        )
        return logits, DecoderState(*final)

    def forward(
        self,
        targets: ArrayLike,
        memory: ArrayLike | Sequence[ArrayLike],
        *,
        memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        lengths: ArrayLike | None = None,
        state: StateLike | DecoderState | None = None,
        training: bool = True,
    ) -> tuple[Array, DecoderState, DecoderTape]:
        """Compute the logits and the final state, and a tape for ``backward``.

        Parameters
        ----------
        targets : array_like of int
            (steps, batch), or without a batch (steps,): the token that each step is fed.
        memory : array_like or list of array_like
            (src_len, batch, memory_size), without a batch (src_len, memory_size); a list of
            ``num_memories`` of them, of any lengths. With ``attention=None`` it has no src_len.
        memory_lengths : array_like of int or list, optional
            (batch,), each from 1 to src_len, in any order, or a list of such with several memories.
            What lies past them is never read.
        lengths : array_like of int, optional
            (batch,), each from 0 to steps, in any order: steps past them are not made, and the
            state stands.
        state : DecoderState, array_like or tuple of two, optional
            The initial state. That of the layers alone, h or for the LSTM (h, c), may stand for it;
            context and weights then begin as zeros. None means zeros.
        training : bool, optional
            Whether dropout acts between the layers.

        Returns
        -------
        logits : ndarray
            (steps, batch, vocab_size), without a batch (steps, vocab_size); 0 past the end of a
            sequence.
        state : DecoderState
            The final state.
        tape : DecoderTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values, such as a token outside the vocabulary; the text names the
            argument.
        TypeError
            For another dtype or kind.
        """
        random = flag("training", training) and self.dropout > 0
        result: tuple[Array, tuple[Any, Any, Any], Any] = self._core.forward(
            targets,
            self._per_memory("memory", memory),
            self._per_memory("memory_lengths", memory_lengths),
            lengths,
            parts_of(state),
            bool(training),
            int(self._random.integers(2**63)) if random else 0,
        )
        return result[0], DecoderState(*result[1]), result[2]

    def backward(
        self,
        tape: DecoderTape,
        dlogits: ArrayLike | None = None,
        dstate: StateLike | DecoderState | None = None,
    ) -> DecoderGradients:
        """Compute the gradients of a loss from those of the logits and of the final state.

        Parameters
        ----------
        tape : DecoderTape
            What ``forward`` returned. It may be used again.
        dlogits : array_like, optional
            The gradient of the logits, in their shape; None means zeros.
        dstate : DecoderState, array_like or tuple of two, optional
            The gradient of the final state, in a form that a state may have; None means zeros. Not
            both may be None.

        Returns
        -------
        DecoderGradients
            ``memory``, ``state`` (the initial one's) and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another decoder or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.DecoderTape32, _core.DecoderTape64)
        if dlogits is None and dstate is None:
            raise ValueError("dlogits and dstate are both None; expected at least one gradient")
        memory, state, weights = self._core.backward(tape, dlogits, parts_of(dstate))
        of_memory = memory[0] if self.num_memories == 1 else memory
        return DecoderGradients(of_memory, DecoderState(*state), weights)

    def __repr__(self) -> str:
        options = {
            "cell": (self.cell, "lstm"),
            "num_layers": (self.num_layers, 1),
            "attention": (self.attention, "additive"),
            "attention_size": (self.attention_size, None),
            "num_memories": (self.num_memories, 1),
            "input_feeding": (self.input_feeding, True),
            "readout_size": (self.readout_size, None),
            "readout": (self.readout, "tanh"),
            "location_channels": (self.location_channels, 10),
            "location_width": (self.location_width, 31),
            "dropout": (self.dropout, 0.0),
        }
        changed = [f", {name}={v!r}" for name, (v, usual) in options.items() if v != usual]
        sizes = f"{self.vocab_size}, {self.embedding_dim}, {self.hidden_size}, {self.memory_size}"
        return f"AttentionDecoder({sizes}{''.join(changed)}, dtype={self.dtype})"


def _size_or_none(name: str, value: int | None) -> int | None:
    return None if value is None else size(name, value)
