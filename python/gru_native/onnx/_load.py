"""``load``: an ONNX model that can be called, streamed and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

from .. import files
from .._core import a_type, numpy_array
from ..layers import GRU, LSTM, RNN, Block, Chain
from ..layers._arguments import flag
from ..layers._weights import Array
from ._fallback import check
from ._model import Graph, Input, PathLike, read, shown
from ._parts import part, recurrent_layers, set_on_every
from ._plan import Planner
from ._program import Program
from ._stream import ModelStream
from .cells import with_layers
from .recognition import Recognition, recognise


class Model:
    """An ONNX model that can be called, streamed and saved.

    Made by ``load``.

    Attributes
    ----------
    inputs : mapping of str to Input
        The model's inputs by name, each with its ``dtype`` and ``shape`` (None: any size).
    outputs : tuple of str
        The names of the model's outputs.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._planner = Planner(program)
        self._names = list(program.inputs)
        self._recognition: Recognition | None = None
        self.inputs: Mapping[str, Input] = program.inputs
        self.outputs: tuple[str, ...] = tuple(program.outputs)

    def __call__(self, *inputs: ArrayLike, **named: ArrayLike) -> Any:
        """Compute the model's outputs.

        Parameters
        ----------
        *inputs : array_like
            Inputs in the model's order, of its dtype and shape; lists and integers are converted.
        **named : array_like
            Inputs by name.

        Returns
        -------
        ndarray or tuple of ndarray
            The output, or a tuple if there are several.

        Raises
        ------
        ValueError
            For wrong shapes, and where the computation stops; the text names the input or node.
        TypeError
            For another dtype, and for inputs that are missing, unknown or given twice.
        """
        names = self._names
        try:
            arrays: list[Any] = [*inputs, *(named[name] for name in names[len(inputs) :])]
        except KeyError:
            arrays = []
        if len(arrays) == len(names) == len(inputs) + len(named):
            plan = self._planner.find(arrays)
            if plan is not None:
                own = plan.run(arrays)
                return own[0] if len(own) == 1 else tuple(own)
        if len(inputs) > len(names):
            raise TypeError(f"got {len(inputs)} inputs; expected {', '.join(names) or 'none'}")
        given: dict[str, ArrayLike] = dict(zip(names, inputs, strict=False))
        for name, value in named.items():
            if name not in names or name in given:
                what = "twice" if name in given else "and is no input of the model"
                raise TypeError(f"{name} is given {what}; expected {', '.join(names) or 'none'}")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise TypeError(f"there is no {missing[0]}; the model's inputs are {', '.join(names)}")
        results = self._planner.run(
            {name: _checked(name, given[name], self.inputs[name]) for name in names}
        )
        return self._outputs_of([results[name] for name in self.outputs])

    @staticmethod
    def _outputs_of(results: Sequence[Array]) -> Any:
        # copies: what comes out may be an input, a constant or a part of either
        outputs = tuple([np.array(array, order="C") for array in results])
        return outputs[0] if len(outputs) == 1 else outputs

    def layer(self, *, logits: bool = False) -> Block | Chain:
        """Make the layer or chain that computes the first output, with copies of its weights.

        A model that takes the last step only gives a layer that returns all steps. Functions that
        ``gru_native.Dense`` has, also Softmax and LogSoftmax, become part of a dense layer before
        them.

        Parameters
        ----------
        logits : bool, optional
            Whether to leave out a softmax at the end, and whatever else comes behind the last
            layer.

        Returns
        -------
        RNN, LSTM, GRU, Dense or Chain
            What ``gru_native`` computes it with.

        Raises
        ------
        ValueError
            For a model that is no chain of recurrent and dense layers, or that has another output
            from layers of its own; the text names the node.
        TypeError
            For what is no bool.
        """
        found = self._recognise()
        if flag("logits", logits):
            return found.logits()
        if found.tail:
            raise ValueError(
                f"{found.tail[0].label} is no layer; logits=True leaves out what is behind the last"
            )
        return found.layer

    def stream(self, batch_size: int = 1) -> ModelStream:
        """Make a stream over the model: one step or one chunk at a time, the state kept.

        If the model takes the last step only, the stream returns its output for every step.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side.

        Returns
        -------
        ModelStream
            It begins in the zero state.

        Raises
        ------
        ValueError
            For a model that is no chain of layers or that needs the end of the sequence, whose node
            the text names; for a batch_size below 1.
        TypeError
            For a batch_size that is no whole number.
        """
        return ModelStream(self._recognise(), batch_size)

    def save(self, path: PathLike, *, logits: bool = False) -> None:
        """Write the layers to a file that ``gru_native.load`` and C++ read.

        Parameters
        ----------
        path : str or path_like
            The file.
        logits : bool, optional
            Whether to leave out a softmax at the end, and whatever else comes behind the last
            layer.

        Raises
        ------
        ValueError
            For a model that is no chain of recurrent and dense layers, or that has another output
            from layers of its own; the text names the node.
        TypeError
            For what is no bool.
        OSError
            For a file that cannot be written.
        """
        files.save(self.layer(logits=logits), path)

    def _recognise(self) -> Recognition:
        if self._recognition is None:
            self._recognition = recognise(self._program)
        return self._recognition

    def __repr__(self) -> str:
        return f"Model({', '.join(self.inputs)} -> {', '.join(self.outputs)})"


