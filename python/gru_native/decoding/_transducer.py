"""The transducer: from an encoder's outputs to labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ..files import model_of
from ..layers import GRU, LSTM, RNN, Chain, Dense
from ..layers._arguments import memory_for, of_dtype, size, text
from ..layers._blocks import output_size
from ..layers._options import Fixed
from ..layers._pickling import CopiedByCore, attributes_beside, remake, sealed, set_attributes
from ..layers._weights import Array, Weighted, missing

HELD = ("joint", "batch_size", "max_symbols", "state", "attributes")
Output: TypeAlias = Dense | Chain | Callable[[Array, Array], ArrayLike]


def _cores(name: str, model: object, kinds: tuple[type[Any], ...], dtype: object) -> list[Any]:
    if not isinstance(model, (*kinds, Chain)):
        *most, last = [kind.__name__ for kind in (*kinds, Chain)]
        expected = f"{', '.join(most)} or {last}"
        raise TypeError(f"{name} is {_core.a_type(model)}; expected {expected}")
    network: Any = model
    if network.dtype != dtype:
        raise ValueError(f"{name} has dtype {network.dtype}; expected {dtype}, that of prediction")
    blocks = network.blocks if isinstance(model, Chain) else [network]
    return [block._core for block in blocks]


class _JointOptions(NamedTuple):
    """All of a joint but its networks, whose weights a stream has of its own."""

    options: dict[str, Any]
    dtype: np.dtype[Any]
    chains: list[bool]  # whether prediction and output are such
    output: Output | None  # where it is no network

    def around(self, prediction: list[Any], output: list[Any]) -> TransducerJoint:
        """The joint with networks of these blocks."""
        first, second = self.chains
        made = model_of(output, self.dtype, second) if output else self.output
        return TransducerJoint(model_of(prediction, self.dtype, first), made, **self.options)


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
            raise TypeError(
                f"output is {_core.a_type(output)}; expected a Dense, a Chain, a function or None"
            )
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

    # --- copies, which share the layers unless these are copied, too

    def _own_options(self) -> dict[str, Any]:
        """What its constructor takes beside the two networks."""
        names = ("embedding", "join", "activation", "blank")
        free = callable(self.output) and not isinstance(self.output, Weighted)
        size_of_its_own = {"encoded_size": self.encoded_size if free else None}
        return {**{name: getattr(self, name) for name in names}, **size_of_its_own}

    def _without_networks(self) -> _JointOptions:
        networks = (self.prediction, self.output)
        kept = self.output if not isinstance(self.output, Weighted) else None
        chains = [isinstance(network, Chain) for network in networks]
        return _JointOptions(self._own_options(), self.dtype, chains, kept)

    def __getstate__(self) -> dict[str, Any]:
        held = {
            "prediction": self.prediction,
            "output": self.output,
            "options": self._own_options(),
        }
        return sealed(held, attributes=attributes_beside(self, *self._options, "_core"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        remake(self, state, "prediction", "output", "options", "attributes")

    def _remake(
        self,
        prediction: RNN | LSTM | GRU | Chain,
        output: Output | None,
        options: dict[str, Any],
        attributes: dict[str, Any],
    ) -> None:
        set_attributes(self, attributes)
        TransducerJoint.__init__(self, prediction, output, **options)

    def _joined_size(self) -> int:
        prediction = self.prediction
        if isinstance(prediction, Chain):
            predicted: int = prediction.output_size
        else:
            predicted = cast("int", output_size(prediction, None))  # a recurrent layer says it
        if self.join == "add":
            return predicted
        joined: int = self.classes if self.output is None else self.output.input_size  # type: ignore[union-attr]
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


class TransducerStream(CopiedByCore, Fixed):
    """A transducer that says the best label of every moment, for sequences that come in pieces.

    It is called with the outputs of an encoder, such as those of a ``Stream``, one step or one
    chunk after the other. The labels do not depend on how the steps are cut into chunks. Copies,
    also by ``copy.copy``, and pickles go on from where it is, on their own; a callable of the joint
    is shared by copies.

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
        self._make(joint, batch_size, max_symbols, None)

    def _make(
        self,
        joint: TransducerJoint,
        batch_size: int,
        max_symbols: int,
        state: tuple[Array, Array, Array] | None,
    ) -> None:
        if not isinstance(joint, TransducerJoint):
            raise TypeError(f"joint is {_core.a_type(joint)}; expected a TransducerJoint")
        self.batch_size = size("batch_size", batch_size)
        self._max_symbols = size("max_symbols", max_symbols)
        self._joint = joint._without_networks()
        stream_type = of_dtype(joint.dtype, _core.TransducerStream32, _core.TransducerStream64)
        with memory_for("the stream", batch_size=self.batch_size):
            self._core: _core.TransducerStream32 | _core.TransducerStream64 = stream_type(
                joint._core, self.batch_size, self._max_symbols, state
            )

    # --- pickles

    def __getstate__(self) -> dict[str, Any]:
        *networks, state = self._core.parts()
        held = {
            "joint": self._joint.around(*networks),
            "batch_size": self.batch_size,
            "max_symbols": self._max_symbols,
            "state": state,
        }
        made_anew = ("batch_size", "_max_symbols", "_joint", "_core")
        return sealed(held, attributes=attributes_beside(self, *made_anew))

    def __setstate__(self, state: dict[str, Any]) -> None:
        remake(self, state, *HELD)

    def _remake(
        self,
        joint: TransducerJoint,
        batch_size: int,
        max_symbols: int,
        state: tuple[Array, Array, Array],
        attributes: dict[str, Any],
    ) -> None:
        if not isinstance(state, tuple) or not all(len(part) == batch_size for part in state):
            raise ValueError(f"its state is not that of batch_size={batch_size}")
        set_attributes(self, attributes)
        self._make(joint, batch_size, max_symbols, state)

    # --- steps

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
