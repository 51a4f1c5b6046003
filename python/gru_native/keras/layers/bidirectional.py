"""Two directions, merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers import Block
from ...layers._weights import Array
from .._assignment import Assignment
from .._cells import Native, Slot, make_native
from .._config import Entry
from .._recurrence import Recurrence, recurrence_of, take_cells, to_keras_layer
from .._source import Source
from .base import Layer, Masked, Shape
from .recurrent import Recurrent, States, batch_first, native_state, state_list
from .registry import builds

_MERGE: dict[str | None, Callable[[Array, Array], Any]] = {
    "concat": lambda y, back: np.concatenate([y, back], -1),
    "sum": lambda y, back: y + back,
    "ave": lambda y, back: (y + back) / 2,
    "mul": lambda y, back: y * back,
    None: lambda y, back: (y, back),
}


class Bidirectional(Layer):
    """Two recurrent layers in opposite directions over the same x, their outputs merged.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    specs : tuple of two Recurrence
        Keras's options of both directions.
    merge_mode : {"concat", "sum", "ave", "mul", None}
        How the outputs are merged; None returns both.
    return_sequences : bool
        Whether there are outputs at all steps.
    return_state : bool
        Whether the final states are returned, too.
    input_size : int
        Numbers in each x.
    layer : RNN, LSTM or GRU, or None
        One bidirectional layer of the core, which runs both directions side by side. There is one
        if both are alike, as Keras makes them, and have one cell.
    directions : tuple of two Recurrent, or None
        Both directions, if there is no such layer.
    """

    keras_class = "Bidirectional"

    _reads_masks = True

    def __init__(
        self,
        name: str,
        specs: tuple[Recurrence, Recurrence],
        merge_mode: str | None,
        arrays: tuple[Sequence[Mapping[str, Array]], Sequence[Mapping[str, Array]]],
    ) -> None:
        self.name, self.specs, self.merge_mode = name, specs, merge_mode
        self.return_sequences = specs[0].return_sequences
        self.return_state = specs[0].return_state
        sizes = [own[0]["kernel"].shape[0] for own in arrays]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"layer {name!r} has directions with inputs of sizes {sizes[0]} and {sizes[1]}; "
                "expected the same"
            )
        self.input_size: int = sizes[0]
        self.layer: Native | None = None
        self.directions: tuple[Recurrent, Recurrent] | None = None
        if specs[0].mirrors(specs[1]):
            self.layer = make_native(specs[0].cells[0], self.input_size, bidirectional=True)
            new = Assignment()
            for slot, own in zip(self._slots(), (arrays[0][0], arrays[1][0]), strict=True):
                slot.set(own, new)
            new.end()
        else:
            self.directions = Recurrent(specs[0], arrays[0]), Recurrent(specs[1], arrays[1])

    def __call__(
        self,
        x: ArrayLike,
        initial_state: Sequence[Any] | None = None,
        *,
        mask: ArrayLike | None = None,
    ) -> Any:
        """Compute what the Keras layer computes.

        With ``return_sequences`` the outputs of both directions are in the order of time, and 0 at
        masked steps.

        Parameters
        ----------
        x : array_like
            (batch, seq, input).
        initial_state : sequence of array_like, optional
            The states of the forward layer, then those of the backward one: h for a SimpleRNN or
            GRU, h and c for an LSTM, each (batch, units). None means zeros.
        mask : array_like of bool, optional
            (batch, seq): False masks a step.

        Returns
        -------
        ndarray or tuple
            The merged outputs, or for a ``merge_mode`` of None those of both directions; with
            ``return_state`` then the states.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            given = state_list(initial_state)
            half = len(given) // 2
            if half * 2 != len(given):
                raise ValueError(
                    f"initial_state has {len(given)} entries; expected as many for each direction"
                )
            halves = given[:half], given[half:]
        run = self._together if self.directions is None else self._separately
        y, back, states = run(x, halves, mask)
        if self.return_sequences and self.specs[0].time_major:
            y, back = y.swapaxes(0, 1), back.swapaxes(0, 1)
        merged = _MERGE[self.merge_mode](y, back)
        if not self.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def _separately(
        self, x: ArrayLike, states: tuple[Any, Any], mask: ArrayLike | None
    ) -> tuple[Array, Array, States]:
        assert self.directions is not None
        (y, first), (back, second) = (
            direction._sequence(x, state, mask)
            for direction, state in zip(self.directions, states, strict=True)
        )
        if self.return_sequences:
            return y, back[:, ::-1], first + second
        return y[:, -1], back[:, -1], first + second

    def _together(
        self, x: ArrayLike, states: tuple[Any, Any], mask: ArrayLike | None
    ) -> tuple[Array, Array, States]:
        assert self.layer is not None
        cell = self.specs[0].cells[0]
        array, mask = batch_first(self.specs[0], x, mask, self.input_size)
        state: Any = None
        if states[0] is not None:
            parts = [native_state(cell, own) for own in states]
            if cell.kind == "LSTM":
                state = tuple(np.concatenate(both) for both in zip(*parts, strict=True))
            else:
                state = np.concatenate(parts)
        output = "zero" if self.return_sequences else "hold"
        y, final = self.layer(array, state, mask=mask, masked_output=output)
        own = final if isinstance(final, tuple) else (final,)
        ends = [part[d] for d in (0, 1) for part in own]
        forward, back = y[..., : cell.units], y[..., cell.units :]
        if self.return_sequences:
            return forward, back, ends
        return forward[:, -1], back[:, 0], ends

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x, mask=mask), self._mask_behind(mask)

    def _mask_behind(self, mask: Array | None) -> Array | None:
        return mask if self.return_sequences else None

    def _slots(self) -> list[Slot]:
        slots = []
        for d, (spec, end) in enumerate(zip(self.specs, ("", "_reverse"), strict=True)):
            group = f"{('forward', 'backward')[d]}_layer/"
            if self.directions is None:
                assert self.layer is not None
                cell, path = spec.cells[0], spec.cell_paths()[0]
                slots.append(Slot(group + path, cell, self.layer, f"_l0{end}"))
            else:
                own = self.directions[d]._slots()
                slots += [slot._replace(path=group + slot.path) for slot in own]
        return slots

    def _sizes(self) -> tuple[int | None, int | None]:
        sizes = [spec.cells[-1].units for spec in self.specs]
        return self.input_size, sum(sizes) if self.merge_mode == "concat" else sizes[0]

    def _blocks(self, last: bool) -> list[Block]:
        if self.specs[0].time_major:
            raise ValueError(f"layer {self.name!r} has time_major; this Chain has the batch first")
        if self.layer is None or self.merge_mode != "concat" or not self.return_sequences:
            raise ValueError(
                f"layer {self.name!r} cannot be part of a Chain: expected two directions alike, "
                "merge_mode 'concat' and return_sequences"
            )
        return [self.layer]

    def _input_shape(self) -> Shape:
        return (None, None, self.input_size)

    def _to_keras(self, keras: Any) -> Any:
        forward, backward = (to_keras_layer(keras, spec) for spec in self.specs)
        return keras.layers.Bidirectional(
            forward,
            merge_mode=self.merge_mode,
            backward_layer=backward,
            name=self.name,
            dtype=self.specs[0].cells[0].dtype,
        )

    def __repr__(self) -> str:
        return f"Bidirectional({self.name!r}, {self.specs}, merge_mode={self.merge_mode!r})"


