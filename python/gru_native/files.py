"""Models in files: safetensors with a description of the layers, as cpp/files has it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from .layers import GRU, LSTM, RNN, Block, Chain, Dense

KEY = "gru_native"  # of the description in the file's metadata
VERSION = 1
CLASSES: dict[str, type[Any]] = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Dense)}
DTYPES: dict[str, type[np.floating[Any]]] = {"F32": np.float32, "F64": np.float64}
CLIPS = ("cell_clip", "activation_clip")  # None here, 0 in files and in C++

Description: TypeAlias = Sequence[Mapping[str, Any]]
PathLike: TypeAlias = str | os.PathLike[str]


def save(model: Block | Chain, path: PathLike) -> None:
    """Write a layer or a chain to a safetensors file, whole or not at all.

    ``gru_native.load``, ``gru_native::Model::load`` in C++ and the package safetensors read it.
    The tensors have their names from ``state_dict()``; the layers' options are in the metadata. A
    layer of a subclass is saved as, and loads as, the class here that it derives from.
    Needs the package safetensors: extra ``files``. Raises TypeError for anything else, OSError.
    """
    if not isinstance(model, (Chain, *CLASSES.values())):
        raise TypeError(f"model is a {type(model).__name__}; expected a layer or a Chain")
    package = safetensors()
    blocks = (
        [describe(block, f"{i}.") for i, block in enumerate(model.blocks)]
        if isinstance(model, Chain)
        else [describe(model, "")]
    )
    metadata = {KEY: json.dumps({"version": VERSION, "blocks": blocks})}
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(package.numpy.save(model.state_dict(), metadata))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: PathLike, description: Description | None = None) -> Block | Chain:
    """The layer or chain in a safetensors file: one that ``save`` or C++ wrote, or a state_dict.

    For a state_dict from PyTorch the layers are inferred from names and shapes where these say
    enough: weight_ih_l0 and so on are an LSTM, a GRU or an RNN (tanh), "weight" and "bias" a dense
    layer without activation, and blocks follow each other by number or by matching sizes.
    Otherwise give ``description``: a dictionary for each block with its "type" (a class's name),
    its "prefix" (what its tensors' names begin with, such as "rnn.") and the class's options, such
    as ``[{"type": "RNN", "prefix": "rnn.", "input_size": 3, "hidden_size": 8,
    "nonlinearity": "relu"}]``.

    Needs the package safetensors: extra ``files``. Raises ValueError, naming file and tensor, for
    what cannot be such a model, and OSError.
    """
    try:
        return _load(Path(path), description)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def _load(path: Path, description: Description | None) -> Block | Chain:
    package = safetensors()
    try:
        with package.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            slices = {name: file.get_slice(name) for name in names}
            shapes = [(name, list(part.get_shape())) for name, part in slices.items()]
            dtype = _common_dtype({name: part.get_dtype() for name, part in slices.items()})
            text = (file.metadata() or {}).get(KEY)
            if description is None and text is not None:
                description = _parse(text)
            blocks = _core.describe_blocks(
                shapes, None if description is None else _with_layouts(description)
            )
            arrays = {name: file.get_tensor(name) for name in names}
    except package.SafetensorError as error:
        raise ValueError(str(error)) from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"tensor {name} holds NaN or infinity")

    layers: list[Block] = []
    for block in blocks:
        layer = build(block, dtype)
        layer.load_state_dict({name: arrays[block["prefix"] + name] for name in layer.weights})
        layers.append(layer)
    if len(layers) == 1 and not blocks[0]["prefix"].removesuffix(".").isdigit():
        return layers[0]
    return Chain(layers)


def _with_layouts(description: Description) -> list[dict[str, Any]]:
    """Dense blocks that do not say ``batch_first`` have that of the others, as in older files."""
    blocks = [dict(block) for block in description]
    batch_first = any(block.get("batch_first") is True for block in blocks)
    for block in blocks:
        if block.get("type") == "Dense":
            block.setdefault("batch_first", batch_first)
    return blocks


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


def _common_dtype(dtypes: Mapping[str, str]) -> type[np.floating[Any]]:
    for name, dtype in dtypes.items():
        if dtype not in DTYPES:
            raise ValueError(
                f"tensor {name} has dtype {dtype}; expected F32 or F64: convert it before saving, "
                "with tensor.float()"
            )
    if len(set(dtypes.values())) != 1:
        raise ValueError("tensors have no dtype in common; expected all F32 or all F64")
    return DTYPES[next(iter(dtypes.values()))]


def _parse(text: str) -> list[dict[str, Any]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError(f"an entry is there twice among {keys}")
        return dict(pairs)

    try:
        root = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"description: {error}") from None
    if not isinstance(root, dict) or root.get("version") != VERSION:
        raise ValueError(f"description: expected version {VERSION}")
    blocks = root.get("blocks")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise ValueError("description: expected a list of blocks")
    return blocks


def safetensors() -> Any:
    """The package of that name. Raises ImportError, saying how to install it."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            'model files need the package safetensors: python -m pip install "gru-native[files]"'
        ) from None
    return safetensors
