"""What Keras's layers are here: callable on arrays as in Keras, with layers of the core inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ...layers import Block, Chain
from ...layers import Dense as NativeDense
from ...layers._weights import Array
from .._activations import DENSE, OUTPUT
from .._cells import Cell, Native, Recurrence, Slot, make_native, numbered, snake_case

States: TypeAlias = list[Any]  # arrays, or for stacked cells a list of arrays for each
Masked: TypeAlias = tuple[Any, Array | None]


class Layer(ABC):
    """A Keras layer or model on the core, for inference.

    name is Keras's. x has the batch first, as in Keras, and the layer's dtype.
    """

    name: str
    keras_class: str

    @abstractmethod
    def _run(self, x: Any, mask: Array | None) -> Masked:
        """Output and its mask, as in a Sequential."""

    def _slots(self) -> list[Slot]:
        """The cells whose weights these are, in Keras's order."""
        return []

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        """Path, relative to the layer's group in a Keras file, and array, in Keras's order."""
        for slot in self._slots():
            yield from slot.tensors()

    def _assign(self, arrays: Iterator[Array]) -> None:
        """Set the weights, which have been checked, to the next arrays, in Keras's order."""
        for slot in self._slots():
            slot.assign(arrays)

    def _sizes(self) -> tuple[int | None, int | None]:
        """Numbers a step that it reads and gives; None: any, and as many as it reads."""
        return None, None

    def _blocks(self, last: bool) -> list[Block]:
        raise ValueError(f"layer {self.name!r} ({self.keras_class}) cannot be part of a Chain")

    def get_weights(self) -> list[Array]:
        """Copies of the weights, as ``get_weights()`` of the Keras layer has them."""
        return [array.copy() for _, array in self._tensors()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set all weights from what Keras's ``get_weights()`` returns.

        Raises ValueError, naming the tensor, for a wrong number, shape or dtype of arrays; nothing
        has changed then.
        """
        arrays, own = [np.asarray(array) for array in weights], list(self._tensors())
        if len(arrays) != len(own):
            raise ValueError(f"weights has {len(arrays)} arrays; expected {len(own)}")
        for array, (path, present) in zip(arrays, own, strict=True):
            if array.shape != present.shape or array.dtype != present.dtype:
                raise ValueError(
                    f"tensor {path} is {array.dtype} of shape {array.shape}; "
                    f"expected {present.dtype} of shape {present.shape}"
                )
        self._assign(iter(arrays))

    @property
    def num_parameters(self) -> int:
        """The number of weights, as ``count_params()`` of the Keras layer."""
        return sum(array.size for _, array in self._tensors())


def _array(x: ArrayLike, dtype: str, rank: int, shape: str) -> Array:
    # A list of Python floats is float64 by NumPy's habit, not by the user's choice.
    array = x if isinstance(x, np.ndarray) else np.asarray(x, dtype)
    if array.ndim != rank:
        raise ValueError(f"x has shape {array.shape}; expected {shape}")
    return array


class Recurrent(Layer):
    """SimpleRNN, LSTM, GRU, or an RNN over one or more of their cells.

    ``layers`` has the core's layer of each cell, with ``batch_first``; they may be used, edited,
    streamed and saved by themselves. ``spec`` has Keras's options.
    """

    def __init__(self, spec: Recurrence, arrays: Sequence[Mapping[str, Array]]) -> None:
        self.spec, self.name, self.keras_class = spec, spec.name, spec.keras_class
        self.layers: tuple[Native, ...] = tuple(
            make_native(cell, own["kernel"].shape[0])
            for cell, own in zip(spec.cells, arrays, strict=True)
        )
        for slot, own in zip(self._slots(), arrays, strict=True):
            slot.set(own)

    @property
    def layer(self) -> Native:
        """The only layer of the core in here. Raises ValueError for stacked cells."""
        if len(self.layers) != 1:
            raise ValueError(f"layer {self.name!r} has {len(self.layers)} cells; see its layers")
        return self.layers[0]

    @property
    def input_size(self) -> int:
        return self.layers[0].input_size

    def __call__(
        self,
        x: ArrayLike,
        initial_state: Sequence[Any] | None = None,
        *,
        mask: ArrayLike | None = None,
    ) -> Any:
        """y, or with ``return_state`` (y, *states), as the Keras layer gives them.

        x is (batch, seq, input), mask (batch, seq) of bool. y is (batch, seq, units), in the order
        of processing, or without ``return_sequences`` (batch, units). initial_state and states are
        h for a SimpleRNN or GRU and h, c for an LSTM, each (batch, units); for stacked cells a list
        of these for each cell.

        At a masked step y is the last output, 0 before the first, or with ``zero_output_for_mask``
        always 0. (Keras with JAX begins with the initial state instead of 0.)

        Raises ValueError for wrong shapes and TypeError for wrong dtypes.
        """
        y, states = self._sequence(x, initial_state, mask)
        if not self.spec.return_sequences:
            y = np.ascontiguousarray(y[:, -1])
        return (y, *states) if self.spec.return_state else y

    def _sequence(
        self, x: ArrayLike, initial_state: Sequence[Any] | None, mask: ArrayLike | None
    ) -> tuple[Array, States]:
        """All outputs in the order of processing, and the states as Keras returns them."""
        y = _array(
            x, self.spec.cells[0].dtype, 3, f"(batch, seq_len, input_size={self.input_size})"
        )
        mask = None if mask is None else np.asarray(mask)
        if self.spec.go_backwards:
            y = y[:, ::-1]
            mask = mask[:, ::-1] if mask is not None and mask.ndim == 2 else mask
        states: States = []
        given = self._states_by_cell(initial_state)
        output = "zero" if self.spec.zero_output_for_mask else "hold"
        for cell, layer, state in zip(self.spec.cells, self.layers, given, strict=True):
            y, final = layer(y, _native_state(cell, state), mask=mask, masked_output=output)
            parts = [part[0] for part in (final if isinstance(final, tuple) else (final,))]
            states.append(parts) if self.spec.stacked else states.extend(parts)
        return y, states

    def _states_by_cell(self, initial_state: Sequence[Any] | None) -> list[Any]:
        if initial_state is None:
            return [None] * len(self.spec.cells)
        given = _state_list(initial_state)
        if not self.spec.stacked:
            return [given]
        if len(given) != len(self.spec.cells):
            raise ValueError(
                f"initial_state has {len(given)} entries; expected {len(self.spec.cells)}, "
                "one for each cell"
            )
        return [_state_list(state) for state in given]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x, mask=mask), mask if self.spec.return_sequences else None

    def _slots(self) -> list[Slot]:
        places = zip(self.spec.cell_paths(), self.spec.cells, self.layers, strict=True)
        return [Slot(path, cell, layer, "_l0") for path, cell, layer in places]

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.input_size, self.spec.cells[-1].units

    def _blocks(self, last: bool) -> list[Block]:
        if self.spec.go_backwards:
            raise ValueError(f"layer {self.name!r} goes backwards; a Chain goes forward in time")
        if not self.spec.return_sequences and not last:
            raise ValueError(
                f"layer {self.name!r} has return_sequences=False, but a recurrent layer follows: "
                "a Chain has outputs at all steps"
            )
        return list(self.layers)

    def __repr__(self) -> str:
        return f"Recurrent({self.spec})"


def _state_list(state: Any) -> list[Any]:
    """Keras takes a single state also by itself."""
    return list(state) if isinstance(state, (list, tuple)) else [state]


def _native_state(cell: Cell, states: Sequence[Any] | None) -> Any:
    """(batch, units) each -> the core's (1, batch, units)."""
    if states is None:
        return None
    if len(states) != cell.states:
        raise ValueError(
            f"initial_state has {len(states)} arrays; expected {cell.states} for a {cell.kind}"
        )
    parts = []
    for state in states:
        array = _array(state, cell.dtype, np.ndim(state), "")
        if array.ndim != 2:
            raise ValueError(
                f"initial_state has an array of shape {array.shape}; "
                f"expected (batch, units={cell.units})"
            )
        parts.append(array[None])
    return tuple(parts) if cell.kind == "LSTM" else parts[0]


MERGE: dict[str | None, Callable[[Array, Array], Any]] = {
    "concat": lambda y, back: np.concatenate([y, back], -1),
    "sum": lambda y, back: y + back,
    "ave": lambda y, back: (y + back) / 2,
    "mul": lambda y, back: y * back,
    None: lambda y, back: (y, back),
}


class Bidirectional(Layer):
    """Two recurrent layers in opposite directions over the same x, their outputs merged.

    If both are alike, as Keras makes them, and have one cell, ``layer`` is one bidirectional layer
    of the core, which runs them side by side, and ``directions`` is None. Else ``layer`` is None,
    and ``directions`` has two ``Recurrent`` layers.
    """

    keras_class = "Bidirectional"

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
            for slot, own in zip(self._slots(), (arrays[0][0], arrays[1][0]), strict=True):
                slot.set(own)
        else:
            self.directions = Recurrent(specs[0], arrays[0]), Recurrent(specs[1], arrays[1])

    def __call__(
        self,
        x: ArrayLike,
        initial_state: Sequence[Any] | None = None,
        *,
        mask: ArrayLike | None = None,
    ) -> Any:
        """The merged outputs, for merge_mode None both; with ``return_state`` then the states.

        Arguments, and what is raised, are as for ``Recurrent``; initial_state has those of the
        forward layer first. With ``return_sequences`` the outputs of both directions are in the
        order of time, and 0 at masked steps.
        """
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            given = _state_list(initial_state)
            half = len(given) // 2
            if half * 2 != len(given):
                raise ValueError(
                    f"initial_state has {len(given)} entries; expected as many for each direction"
                )
            halves = given[:half], given[half:]
        run = self._together if self.directions is None else self._separately
        y, back, states = run(x, halves, mask)
        merged = MERGE[self.merge_mode](y, back)
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
        array = _array(x, cell.dtype, 3, f"(batch, seq_len, input_size={self.input_size})")
        state: Any = None
        if states[0] is not None:
            parts = [_native_state(cell, own) for own in states]
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
        return self(x, mask=mask), mask if self.return_sequences else None

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
        if self.layer is None or self.merge_mode != "concat" or not self.return_sequences:
            raise ValueError(
                f"layer {self.name!r} cannot be part of a Chain: expected two directions alike, "
                "merge_mode 'concat' and return_sequences"
            )
        return [self.layer]

    def __repr__(self) -> str:
        return f"Bidirectional({self.name!r}, {self.specs}, merge_mode={self.merge_mode!r})"


class Dense(Layer):
    """Dense, or TimeDistributed(Dense), which is the same on arrays.

    ``layer`` is the core's; ``activation`` is Keras's name, computed in NumPy where the core has
    no such function.
    """

    def __init__(
        self,
        name: str,
        activation: str,
        arrays: Mapping[str, Array],
        time_distributed: str | None = None,
    ) -> None:
        if activation not in OUTPUT:
            raise ValueError(
                f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
            )
        self.name, self.activation, self.time_distributed = name, activation, time_distributed
        self.keras_class = "Dense" if time_distributed is None else "TimeDistributed"
        self.layer = NativeDense(
            *arrays["kernel"].shape,
            bias="bias" in arrays,
            activation=DENSE.get(activation, "identity"),
            dtype=arrays["kernel"].dtype,
            seed=0,
        )
        self._assign(iter(arrays.values()))

    def __call__(self, x: ArrayLike) -> Array:
        """(..., input) to (..., units). Raises ValueError and TypeError as the core's Dense."""
        y = self.layer(x)
        return y if self.activation in DENSE else OUTPUT[self.activation](y)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        path = "vars" if self.time_distributed is None else "layer/vars"
        yield f"{path}/0", np.ascontiguousarray(self.layer.weights["weight"].T)
        if self.layer.bias:
            yield f"{path}/1", self.layer.weights["bias"]

    def _assign(self, arrays: Iterator[Array]) -> None:
        with self.layer.editing() as weights:
            weights["weight"] = next(arrays).T
            if self.layer.bias:
                weights["bias"] = next(arrays)

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.layer.input_size, self.layer.output_size

    def _blocks(self, last: bool) -> list[Block]:
        if self.activation not in DENSE:
            raise ValueError(
                f"layer {self.name!r} has activation {self.activation!r}, which a Chain cannot "
                f"have; expected one of {', '.join(DENSE)}"
            )
        return [self.layer]

    def __repr__(self) -> str:
        return f"Dense({self.name!r}, {self.layer}, activation={self.activation!r})"


class Embedding(Layer):
    """Rows of a table. With ``mask_zero``, index 0 is masked for the layers that follow."""

    keras_class = "Embedding"

    def __init__(self, name: str, table: Array, mask_zero: bool) -> None:
        self.name, self.table, self.mask_zero = name, np.array(table), mask_zero

    def __call__(self, x: ArrayLike) -> Array:
        """Whole numbers (...) from 0 to (..., output_dim). Raises ValueError, TypeError."""
        index = np.asarray(x)
        if index.dtype.kind not in "iu":
            raise TypeError(f"x has dtype {index.dtype}; expected whole numbers")
        rows = len(self.table)
        if index.size and not (index.min() >= 0 and index.max() < rows):
            raise ValueError(f"x holds {index.min()} to {index.max()}; expected 0 to {rows - 1}")
        rows_of_table: Array = self.table[index]
        return rows_of_table

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), np.asarray(x) != 0 if self.mask_zero else None

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, int(self.table.shape[1])

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        yield "vars/0", self.table

    def _assign(self, arrays: Iterator[Array]) -> None:
        self.table = np.array(next(arrays))