def load(
    model: PathLike | onnx.ModelProto,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    fallback: str | None = None,
    linear_before_reset: bool | None = None,
) -> Model:
    """Read a model of RNN, LSTM and GRU nodes and what is usually around them.

    That is what ``torch.onnx.export`` and tf2onnx write for recurrent networks. The recurrent nodes
    run on this core, the others on NumPy. Tensors in other files are read from the model's folder
    only.

    Parameters
    ----------
    model : str, path_like or onnx.ModelProto
        A file, or a model in memory.
    inputs, outputs : sequence of str, optional
        The names of tensors between which a part of the model lies; by default those of the model.
        Such an input has the dtype and shape that the file says, else float32 and any.
    fallback : "onnxruntime", optional
        What computes the nodes that nothing here does: one session of ONNX Runtime, which must be
        installed, for each connected piece of them.
    linear_before_reset : bool, optional
        What all GRU nodes have, whatever they say. Some exporters leave the attribute out, so that
        it means 0, for weights that were trained with 1, as PyTorch's and cuDNN's are.

    Returns
    -------
    Model
        It can be called; if it is a chain of layers, it can be streamed and saved, too.

    Raises
    ------
    ValueError
        For operators that are not supported, all of which the text names, and for models that are
        truncated or wrong, before memory is taken in the sizes that they claim; the text names the
        node or tensor.
    TypeError
        For names that are no texts, and a linear_before_reset that is no bool.
    ImportError
        For a fallback that is not installed.
    OSError
        For a file that cannot be read.
    """
    other = check(fallback)
    graph = _read(model, linear_before_reset)
    graph = part(graph, _names("inputs", inputs), _names("outputs", outputs))
    try:
        return Model(Program(with_layers(graph), fallback=other))
    except ValueError as error:
        if isinstance(model, onnx.ModelProto):
            raise
        raise ValueError(f"{model!s}: {error}") from error


def layers(
    model: PathLike | onnx.ModelProto, *, linear_before_reset: bool | None = None
) -> dict[str, RNN | LSTM | GRU]:
    """Make the recurrent layers of any model, whatever else it is made of.

    Parameters
    ----------
    model : str, path_like or onnx.ModelProto
        A file, or a model in memory.
    linear_before_reset : bool, optional
        What all GRU nodes have, whatever they say; see ``load``.

    Returns
    -------
    dict of str to RNN, LSTM or GRU
        A layer with copies of the weights for each RNN, LSTM and GRU node, also in the bodies of
        If, Loop and Scan, by the node's name, or by its first output if it has none. A node that
        runs in reverse only gives the layer that it runs in reverse; one whose directions have
        different functions gives two, the second with ``" (reverse)"`` behind its name. A layer
        that is written out step by step has the name of the Loop or Scan that it is in, or of its
        first node. A node whose weights depend on inputs of the model gives none.

    Raises
    ------
    ValueError
        For models that are truncated or wrong, and weights that do not fit their node; the text
        names the node or tensor.
    TypeError
        For a linear_before_reset that is no bool.
    OSError
        For a file that cannot be read.
    """
    return recurrent_layers(with_layers(_read(model, linear_before_reset)))


def _read(model: PathLike | onnx.ModelProto, linear_before_reset: bool | None) -> Graph:
    graph = read(model)
    if linear_before_reset is not None:
        set_on_every(
            graph, "GRU", linear_before_reset=int(flag("linear_before_reset", linear_before_reset))
        )
    return graph


def _names(what: str, names: Sequence[str] | None) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} is {names!r}; expected a list of names of tensors")
    return list(names)


def _checked(name: str, value: ArrayLike, expected: Input) -> NDArray[Any]:
    array = numpy_array(name, value, "numbers")
    floats = array.dtype.kind == "f" and expected.dtype.kind == "f"
    if array.dtype != expected.dtype:
        narrow = array.dtype.kind in "iub" or array.dtype == np.float16
        if hasattr(value, "dtype") and not (narrow and (floats or expected.dtype.kind in "fi")):
            raise TypeError(f"{name} has dtype {array.dtype}; expected {expected.dtype}")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} is {a_type(value)}; expected numbers")
        if array.dtype.kind == "f" and expected.dtype.kind != "f":
            raise TypeError(f"{name} has dtype {array.dtype}; expected {expected.dtype}")
        array = array.astype(expected.dtype)
    shape = expected.shape
    if shape is not None and (
        len(shape) != array.ndim
        or any(own not in (None, size) for own, size in zip(shape, array.shape, strict=True))
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{shown(name)} has shape {array.shape}; expected ({wanted})")
    return array
