"""The interface of ``onnx.backend``: prepare, run_model, run_node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.backend.base
from numpy.typing import ArrayLike

from ..layers._weights import Array
from ._load import Model, load
from ._model import Graph, Input, _node
from ._program import Program


class Prepared(onnx.backend.base.BackendRep):
    """A model that is ready to run; see ``prepare``."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """The outputs, in the model's order, also by name: ``outputs["Y"]``.

        inputs: the model's inputs in order, or by name; one alone needs no list. Raises ValueError
        or TypeError, naming the input or the node.
        """
        if isinstance(inputs, Mapping):
            outputs = self.model(**inputs)
        else:
            outputs = self.model(*_listed(inputs))
        if len(self.model.outputs) == 1:
            outputs = (outputs,)
        kind = onnx.backend.base.namedtupledict("Outputs", list(self.model.outputs))
        result: tuple[Array, ...] = kind(*outputs)
        return result


class Backend(onnx.backend.base.Backend):
    """``onnx.backend.base.Backend`` on this core; the module has its methods as functions."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether it is a CPU."""
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether ``prepare`` takes this model."""
        try:
            cls.prepare(model, device)
        except ValueError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """The model, read and checked, with its layers made: ``prepare(model).run(inputs)``.

        Models have the operators RNN, LSTM and GRU, which run on this core, and those usual around
        them. Raises ValueError, naming the node or tensor, for others, and for another device.
        """
        _check_device(device)
        return Prepared(load(model))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Array, ...]:
        """``prepare(model).run(inputs)``."""
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """The outputs of one node; inputs are those that it has, in order, or by name.

        opset_version: the newest if it is not given. Raises ValueError, naming the node.
        """
        _check_device(device)
        try:
            super().run_node(node, inputs, device, outputs_info, **kwargs)
        except onnx.checker.ValidationError as error:
            raise ValueError(f"not a valid node: {error}") from None
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in dict.fromkeys(node.input) if name]
        arrays = (
            inputs
            if isinstance(inputs, Mapping)
            else dict(zip(names, _listed(inputs), strict=True))
        )
        types = {name: Input(np.asarray(arrays[name]).dtype, None) for name in arrays}
        outputs = [name for name in node.output if name]
        graph = Graph(types, outputs, {}, [_node(node, opset, None)])
        return Prepared(Model(Program(graph))).run(arrays)


def _listed(inputs: Any) -> Sequence[ArrayLike]:
    return inputs if isinstance(inputs, (list, tuple)) else [inputs]


def _check_device(device: str) -> None:
    if not Backend.supports_device(device):
        raise ValueError(f"device is {device!r}; expected 'CPU'")
