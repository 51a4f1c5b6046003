"""The interface of ``onnx.backend``: prepare, run_model, run_node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.backend.base
from numpy.typing import ArrayLike

from .._core import numpy_array
from ..layers._weights import Array
from ._load import Model, load
from ._model import Graph, Input, read_node
from ._program import Program


class Prepared(onnx.backend.base.BackendRep):
    """A model that is ready to run.

    Made by ``prepare``.

    Attributes
    ----------
    model : Model
        The model, as ``load`` makes it.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Compute the outputs.

        Parameters
        ----------
        inputs : sequence or mapping of array_like
            The model's inputs in order, or by name; a single one needs no list.
        **kwargs
            Not used.

        Returns
        -------
        tuple of ndarray
            The outputs in the model's order, also by name: ``outputs["Y"]``.

        Raises
        ------
        ValueError
            For wrong shapes, and where the computation stops; the text names the input or node.
        TypeError
            For another dtype, and for inputs that are missing or unknown.
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
    """``onnx.backend.base.Backend`` on this core.

    The module has its methods as functions.
    """

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Say whether a device is a CPU.

        Parameters
        ----------
        device : str
            Such as ``"CPU"`` or ``"CUDA:1"``.

        Returns
        -------
        bool
            Whether models can run there.
        """
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Say whether ``prepare`` takes a model.

        Parameters
        ----------
        model : onnx.ModelProto
            The model.
        device : str, optional
            ``"CPU"``.
        **kwargs
            Not used.

        Returns
        -------
        bool
            Whether it does.
        """
        try:
            cls.prepare(model, device)
        except ValueError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Read and check a model and make its layers: ``prepare(model).run(inputs)``.

        Parameters
        ----------
        model : onnx.ModelProto
            A model with the operators RNN, LSTM and GRU, which run on this core, and those that are
            usual around them.
        device : str, optional
            ``"CPU"``.
        **kwargs
            Not used.

        Returns
        -------
        Prepared
            The model, ready to run.

        Raises
        ------
        ValueError
            For another model, whose node or tensor the text names, and for another device.
        """
        _check_device(device)
        return Prepared(load(model))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Array, ...]:
        """Run a model once: ``prepare(model).run(inputs)``.

        Parameters
        ----------
        model : onnx.ModelProto
            The model.
        inputs : sequence or mapping of array_like
            The model's inputs in order, or by name; a single one needs no list.
        device : str, optional
            ``"CPU"``.
        **kwargs
            Not used.

        Returns
        -------
        tuple of ndarray
            The outputs in the model's order, also by name.

        Raises
        ------
        ValueError
            For a model that is not supported, wrong shapes or another device.
        TypeError
            For another dtype, and for inputs that are missing or unknown.
        """
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
        """Run a single node.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : sequence or mapping of array_like
            The inputs that it has, in order, or by name.
        device : str, optional
            ``"CPU"``.
        outputs_info : sequence of tuple, optional
            Not used.
        **kwargs
            ``opset_version``, which is the newest if it is not given.

        Returns
        -------
        tuple of ndarray
            The outputs in order, also by name.

        Raises
        ------
        ValueError
            For a node that is not valid or not supported, wrong shapes or another device.
        TypeError
            For another dtype.
        """
        _check_device(device)
        try:
            super().run_node(node, inputs, device, outputs_info, **kwargs)
        except onnx.checker.ValidationError as error:
            raise ValueError(f"not a valid node: {error}") from error
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in dict.fromkeys(node.input) if name]
        arrays = (
            inputs
            if isinstance(inputs, Mapping)
            else dict(zip(names, _listed(inputs), strict=True))
        )
        types = {
            name: Input(numpy_array(name, arrays[name], "numbers").dtype, None) for name in arrays
        }
        outputs = [name for name in node.output if name]
        graph = Graph(types, outputs, {}, [read_node(node, opset)])
        return Prepared(Model(Program(graph))).run(arrays)


def _listed(inputs: Any) -> Sequence[ArrayLike]:
    return inputs if isinstance(inputs, (list, tuple)) else [inputs]


def _check_device(device: str) -> None:
    if not Backend.supports_device(device):
        raise ValueError(f"device is {device!r}; expected 'CPU'")
