"""The transducer: from an encoder's outputs to labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ..layers import GRU, LSTM, RNN, Chain, Dense
from ..layers._arguments import memory_for, of_dtype, size, text
from ..layers._blocks import output_size
from ..layers._options import Fixed
from ..layers._weights import Array, Weighted, missing
from ..layers.hypotheses import hypotheses

Output: TypeAlias = Dense | Chain | Callable[[Array, Array], ArrayLike]


def _cores(name: str, model: object, kinds: tuple[type[Any], ...], dtype: object) -> list[Any]:
    if not isinstance(model, (*kinds, Chain)):
        *most, last = [kind.__name__ for kind in (*kinds, Chain)]
        expected = f"{', '.join(most)} or {last}"
        raise TypeError(f"{name} is a {type(model).__name__}; expected {expected}")
    network: Any = model
    if network.dtype != dtype:
        raise ValueError(f"{name} has dtype {network.dtype}; expected {dtype}, that of prediction")
    blocks = network.blocks if isinstance(model, Chain) else [network]
    return [block._core for block in blocks]


class TransducerJoint(Fixed):
    """What a transducer [1]_ has beside its encoder: networks that say what comes next.

    At step t of the encoder, with u labels behind, the logits of the next symbol are
    ``output(activation(join(e_t, g_u)))``: e_t is the encoder's output, and g_u the last output of
    ``prediction``, which is fed the labels one by one.

    Parameters
    ----------
    prediction : RNN, LSTM, GRU or Chain
        The prediction network, in one direction. Layers are shared, not copied.
    output : Dense, Chain of Dense, callable, or None
        Makes the logits of what is joined. None: the joined numbers are the logits. A callable
        takes the place of ``join`` and ``activation``, too: it is called with arrays
        (n, encoded_size) of e_t and (n, prediction.output_size) of g_u, and returns logits
        (n, classes). Beam search calls it once a round for all beginnings.
    embedding : array, (classes, prediction.input_size), optional
        What the prediction network is fed for each label, such as the weights of an embedding; the
        row ``blank`` is what it is fed before the first label. Copied. None: ones of their own
        (one-hot), and zeros for the blank.
    join : {"concat", "add"}, optional
        e_t and g_u side by side, or their sum.
    activation : {"identity", "tanh", "sigmoid", "relu"}, optional
        A function of what is joined.
    encoded_size : int, optional
        Numbers of e_t. Only with a callable; else the networks say it.
    blank : int, default 0
        The class that leads to the next step.

    Attributes
    ----------
    encoded_size : int
        Numbers of e_t.
    classes : int
        Symbols, the blank among them.
    dtype : dtype
        That of all networks.

    Raises
    ------
    ValueError
        For sizes or dtypes that do not fit, a bidirectional prediction network, an unknown ``join``
        or ``activation``, and a blank that is no class.
    TypeError
        For arguments of the wrong kind.

    References
    ----------
    .. [1] A. Graves, "Sequence Transduction with Recurrent Neural Networks", ICML workshop on
       Representation Learning 2012.
    """

    _options = (
        *("prediction", "output", "embedding", "join", "activation", "encoded_size", "blank"),
        *("classes", "dtype"),
    )

    def __init__(
        self,
        prediction: RNN | LSTM | GRU | Chain,
        output: Output | None,
        *,
        embedding: ArrayLike | None = None,
        join: str = "concat",
        activation: str = "identity",
        encoded_size: int | None = None,
        blank: int = 0,
    ) -> None:
        self.prediction = prediction
        self.output = output
        self.dtype: np.dtype[Any] = getattr(prediction, "dtype", np.dtype(np.float32))
        self.join = text("join", join)
        self.activation = text("activation", activation)
        self.blank = size("blank", blank)
        fed = _cores("prediction", prediction, (RNN, LSTM, GRU), self.dtype)
        is_network = isinstance(output, (Dense, Chain))
        other_layer = isinstance(output, Weighted) and not is_network
        if other_layer or not (output is None or callable(output)):
            kind = type(output).__name__
            raise TypeError(f"output is a {kind}; expected a Dense, a Chain, a function or None")
        if is_network:
            made = _cores("output", output, (Dense,), self.dtype)
        if embedding is None:
            embedding = np.eye(prediction.input_size, dtype=self.dtype)
            if 0 <= self.blank < len(embedding):
                embedding[self.blank] = 0
        self.embedding: Array = np.array(_core.numpy_array("embedding", embedding, "numbers"))
        self.embedding.setflags(write=False)  # the core has its own
        self.classes = len(self.embedding) if self.embedding.ndim else 0
        if callable(output) and not is_network:
            if encoded_size is None:
                raise TypeError("encoded_size is None; expected a whole number with a callable")
            self.encoded_size = size("encoded_size", encoded_size)
        elif encoded_size is not None:
            raise TypeError(
                f"encoded_size is {encoded_size}; expected None: output and prediction say it"
            )
        else:
            self.encoded_size = self._joined_size()
        core_type = of_dtype(self.dtype, _core.Transducer32, _core.Transducer64)
        with memory_for("the joint", classes=self.classes, encoded_size=self.encoded_size):
            self._core: _core.Transducer32 | _core.Transducer64 = core_type(
                fed,
                self.embedding,
                self.encoded_size,
                self.join,
                self.activation,
                made if is_network else None,
                None if is_network else output,
                self.blank,
            )

    def _joined_size(self) -> int:
        prediction = self.prediction
        if isinstance(prediction, Chain):
            predicted = prediction.output_size
        else:
            predicted = cast("int", output_size(prediction, None))  # a recurrent layer says it
        if self.join == "add":
            return predicted
        joined = self.classes if self.output is None else self.output.input_size  # type: ignore[union-attr]
        return joined - predicted

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)

    def stream(self, batch_size: int = 1, *, max_symbols: int = 10) -> TransducerStream:
        """Make a stream, which says the best label of every moment.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side.
        max_symbols : int, optional
            Labels at one step of the encoder, at most.

        Returns
        -------
        TransducerStream
            With the weights of this moment.

        Raises
        ------
        ValueError
            For numbers below 1.
        TypeError
            For arguments of the wrong kind.
        """
        return TransducerStream(self, batch_size, max_symbols=max_symbols)


def transducer_beam(
    joint: TransducerJoint,
    encoded: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    beam_size: int = 8,
    max_symbols: int = 10,
) -> list[Any]:
    """The likeliest labels of a transducer, by beam search over the steps of its encoder.

    Step after step the ``beam_size`` likeliest beginnings of the labels are followed. At a step
    each may take the blank, or a label and then the blank, and so on; the ways to the same labels
    are added up. A label is followed if it is among the ``beam_size`` best of its number at this
    step, and better than the ``beam_size`` best that have taken the blank. With a beam that holds
    them all the scores are those of ``losses.transducer``, but for ways that have more than
    ``max_symbols`` labels at a step. All sequences go side by side through the networks.

    Parameters
    ----------
    joint : TransducerJoint
        The networks beside the encoder.
    encoded : array, (seq, batch, encoded_size), or (seq, encoded_size) without a batch
        The outputs of the encoder, of the networks' dtype.
    lengths : array of integers, (batch,), optional
        Steps of each sequence, 0 to seq.
    beam_size : int, default 8
        How many beginnings are followed.
    max_symbols : int, default 10
        Labels at one step of the encoder, at most.

    Returns
    -------
    list of list of Hypothesis, or list of Hypothesis without a batch
        For each sequence up to ``beam_size``, the best first, with their log-probabilities; none
        whose probability is 0.

    Raises
    ------
    ValueError
        For a ``beam_size`` or ``max_symbols`` below 1, lengths beyond the array, shapes that do not
        fit, and logits that have no softmax (NaN, +inf, or no finite number).
    TypeError
        For arguments of other kinds. What a callable raises passes through.

    Notes
    -----
    Of equal scores those come first that took the blank with fewer labels at the last step, then
    those whose beginning came first, then the better label, then the smaller one.
    """
    if not isinstance(joint, TransducerJoint):
        raise TypeError(f"joint is a {type(joint).__name__}; expected a TransducerJoint")
    found = joint._core.beam(
        encoded, lengths, size("beam_size", beam_size), size("max_symbols", max_symbols)
    )
    return hypotheses(*found)


class TransducerStream(Fixed):
    """A transducer that says the best label of every moment, for sequences that come in pieces.

    It is called with the outputs of an encoder, such as those of a ``Stream``, one step or one
    chunk after the other. The labels do not depend on how the steps are cut into chunks.

    Parameters
    ----------
    joint : TransducerJoint
        The networks beside the encoder. The stream keeps the weights of this moment.
    batch_size : int, optional
        Sequences side by side.
    max_symbols : int, optional
        Labels at one step of the encoder, at most.

    Attributes
    ----------
    batch_size : int
        Sequences side by side.

    Raises
    ------
    ValueError
        For numbers below 1.
    TypeError
        For arguments of the wrong kind.
    """

    _options = ("batch_size",)

    def __init__(
        self, joint: TransducerJoint, batch_size: int = 1, *, max_symbols: int = 10
    ) -> None:
        if not isinstance(joint, TransducerJoint):
            raise TypeError(f"joint is a {type(joint).__name__}; expected a TransducerJoint")
        self.batch_size = size("batch_size", batch_size)
        stream_type = of_dtype(joint.dtype, _core.TransducerStream32, _core.TransducerStream64)
        most = size("max_symbols", max_symbols)
        with memory_for("the stream", batch_size=self.batch_size):
            self._core: _core.TransducerStream32 | _core.TransducerStream64 = stream_type(
                joint._core, self.batch_size, most
            )

    def __call__(self, encoded: ArrayLike) -> Any:
        """Say the labels of the next steps.

        At each step the best symbol is taken, of equals the first, until that is the blank.

        Parameters
        ----------
        encoded : array_like
            One step, (encoded_size,) or for a batch above 1 (batch, encoded_size); or a chunk,
            (seq, encoded_size) or (seq, batch, encoded_size).

        Returns
        -------
        ndarray of int64, or a list of them with a batch
            The new labels of each sequence.

        Raises
        ------
        ValueError
            For a wrong shape, and for logits that have no softmax; the state is then unchanged.
        TypeError
            For another dtype or kind; likewise.
        RuntimeError
            While another call of this stream is under way; likewise.
        """
        return self._core.process(encoded)

    @property
    def scores(self) -> Array:
        """The log-probability of what was taken so far, blanks too: (batch,), float64."""
        return self._core.scores()

    def reset(self) -> None:
        """Go back to the beginning, where new sequences start."""
        self._core.reset()

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)
