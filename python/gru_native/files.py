"""Models in files: safetensors with a description of the layers, as cpp/files has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from .layers import GRU, LSTM, RNN, Block, Chain, Dense

CLASSES: dict[str, type[Any]] = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Dense)}
CLIPS = ("cell_clip", "activation_clip")  # None here, 0 in files and in C++

Description: TypeAlias = Sequence[Mapping[str, Any]]
PathLike: TypeAlias = str | os.PathLike[str]


def save(model: Block | Chain, path: PathLike) -> None:
    """Write a layer or a chain to a safetensors file, whole or not at all.

    ``gru_native.load``, ``gru_native::Model::load`` in C++ and the package safetensors read it. The
    tensors have their names from ``state_dict()``; the layers' options are in the metadata. A layer
    of a subclass is saved as, and loads as, the class here that it derives from.

    The file is written under another name beside the path, brought to the disk, and then takes the
    path's place. So a reader finds the old file or the new one, whoever else saves there. A link is
    followed, and the mode of a file that is there is kept.

    Parameters
    ----------
    model : RNN, LSTM, GRU, Dense or Chain
        The layer or chain.
    path : str or path_like
        The file.

    Raises
    ------
    TypeError
        For another kind of model.
    ValueError
        For a quantized model, of which no file can hold the few bits yet.
    OSError
        For a file that cannot be written, is write-protected or no regular file.
    """
    if not isinstance(model, (Chain, *CLASSES.values())):
        raise TypeError(f"model is a {type(model).__name__}; expected a layer or a Chain")
    if model.precision not in ("float32", "float64"):
        raise ValueError(
            f"model has {model.precision} weights, which files cannot hold; expected full "
            "precision: save the model that was quantized, and quantize it when it is loaded"
        )
    blocks = (
        [describe(block, f"{i}.") for i, block in enumerate(model.blocks)]
        if isinstance(model, Chain)
        else [describe(model, "")]
    )
    _core.write_model(path, blocks, model.state_dict(), model.dtype == np.float32)


def load(path: PathLike, description: Description | None = None) -> Block | Chain:
    """Read the layer or chain in a safetensors file.

    The file is one that ``save`` or C++ wrote, or a state_dict. Of a state_dict from PyTorch the
    layers are inferred if names and shapes say enough: weight_ih_l0 and so on are an LSTM, a GRU or
    an RNN (tanh), "weight" and "bias" a dense layer without activation. Blocks follow each other by
    number or by matching sizes.

    Parameters
    ----------
    path : str or path_like
        The file.
    description : sequence of mapping, optional
        What names and shapes do not say: for each block its "type" (a class's name), its "prefix"
        (what its tensors' names begin with, such as "rnn.") and the options of the class.

    Returns
    -------
    RNN, LSTM, GRU, Dense or Chain
        The model.

    Raises
    ------
    ValueError
        For what cannot be such a model; the text names the file and the tensor.
    OSError
        For a file that cannot be read or is no regular file.
    TypeError
        For arguments of the wrong kind.

    Examples
    --------
    >>> rnn = {"type": "RNN", "prefix": "rnn.", "input_size": 3, "hidden_size": 8}
    >>> gru_native.load("model.safetensors", [rnn | {"nonlinearity": "relu"}])  # doctest: +SKIP
    """
    given = None if description is None else [dict(block) for block in description]
    try:
        blocks, arrays = _core.read_model(path, given)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
    dtype = next(iter(arrays.values())).dtype
    layers: list[Block] = []
    for block in blocks:
        layer = build(block, dtype)
        layer.load_state_dict({name: arrays[block["prefix"] + name] for name in layer.weights})
        layers.append(layer)
    if len(layers) == 1 and not blocks[0]["prefix"].removesuffix(".").isdigit():
        return layers[0]
    return Chain(layers)


def describe(block: Block, prefix: str = "") -> dict[str, Any]:
    """Its options by name. A subclass of one of CLASSES is described as that class."""
    kind = next(name for name, kind in CLASSES.items() if isinstance(block, kind))
    options = {n: getattr(block, n) for n in block._options if n not in ("dtype", "seed")}
    for clip in CLIPS:
        if options.get(clip, 0) is None:
            options[clip] = 0.0
    return {"type": kind, "prefix": prefix, **options}


def build(description: Mapping[str, Any], dtype: DTypeLike) -> Any:
    """The layer that was described, with new weights."""
    options = {k: v for k, v in description.items() if k not in ("type", "prefix")}
    for clip in CLIPS:
        if options.get(clip) == 0:
            del options[clip]
    return CLASSES[description["type"]](**options, dtype=dtype)
