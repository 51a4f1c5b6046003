"""Real-time recurrent learning: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._arguments import memory_for, of_dtype, row_mask, size
from ._pickling import attributes_beside, attributes_of, remake, sealed, set_attributes
from ._recurrent import State, StateLike
from ._weights import Array, check_state_dict, missing
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN

if TYPE_CHECKING:
    from typing_extensions import Self

Recurrent: TypeAlias = RNN | GRU | LSTM
HELD = ("layer", "batch_size", "carried", "gradients", "attributes")  # what a pickle holds


class RTRL:
    """Real-time recurrent learning: the exact gradient online.

    It steps through a layer and carries forward [1]_, instead of a tape, the derivatives of the
    state by all weights, so each step's loss can be learned from at once, over sequences without
    end::

        r = gru_native.RTRL(layer)
        for x_t, target in stream:
            y_t = r(x_t)
            r.gradient(y_t - target)          # adds to r.gradients what this step's loss gives
            with layer.editing() as w:        # then, at any time, a step downhill
                for name, g in r.gradients.items():
                    w[name] -= 0.01 * g
            r.clear_gradients()

    While the weights stay as they are, the sum is what ``layer.backward`` gives for the whole
    sequence, to rounding. If they change on the way, as above, the derivatives of earlier steps are
    those of earlier weights: the usual approximation, good for small steps.

    For small layers only. With S numbers of state (hidden_size, for the LSTM twice that) and N =
    ``layer.num_parameters``, it keeps 2 S N numbers for each sequence of the batch, and a step
    takes S S N multiply-adds, while back-propagation takes about 3 N a step and memory for every
    step. With 32 units and 16 inputs an LSTM keeps 6.6 MB a sequence in float64.

    Parameters
    ----------
    layer : RNN, GRU or LSTM
        One layer in one direction, with any options of its cell but zoneout, layer_norm and
        gate_recurrence. Weights that are edited count from the next step on.
    batch_size : int, optional
        Sequences side by side.

    Raises
    ------
    ValueError
        For another kind of recurrent layer, and for a batch_size below 1.
    TypeError
        For what is no recurrent layer, and for a batch_size that is no whole number.

    References
    ----------
    .. [1] R. J. Williams and D. Zipser, "A Learning Algorithm for Continually Running Fully
       Recurrent Neural Networks", Neural Computation 1, 1989.
    """

    def __init__(self, layer: Recurrent, batch_size: int = 1) -> None:
        if not isinstance(layer, (RNN, GRU, LSTM)):
            raise TypeError(f"layer is {_core.a_type(layer)}; expected an RNN, GRU or LSTM")
        self._gradients: dict[str, Array] = {n: np.zeros_like(w) for n, w in layer.weights.items()}
        core_type = of_dtype(layer.dtype, _core.Rtrl32, _core.Rtrl64)
        batch, hidden = size("batch_size", batch_size), layer.hidden_size
        with memory_for("RTRL", batch_size=batch, hidden_size=hidden):
            self._core: _core._Rtrl[Any] = core_type(layer._core, batch)
        self._layer = layer

    @property
    def layer(self) -> Recurrent:
        """The layer that it steps through."""
        return self._layer

    @property
    def gradients(self) -> dict[str, Array]:
        """The sum of all steps' gradients since ``clear_gradients``, by the weights' names."""
        return self._gradients

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)

    # --- copies

    def __copy__(self) -> Self:
        """Another one over the same layer, with a state, derivatives and gradients of its own."""
        twin = type(self).__new__(type(self))
        set_attributes(twin, attributes_of(self))
        RTRL.__init__(twin, self._layer, self.batch_size)
        twin._take(self._core.carried, self._gradients)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        held = {
            "layer": self._layer,
            "batch_size": self.batch_size,
            "carried": self._core.carried,
            "gradients": self._gradients,
        }
        made_anew = ("_core", "_layer", "_gradients")
        return sealed(held, attributes=attributes_beside(self, *made_anew))

    def __setstate__(self, state: dict[str, Any]) -> None:
        remake(self, state, *HELD)

    def _remake(
        self,
        layer: Recurrent,
        batch_size: int,
        carried: Array,
        gradients: dict[str, Array],
        attributes: dict[str, Any],
    ) -> None:
        set_attributes(self, attributes)
        rows = size("batch_size", batch_size)
        # Each sequence has derivatives by all weights: no room is made for more than there are.
        weights = layer.num_parameters if isinstance(layer, (RNN, GRU, LSTM)) else 0
        if not isinstance(carried, np.ndarray) or carried.size < rows * weights:
            raise ValueError(f"what it carries is too little for batch_size={rows}")
        RTRL.__init__(self, layer, rows)
        self._take(carried, gradients)

    def _take(self, carried: Array, gradients: dict[str, Array]) -> None:
        self._core.carried = carried
        for name, gradient in check_state_dict(gradients, self._gradients, True).items():
            self._gradients[name][...] = gradient

    # --- learning

    def __call__(self, x: ArrayLike) -> Array:
        """Compute the outputs of one step.

        Parameters
        ----------
        x : array_like
            (input_size,), or for a batch above 1 (batch, input_size).

        Returns
        -------
        ndarray
            The outputs, (size,) or (batch, size).

        Raises
        ------
        ValueError
            For a wrong shape; nothing has then changed.
        TypeError
            For another dtype; likewise.
        """
        return self._core(x)

    def gradient(
        self, dy: ArrayLike | None = None, dstate: StateLike | None = None
    ) -> dict[str, Array]:
        """Compute the gradient of the last step's loss, and add it to ``gradients``.

        Parameters
        ----------
        dy : array_like, optional
            The loss's gradient of that step's y, in its shape; None means zeros.
        dstate : array_like or tuple of two, optional
            Its gradient of the state after that step, shaped as ``state``. Not both may be None.

        Returns
        -------
        dict of str to ndarray
            The share of this step alone, by the weights' names.

        Raises
        ------
        ValueError
            For a wrong shape.
        TypeError
            For another dtype.
        """
        step = self._core.gradient(dy, dstate)
        for name, g in step.items():
            self.gradients[name] += g
        return step

    def clear_gradients(self) -> None:
        """Set ``gradients`` to zeros, in place."""
        for g in self.gradients.values():
            g[...] = 0

    @property
    def state(self) -> State:
        """A copy of the state: h, or (h, c) for the LSTM, of shape (1, batch, size).

        Assigning sets it, None to zeros. What is assigned counts as given, not as made with the
        weights: later gradients end there.
        """
        state: State = self._core.state
        return state

    @state.setter
    def state(self, value: StateLike | None) -> None:
        self._core.state = value

    @property
    def batch_size(self) -> int:
        """Sequences side by side."""
        return self._core.batch_size

    def reset(self) -> None:
        """Go back to the zero state, from which new sequences begin; ``gradients`` stay."""
        self._core.reset()

    def reset_rows(self, mask: ArrayLike) -> None:
        """Go back to the zero state in some rows of the batch; ``gradients`` stay.

        Parameters
        ----------
        mask : array_like of bool
            (batch,): which rows begin anew.

        Raises
        ------
        ValueError
            For a wrong shape.
        TypeError
            For what is no array of bool.
        """
        self._core.reset_rows(row_mask(mask))

    def __repr__(self) -> str:
        return f"RTRL({self.layer!r}, batch_size={self.batch_size})"
