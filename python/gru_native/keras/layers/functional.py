"""Functional models: layers that branch and join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block, Chain
from ...layers._weights import Array
from .._graph import Call, Graph, Ref
from .._places import Place, check_end, ended, first_that_goes
from .base import Composite, Layer, Masked, Shape
from .bidirectional import Bidirectional
from .embedding import Embedding
from .recurrent import Recurrent
from .series import blocks_of


class Functional(Composite):
    """Layers that are called on each other's outputs, with Keras's masks from one to the next.

    Made by ``from_keras`` and ``load``. A layer may be called several times, and a recurrent one on
    the states of another, as a decoder is on those of its encoder.

    Attributes
    ----------
    name : str
        Keras's name of the model.
    keras_class : str
        The model's class in Keras.
    layers : tuple of Layer
        The layers, in the order of Keras's weights.
    graph : Graph
        Which layer is called on what.
    """

    keras_class = "Functional"

    def __init__(
        self,
        name: str,
        graph: Graph,
        layers: Sequence[Layer],
        input_shapes: Mapping[str, Shape],
    ) -> None:
        self.name, self.graph, self.layers = name, graph, tuple(layers)
        self.input_shapes = dict(input_shapes)
        named = [entry.name for entry in graph.entries if entry.keras_class != "InputLayer"]
        self._by_name = dict(zip(named, self.layers, strict=True))

    def __call__(self, x: Any, *, mask: ArrayLike | None = None) -> Any:
        """Compute the outputs.

        Parameters
        ----------
        x : array_like or sequence of array_like
            The input; of several inputs a list or tuple in the model's order.
        mask : array_like of bool, optional
            (batch, seq): False masks a step of the first input.

        Returns
        -------
        ndarray or tuple
            The output, or a tuple of several in the model's order.

        Raises
        ------
        ValueError
            For wrong shapes, and for layers that join inputs of several masks; the text names the
            layer.
        TypeError
            For another dtype.
        """
        return self._run(x, None if mask is None else numpy_array("mask", mask, "bool"))[0]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        xs = [x] if len(self.graph.inputs) == 1 else x
        if not isinstance(xs, (list, tuple)) or len(xs) != len(self.graph.inputs):
            raise ValueError(
                f"x is {type(x).__name__}; expected a list of {len(self.graph.inputs)} inputs"
            )
        values: dict[tuple[str, int], Masked] = {
            (ref.layer, ref.call): ((own,), mask if i == 0 else None)
            for i, (ref, own) in enumerate(zip(self.graph.inputs, xs, strict=True))
        }
        for call in self.graph.calls:
            layer = self._by_name[call.layer]
            try:
                values[call.layer, call.index] = _outputs(layer, call, values)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"layer {layer.name!r}: {error}") from error
        found = [_value(values, ref) for ref in self.graph.outputs]
        first = self.graph.outputs[0]
        return (
            found[0] if len(found) == 1 else tuple(found),
            values[first.layer, first.call][1] if len(found) == 1 else None,
        )

    def chain(self) -> Chain:
        """Make a ``gru_native.Chain`` of the same layers, to stream and to save.

        It shares the layers. Branches that begin at one tensor and join again become ``Parallel``
        and ``Residual`` blocks, and where a recurrent layer has ``return_sequences=False`` a
        ``Pool`` takes its last step. A chain that begins with images reads (batch, channels,
        height, width), where the width is what the steps come from.

        Returns
        -------
        gru_native.Chain
            The chain, which has ``batch_first``.

        Raises
        ------
        ValueError
            For what a chain cannot express, such as several inputs or outputs, a layer that is
            called twice, or branches that do not join again; the text names the layer.
        """
        shape = self.input_shapes[self.graph.inputs[0].layer]

        def build(place: Place) -> list[Block]:
            blocks, after = blocks_of(self.graph, self._by_name, place)
            with ended(len(self.graph.calls)):
                check_end(self.name, after)
            return blocks

        return Chain(first_that_goes(shape, build))

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        return blocks_of(self.graph, self._by_name, place)

    @property
    def _num_inputs(self) -> int:
        return len(self.graph.inputs)

    @property
    def _num_outputs(self) -> int:
        return len(self.graph.outputs)

    def _to_keras(self, keras: Any) -> Any:
        made = {name: layer._to_keras(keras) for name, layer in self._by_name.items()}
        whole = {
            ref
            for call in self.graph.calls
            for ref in call.inputs
            if isinstance(self._by_name[call.layer], Embedding)
        }
        values: dict[tuple[str, int], Any] = {}
        inputs = []
        for ref in self.graph.inputs:
            dtype = "int32" if ref in whole else self._dtype()
            shape = self.input_shapes[ref.layer]
            inputs.append(keras.Input(batch_shape=shape, dtype=dtype, name=ref.layer))
            values[ref.layer, ref.call] = ((inputs[-1],), None)
        for call in self.graph.calls:
            xs = [_value(values, ref) for ref in call.inputs]
            state = [_value(values, ref) for ref in call.state]
            options = {"initial_state": state} if state else {}
            y = made[call.layer](xs[0] if len(xs) == 1 else xs, **options)
            values[call.layer, call.index] = (
                tuple(y) if isinstance(y, (list, tuple)) else (y,),
                None,
            )
        outputs = [_value(values, ref) for ref in self.graph.outputs]
        for name, layer in self._by_name.items():  # Keras has an order of layers of its own
            weights = layer.get_weights()
            if weights:
                made[name].set_weights(weights)
        return keras.Model(
            inputs[0] if len(inputs) == 1 else inputs,
            outputs[0] if len(outputs) == 1 else outputs,
            name=self.name,
        )

    def _dtype(self) -> str:
        return next((str(array.dtype) for _, array in self._tensors()), "float32")

    def __repr__(self) -> str:
        return f"Functional({self.name!r}, {list(self.layers)})"


def _value(values: Mapping[tuple[str, int], Masked], ref: Ref) -> Any:
    outputs = values[ref.layer, ref.call][0]
    if ref.output >= len(outputs):
        raise ValueError(
            f"layer {ref.layer!r} has {len(outputs)} outputs; expected {ref.output + 1}"
        )
    return outputs[ref.output]


def _outputs(layer: Layer, call: Call, values: Mapping[tuple[str, int], Masked]) -> Masked:
    """All outputs of a call, in a tuple, and the mask of the first."""
    xs = [_value(values, ref) for ref in call.inputs]
    masks = [values[ref.layer, ref.call][1] if not ref.output else None for ref in call.inputs]
    mask = masks[0]
    for other in masks[1:]:
        if (mask is None) != (other is None) or not (
            mask is None or np.array_equal(mask, other)  # type: ignore[arg-type]
        ):
            raise ValueError("joins inputs with several masks; expected the same one for all")
    x = xs[0] if len(xs) == 1 else xs
    if call.state:
        if not isinstance(layer, (Recurrent, Bidirectional)):
            raise ValueError(f"reads {len(call.state)} states; expected none")
        given = [_value(values, ref) for ref in call.state]
        y, mask = layer(x, given, mask=mask), layer._mask_behind(mask)
    else:
        y, mask = layer._run(x, mask)
    return y if isinstance(y, tuple) else (y,), mask