class Masking(Layer):
    """Masks the steps at which all numbers are ``mask_value``, and makes these 0."""

    keras_class = "Masking"

    def __init__(self, name: str, mask_value: float, dtype: str) -> None:
        self.name, self.mask_value, self.dtype = name, mask_value, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """x with its masked steps 0."""
        return self._run(x, None)[0]  # type: ignore[no-any-return]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        array = np.asarray(x)
        if array.dtype.kind != "f":
            raise TypeError(f"x has dtype {array.dtype}; expected float32 or float64")
        own: Array = np.any(array != array.dtype.type(self.mask_value), axis=-1)
        return np.where(own[..., None], array, array.dtype.type(0)), own


class Activation(Layer):
    """An activation function by itself, by Keras's name."""

    keras_class = "Activation"

    def __init__(self, name: str, activation: str, dtype: str) -> None:
        if activation not in OUTPUT:
            raise ValueError(
                f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
            )
        self.name, self.activation, self.dtype = name, activation, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """f of each number; "softmax" and "log_softmax" along the last axis."""
        return OUTPUT[self.activation](np.asarray(x))

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask


class Identity(Layer):
    """What does nothing in inference: Dropout and its kin."""

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, float], dtype: str
    ) -> None:
        self.name, self.keras_class, self.dtype = name, keras_class, dtype
        self.options = dict(options)

    def __call__(self, x: ArrayLike) -> Array:
        """x."""
        return np.asarray(x)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return x, mask

    def _blocks(self, last: bool) -> list[Block]:
        return []


