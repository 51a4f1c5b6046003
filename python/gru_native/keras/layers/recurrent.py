"""SimpleRNN, LSTM, GRU, and RNN over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block
from ...layers._weights import Array
from .._assignment import Assignment
from .._cells import Cell, Native, Slot, make_native
from .._config import Entry
from .._places import Place
from .._recurrence import CUDNN, KINDS, Recurrence, recurrence_of, take_cells, to_keras_layer
from .._source import Source
from .base import Layer, Masked, Shape, array_of
from .registry import builds

States: TypeAlias = list[Any]  # arrays, or for stacked cells a list of arrays for each


class Recurrent(Layer):
    """SimpleRNN, LSTM, GRU, or an RNN over one or more of their cells.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    spec : Recurrence
        Keras's options.
    layers : tuple of RNN, LSTM or GRU
        The core's layer of each cell, with ``batch_first``. They may be used, edited, streamed and
        saved by themselves.
    """

    _reads_masks = True

    def __init__(self, spec: Recurrence, arrays: Sequence[Mapping[str, Array]]) -> None:
        self.spec, self.name, self.keras_class = spec, spec.name, spec.keras_class
        self.layers: tuple[Native, ...] = tuple(
            make_native(cell, own["kernel"].shape[0])
            for cell, own in zip(spec.cells, arrays, strict=True)
        )
        new = Assignment()
        for slot, own in zip(self._slots(), arrays, strict=True):
            slot.set(own, new)
        new.end()

    @property
    def layer(self) -> Native:
        """The only layer of the core in here.

        Raises
        ------
        ValueError
            For stacked cells, which are several.
        """
        if len(self.layers) != 1:
            raise ValueError(f"layer {self.name!r} has {len(self.layers)} cells; see its layers")
        return self.layers[0]

    @property
    def input_size(self) -> int:
        """Numbers in each x."""
        return self.layers[0].input_size

    def __call__(
        self,
        x: ArrayLike,
        initial_state: Sequence[Any] | None = None,
        *,
        mask: ArrayLike | None = None,
    ) -> Any:
        """Compute what the Keras layer computes.

        At a masked step y is the last output, 0 before the first one, or with
        ``zero_output_for_mask`` always 0. (Keras with JAX begins with the initial state, not with
        0.)

        Parameters
        ----------
        x : array_like
            (batch, seq, input); with Keras 2's ``time_major`` x, mask and y begin with (seq,
            batch).
        initial_state : sequence of array_like, optional
            The h of a SimpleRNN or GRU, h and c of an LSTM, each (batch, units); for stacked cells
            a list of these for each cell. None means zeros.
        mask : array_like of bool, optional
            (batch, seq): False masks a step.

        Returns
        -------
        ndarray or tuple
            The outputs (batch, seq, units), in the order of processing, or without
            ``return_sequences`` (batch, units); with ``return_state`` a tuple of y and the states,
            as in ``initial_state``.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        y, states = self._sequence(x, initial_state, mask)
        if not self.spec.return_sequences:
            y = np.ascontiguousarray(y[:, -1])
        elif self.spec.time_major:
            y = y.swapaxes(0, 1)
        return (y, *states) if self.spec.return_state else y

    def _sequence(
        self, x: ArrayLike, initial_state: Sequence[Any] | None, mask: ArrayLike | None
    ) -> tuple[Array, States]:
        """All outputs in the order of processing, and the states as Keras returns them."""
        y, mask = batch_first(self.spec, x, mask, self.input_size)
        if self.spec.go_backwards:
            y = y[:, ::-1]
            mask = mask[:, ::-1] if mask is not None and mask.ndim == 2 else mask
        states: States = []
        given = self._states_by_cell(initial_state)
        output = "zero" if self.spec.zero_output_for_mask else "hold"
        for cell, layer, state in zip(self.spec.cells, self.layers, given, strict=True):
            y, final = layer(y, native_state(cell, state), mask=mask, masked_output=output)
            parts = [part[0] for part in (final if isinstance(final, tuple) else (final,))]
            states.append(parts) if self.spec.stacked else states.extend(parts)
        return y, states

    def _states_by_cell(self, initial_state: Sequence[Any] | None) -> list[Any]:
        if initial_state is None:
            return [None] * len(self.spec.cells)
        given = state_list(initial_state)
        if not self.spec.stacked:
            return [given]
        if len(given) != len(self.spec.cells):
            raise ValueError(
                f"initial_state has {len(given)} entries; expected {len(self.spec.cells)}, "
                "one for each cell"
            )
        return [state_list(state) for state in given]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x, mask=mask), self._mask_behind(mask)

    def _mask_behind(self, mask: Array | None) -> Array | None:
        return mask if self.spec.return_sequences else None

    def _slots(self) -> list[Slot]:
        places = zip(self.spec.cell_paths(), self.spec.cells, self.layers, strict=True)
        return [Slot(path, cell, layer, "_l0") for path, cell, layer in places]

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.input_size, self.spec.cells[-1].units

    def _blocks(self, last: bool) -> list[Block]:
        if self.spec.go_backwards:
            raise ValueError(f"layer {self.name!r} goes backwards; a Chain goes forward in time")
        if self.spec.time_major:
            raise ValueError(f"layer {self.name!r} has time_major; this Chain has the batch first")
        if not self.spec.return_sequences and not last:
            raise ValueError(
                f"layer {self.name!r} has return_sequences=False, but a recurrent layer follows: "
                "a Chain has outputs at all steps"
            )
        return list(self.layers)

    def _behind(self, place: Place) -> Place:
        after = super()._behind(place)
        return after if self.spec.return_sequences else replace(after, shape=after.shape[-1:])  # type: ignore[index]

    def _input_shape(self) -> Shape:
        return (None, None, self.input_size)

    def _to_keras(self, keras: Any) -> Any:
        return to_keras_layer(keras, self.spec)

    def __repr__(self) -> str:
        return f"Recurrent({self.spec})"


def batch_first(
    spec: Recurrence, x: Any, mask: ArrayLike | None, input_size: int
) -> tuple[Array, Array | None]:
    """x and its mask as (batch, seq, ...)."""
    axes = "seq_len, batch" if spec.time_major else "batch, seq_len"
    array = array_of(x, spec.cells[0].dtype, 3, f"({axes}, input_size={input_size})")
    known = None if mask is None else numpy_array("mask", mask, "bool")
    if not spec.time_major:
        return array, known
    return array.swapaxes(0, 1), known.swapaxes(
        0, 1
    ) if known is not None and known.ndim == 2 else known


def state_list(state: Any) -> list[Any]:
    """Keras takes a single state also by itself."""
    return list(state) if isinstance(state, (list, tuple)) else [state]


def native_state(cell: Cell, states: Sequence[Any] | None) -> Any:
    """(batch, units) each -> the core's (1, batch, units)."""
    if states is None:
        return None
    if len(states) != cell.states:
        raise ValueError(
            f"initial_state has {len(states)} arrays; expected {cell.states} for a {cell.kind}"
        )
    parts = []
    for state in states:
        array = array_of(state, cell.dtype, np.ndim(state), "")
        if array.ndim != 2:
            raise ValueError(
                f"initial_state has an array of shape {array.shape}; "
                f"expected (batch, units={cell.units})"
            )
        parts.append(array[None])
    return tuple(parts) if cell.kind == "LSTM" else parts[0]


@builds(*KINDS, *CUDNN, "RNN")
def _recurrent(entry: Entry, source: Source, path: str) -> Recurrent:
    spec = recurrence_of(entry)
    return Recurrent(spec, take_cells(spec, source, path))