@builds("Bidirectional")
def _bidirectional(entry: Entry, source: Source, path: str) -> Bidirectional:
    forward = recurrence_of(entry.entry("layer"))
    if entry.keras_2:
        forward = replace(forward, zero_output_for_mask=forward.return_sequences)
        own = f"backward_{forward.name.removeprefix('forward_')}"
        backward = replace(forward, go_backwards=not forward.go_backwards, name=own)
        if entry.raw("backward_layer") is not None:
            backward = recurrence_of(entry.entry("backward_layer"))
            backward = replace(backward, zero_output_for_mask=backward.return_sequences)
    else:
        backward = recurrence_of(entry.entry("backward_layer"))
    for option in ("return_sequences", "return_state", "time_major"):
        if getattr(forward, option) != getattr(backward, option):
            raise ValueError(f"{entry.where}: {option} differs between the directions")
    if forward.go_backwards == backward.go_backwards:
        raise ValueError(f"{entry.where}: both directions have the same go_backwards")
    if forward.cells[0].dtype != backward.cells[0].dtype:
        raise ValueError(f"{entry.where}: the directions have different dtypes")
    mode = entry.raw("merge_mode")
    if not (mode is None or isinstance(mode, str)) or mode not in _MERGE:
        raise ValueError(
            f"{entry.where}: merge_mode is {mode!r}; expected one of {', '.join(map(repr, _MERGE))}"
        )
    units = forward.cells[-1].units, backward.cells[-1].units
    if mode in ("sum", "mul", "ave") and units[0] != units[1]:
        raise ValueError(
            f"{entry.where}: merge_mode is {mode!r}, but the directions have {units[0]} and "
            f"{units[1]} units; expected the same"
        )
    arrays = (
        take_cells(forward, source, f"{path}forward_layer/"),
        take_cells(backward, source, f"{path}backward_layer/"),
    )
    return Bidirectional(entry.name, (forward, backward), mode, arrays)