class Sequential(Layer):
    """Layers one after the other, ``layers``, with Keras's masks from one to the next.

    ``input_shape`` is that of the InputLayer, with the batch, where there is one.
    """

    keras_class = "Sequential"

    def __init__(
        self, name: str, layers: Sequence[Layer], input_shape: tuple[int | None, ...] | None
    ) -> None:
        self.name, self.layers, self.input_shape = name, tuple(layers), input_shape
        self._groups = numbered(snake_case(layer.keras_class) for layer in self.layers)

    def __call__(self, x: ArrayLike, *, mask: ArrayLike | None = None) -> Any:
        """The last layer's output. x is as the first layer takes it, mask (batch, seq) of bool.

        Raises ValueError and TypeError as the layers do, naming the layer.
        """
        return self._run(x, None if mask is None else np.asarray(mask))[0]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        for layer in self.layers:
            try:
                x, mask = layer._run(x, mask)
            except (TypeError, ValueError) as error:
                raise type(error)(f"layer {layer.name!r}: {error}") from None
        return x, mask

    def chain(self) -> Chain:
        """The same layers, shared, as a ``gru_native.Chain``, to be streamed and saved.

        It has outputs at every step: where this model's last recurrent layer has
        ``return_sequences=False``, the model's output is the chain's at the last step. Dropout is
        left out. Raises ValueError, naming the layer, for what a chain cannot express.
        """
        recurrent = [
            i for i, o in enumerate(self.layers) if isinstance(o, (Recurrent, Bidirectional))
        ]
        blocks: list[Block] = []
        for i, layer in enumerate(self.layers):
            blocks += layer._blocks(last=not recurrent or i >= recurrent[-1])
        return Chain(blocks)

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        for group, layer in zip(self._groups, self.layers, strict=True):
            for path, array in layer._tensors():
                yield f"layers/{group}/{path}", array

    def _assign(self, arrays: Iterator[Array]) -> None:
        for layer in self.layers:
            layer._assign(arrays)

    def __repr__(self) -> str:
        return f"Sequential({self.name!r}, {list(self.layers)})"
