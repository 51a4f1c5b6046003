"""Models in files: safetensors with a description of the layers, as cpp/files has it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from .layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AttentionDecoder,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Block,
    Chain,
    Columns,
    Conv1d,
    Conv2d,
    Dense,
    Embedding,
    Image,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    Parallel,
    Pool,
    Residual,
)
from .layers._arguments import float_dtype, items, text
from .layers._flow import Mark, Step
from .layers._weights import built
from .losses import ClassSoftmax, NoiseContrastive, SampledSoftmax, TreeSoftmax
from .losses._large_softmax import LargeSoftmax

KINDS = (
    *(RNN, LSTM, GRU, Dense, Activation, LayerNorm, BatchNorm1d, Embedding),
    *(Conv1d, MaxPool1d, AvgPool1d, Pool),
    *(Image, Columns, Conv2d, MaxPool2d, AvgPool2d, BatchNorm2d),
)
CLASSES: dict[str, type[Any]] = {kind.__name__: kind for kind in KINDS}
CLIPS = ("cell_clip", "activation_clip")  # None here, 0 in files and in C++

SOFTMAXES: dict[str, type[LargeSoftmax]] = {
    kind.__name__: kind for kind in (SampledSoftmax, NoiseContrastive, ClassSoftmax, TreeSoftmax)
}

Description: TypeAlias = Sequence[Mapping[str, Any]]
PathLike: TypeAlias = str | os.PathLike[str]


def save(model: Block | Chain | AttentionDecoder | LargeSoftmax, path: PathLike) -> None:
    """Write a layer, a chain or a decoder to a safetensors file, whole or not at all.

    ``gru_native.load``, ``gru_native::Model::load`` in C++ (``AttentionDecoder::load`` for a
    decoder, ``LargeSoftmax::load`` for the softmax layers of ``gru_native.losses``) and the package
    safetensors read it. The tensors have their names from
    ``state_dict()``; the layers' options are in the metadata. A layer of a subclass is saved as,
    and loads as, the class here that it derives from. Weights of few bits stay what they are: a
    matrix of int8 is an I8 tensor beside its scales, an F32 tensor under its name with ".scale"
    behind it; one of bf16 is a BF16 tensor.

    The file is written under another name beside the path, brought to the disk, and then takes the
    path's place. So a reader finds the old file or the new one, whoever else saves there. A link is
    followed, and the mode of a file that is there is kept.

    Parameters
    ----------
    model : RNN, LSTM, GRU, Dense, Chain, AttentionDecoder or SampledSoftmax
        The layer, chain or decoder.
    path : str or path_like
        The file.

    Raises
    ------
    TypeError
        For another kind of model.
    OSError
        For a file that cannot be written, is write-protected or no regular file.
    """
    if isinstance(model, AttentionDecoder):
        single = model.dtype == np.float32
        _core.write_decoder(path, _options(model), model._stored(), single)
        return
    if isinstance(model, LargeSoftmax):
        model._core.save(path, model._stored())
        return
    if not isinstance(model, (Chain, *CLASSES.values())):
        raise TypeError(f"model is {_core.a_type(model)}; expected a layer or a Chain")
    steps = model._core.steps if isinstance(model, Chain) else [Step("", "", model)]
    blocks = [describe(step.block, step.prefix) for step in steps]
    _core.write_model(path, blocks, model._stored())


def load(
    path: PathLike,
    description: Description | None = None,
    *,
    precision: str | None = None,
    prefix: str = "",
    ignore: Iterable[str] = (),
) -> Block | Chain | AttentionDecoder | LargeSoftmax:
    """Read the layer, chain or decoder in a safetensors file.

    The file is one that ``save`` or C++ wrote, or a state_dict. Of a state_dict from PyTorch the
    layers are inferred if names and shapes say enough: weight_ih_l0 and so on are an LSTM, a GRU or
    an RNN (tanh), "weight" and "bias" a dense layer without activation, or, if they are vectors, a
    LayerNorm, with running_mean beside them a BatchNorm1d, or beside a Conv2d a BatchNorm2d; a
    weight of three axes is a Conv1d and one of four a Conv2d, with PyTorch's usual options, and a
    matrix without bias an Embedding if its module's name says so
    ("embedding.", "emb.") or, of numbered modules, if only then the sizes match. Blocks follow each
    other by number or by matching sizes. One with matrices of bfloat16 is a layer of that
    precision.

    Parameters
    ----------
    path : str or path_like
        The file.
    description : sequence of mapping, optional
        What names and shapes do not say: for each block its "type" (a class's name), its "prefix"
        (what its tensors' names begin with, such as "rnn."), the options of the class and, for
        weights of few bits, their "precision".
    precision : {"float32"}, optional
        Make layers of float32 also of weights of few bits, with the numbers that these stand for:
        such layers can be trained. By default weights are what the file has.
    prefix : str, optional
        Of a larger model the part whose tensors' names begin with this, such as "encoder.". It is
        cut off: a description is of the names behind it.
    ignore : iterable of str, optional
        Tensors that are left out, by their whole names; an entry that ends with a dot stands for
        all names that begin with it. Each must be in the file.

    Returns
    -------
    RNN, LSTM, GRU, Dense, Chain, AttentionDecoder or SampledSoftmax
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
    if precision is not None and text("precision", precision) != "float32":
        raise ValueError(f"precision is {precision!r}; expected 'float32' or None")
    text("prefix", prefix)
    left_out = [text("ignore", name) for name in items("ignore", ignore, "a list of names")]
    try:
        if given is None and not prefix and not left_out:
            if (softmax := _core.read_large_softmax(path)) is not None:
                return _softmax(*softmax)
            if (decoder := _core.read_decoder(path)) is not None:
                return _decoder(*decoder)
        blocks, single, arrays, made = _core.read_model(
            path, given, precision is not None, prefix, left_out
        )
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
    dtype = np.float32 if single else np.float64
    steps: list[Step] = []
    for block, core in zip(blocks, made, strict=True):
        layer = build(block, dtype, core)
        if core is None and not isinstance(layer, Mark):
            layer.load_state_dict({name: arrays[block["prefix"] + name] for name in layer.weights})
        steps.append(Step("", block["prefix"], layer))
    if len(steps) == 1 and not blocks[0]["prefix"].removesuffix(".").isdigit():
        only: Block = steps[0].block
        return only
    return Chain(assembled(steps))


def assembled(steps: Iterable[Step]) -> list[Any]:
    """The blocks of a chain of these steps: what stands between marks becomes containers."""
    paths: list[list[list[Step]]] = [[[]]]  # of each open fork, and first of the chain itself
    for step in steps:
        mark = step.block
        if not isinstance(mark, Mark):
            paths[-1][-1].append(step)
        elif mark.kind == "fork":
            paths.append([[]])
        elif mark.kind == "next":
            paths[-1].append([])
        else:
            own = paths.pop()
            if len(own) == 2 and not own[0]:
                block: Any = Residual(_path(own[1], f"{step.prefix}block.", mark), mark.kind)
            else:
                blocks = [_path(p, f"{step.prefix}blocks.{i}.", mark) for i, p in enumerate(own)]
                block = Parallel(blocks, mark.kind)
            paths[-1][-1].append(step._replace(block=block))
    return [step.block for step in paths[0][0]]


def _path(steps: list[Step], prefix: str, mark: Mark) -> Any:
    """One block as such, unless its name says that it was a chain's."""
    if not steps:
        return Activation("identity", batch_first=mark.batch_first, dtype=mark.dtype)
    if len(steps) == 1 and not steps[0].prefix.removeprefix(prefix).partition(".")[0].isdigit():
        return steps[0].block
    return Chain([step.block for step in steps])


def _options(layer: Any) -> dict[str, Any]:
    return {n: getattr(layer, n) for n in layer._options if n not in ("dtype", "seed")}


def _decoder(options: dict[str, Any], single: bool, tensors: dict[str, Any]) -> AttentionDecoder:
    decoder = AttentionDecoder(**options, dtype=np.float32 if single else np.float64)
    decoder.load_state_dict(tensors)
    return decoder


def _softmax(
    options: dict[str, Any], core: _core.LargeSoftmax32 | _core.LargeSoftmax64
) -> LargeSoftmax:
    kind = SOFTMAXES[options.pop("type")]
    single = isinstance(core, _core.LargeSoftmax32)
    return built(kind, {**options, "dtype": np.float32 if single else np.float64}, core)


def describe(block: Any, prefix: str = "") -> dict[str, Any]:
    """Its options and precision by name; a subclass of one of CLASSES is described as that."""
    if isinstance(block, Mark):
        own = {"mark": block.kind, "batch_first": block.batch_first}
        return {"type": "Branch", "prefix": prefix, "precision": "full", **own}
    kind = next(name for name, kind in CLASSES.items() if isinstance(block, kind))
    options = _options(block)
    for clip in CLIPS:
        if options.get(clip, 0) is None:
            options[clip] = 0.0
    precision = block._few_bits() or "full"
    return {"type": kind, "prefix": prefix, "precision": precision, **options}


def model_of(blocks: Iterable[tuple[Mapping[str, Any], Any]], dtype: DTypeLike, chain: bool) -> Any:
    """A chain, or else a layer alone, of blocks that were described, each with its core."""
    layers = [build(description, dtype, core) for description, core in blocks]
    return Chain(assembled(Step("", "", x) for x in layers)) if chain else layers[0]


def build(description: Mapping[str, Any], dtype: DTypeLike, core: Any = None) -> Any:
    """The layer that was described, of this core; without one of full precision, and new."""
    if description["type"] == "Branch":
        return Mark(description["mark"], float_dtype(dtype), description["batch_first"])
    options = {k: v for k, v in description.items() if k not in ("type", "prefix", "precision")}
    for clip in CLIPS:
        if options.get(clip) == 0:
            del options[clip]
    kind = CLASSES[description["type"]]
    return built(kind, {**options, "dtype": dtype}, core)
