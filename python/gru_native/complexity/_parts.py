"""Layers as they are counted, whether they have weights or only describe some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from .._core import a_type
from ..layers import (
    GRU,
    LSTM,
    RNN,
    AttentionDecoder,
    Chain,
    ChildSumTreeLSTM,
    Dense,
    GatedGraph,
    GatedRecursiveConv,
    GraphSum,
    NaryTreeLSTM,
    NodeScores,
    OutputRNN,
)
from ..layers._blocks import Layer
from ..layers._flow import Mark, Step, leaves
from ..layers._images import OfImages
from ..layers.quantized import Quantizable
from ._branches import Branch, Widths, flow
from ._convolutions import Convolution
from ._decoders import Decoder
from ._dense import Embedding as Table
from ._dense import Linear
from ._extent import Extent
from ._graphs import Network, Readout
from ._grconv import GrConv
from ._operations import OPERATIONS, Rowwise, operation_of
from ._outputs import OutputRecurrence
from ._pooling import Pooling
from ._sequences import Recurrent
from ._stack import Stack, joined
from ._trees import Tree
from ._vocabularies import LARGE_SOFTMAXES, tensors_of_words
from ._work import Passes, Tensor, Work, in_few_bits, total

Sequential: TypeAlias = Layer | Chain | GatedRecursiveConv | OutputRNN
Part: TypeAlias = (
    Recurrent
    | Linear
    | Rowwise
    | Table
    | Convolution
    | Pooling
    | Branch
    | GrConv
    | OutputRecurrence
)
NONE: Mapping[str, str] = MappingProxyType({})


def part_of(layer: Any, width: int = 1, channels: int = 0) -> Part:
    """Behind what gives so many numbers, of images of so many channels."""
    if isinstance(layer, OPERATIONS):
        return operation_of(layer, width, channels)
    if isinstance(layer, Dense):
        return Linear.of(layer)
    if isinstance(layer, GatedRecursiveConv):
        return GrConv.of(layer)
    if isinstance(layer, OutputRNN):
        return OutputRecurrence.of(layer)
    return Recurrent.of(layer)


def parts_of(layer: Sequential) -> dict[str, Part]:
    """The parts of a chain, by the prefix of their weights' names; of another layer one."""
    if isinstance(layer, Chain):
        parts: dict[str, Part] = {}
        if layer.input_size is None:
            raise ValueError(
                "the chain's input_size is not known; expected an Image with features at its begin"
            )
        widths = Widths(layer.input_size)
        for i, (_, prefix, block) in enumerate(layer._core.steps):
            if isinstance(block, Mark):
                parts[f"{prefix}{block.kind} {i}"] = widths.pass_mark(block.kind)
            else:
                part = parts[prefix] = part_of(block, *widths.now)
                widths.behind(block, part.width)
        return parts
    if isinstance(layer, OfImages):
        raise ValueError(
            f"{a_type(layer)} by itself does not know how high images are; expected a "
            "chain with an Image of features before it"
        )
    return {"": part_of(layer)}


def precisions_of(layer: Any, asked: str | None) -> dict[str, str]:
    """Of the parts whose weights have few bits; asked: of all that can."""
    steps = leaves(layer._core.steps) if isinstance(layer, Chain) else [Step("", "", layer)]
    blocks = [step.block for step in steps]
    own = {step.prefix: step.block._few_bits() for step in steps}
    if asked is None:
        return {p: precision for p, precision in own.items() if precision is not None}
    if not any(isinstance(block, Quantizable) for block in blocks):
        raise ValueError(f"{a_type(blocks[0])} has no form of precision {asked!r}")
    for block in blocks:
        if isinstance(block, OPERATIONS):
            continue  # it stays as it is
        if not isinstance(block, Quantizable):
            raise ValueError(f"{a_type(block)} has no form of precision {asked!r}")
        if (precision := block._few_bits()) not in (None, asked):
            raise ValueError(f"the layer has {precision} weights already; expected full precision")
    few = [step.prefix for step in steps if isinstance(step.block, Quantizable)]
    return dict.fromkeys(few, asked)


def prefixed(parts: dict[str, Part], precisions: Mapping[str, str] = NONE) -> Stack[Tensor]:
    """All tensors, under the names that a chain gives them."""

    def named(tensors: Sequence[Tensor], prefix: str) -> Stack[Tensor]:
        precision = precisions.get(prefix)
        return joined([tensors]).mapped(
            lambda t: replace(t, name=prefix + t.name, precision=precision)
        )

    return joined(named(part.tensors(), prefix) for prefix, part in parts.items())


def tensors_of(layer: object) -> Sequence[Tensor]:
    """Of any layer."""
    if isinstance(layer, (ChildSumTreeLSTM, NaryTreeLSTM)):
        return Tree.of(layer).tensors()
    if isinstance(layer, GatedGraph):
        return Network.of(layer).tensors()
    if isinstance(layer, (NodeScores, GraphSum)):
        return Readout.of(layer).tensors()
    if isinstance(layer, AttentionDecoder):
        return Decoder(layer).tensors()
    if isinstance(layer, OfImages):
        return prefixed({"": part_of(layer)})
    if isinstance(layer, LARGE_SOFTMAXES):
        return tensors_of_words(layer)
    if isinstance(
        layer, (RNN, LSTM, GRU, Dense, *OPERATIONS, Chain, GatedRecursiveConv, OutputRNN)
    ):
        return prefixed(parts_of(layer))
    raise TypeError(f"layer is {a_type(layer)}; expected one of gru_native's layers")


@dataclass(frozen=True)
class Options:
    """How a call is made, as far as it changes what is computed."""

    state: bool = False  # an initial state is given
    dropped: bool = False  # a training call: dropout acts
    dy: bool = True  # backward is given dy, not dstate alone
    taught: bool = False  # an OutputRNN is given targets
    textbook: bool = False  # every step with its recurrent product


def passes_of(part: Part, extent: Extent, o: Options) -> Passes:
    if isinstance(part, Recurrent):
        return part.passes(extent, state=o.state, textbook=o.textbook, dropped=o.dropped, dy=o.dy)
    if isinstance(part, OutputRecurrence):
        return part.passes(extent, taught=o.taught)
    if isinstance(part, (GrConv, Convolution, Pooling)):
        return part.passes(extent)
    return part.passes(extent.rows)


def kept_by(part: Part, extent: Extent) -> dict[str, int]:
    if isinstance(part, (Recurrent, GrConv, OutputRecurrence, Convolution, Pooling)):
        return part.kept(extent)
    return part.kept(extent.rows)


def extent_behind(part: Part, extent: Extent) -> Extent:
    """What of a call comes out of a part."""
    return part.behind(extent) if isinstance(part, (Convolution, Pooling)) else extent


def state_of(part: Part, batch: int) -> int:
    if isinstance(part, (Recurrent, OutputRecurrence)):
        return part.state_numbers(batch)
    return 0


def passes_of_all(
    parts: dict[str, Part], extent: Extent, o: Options, precisions: Mapping[str, str] = NONE
) -> Passes:
    """Of all parts; places are behind their part's prefix."""
    last = list(parts)[-1]

    def named(work: Work, prefix: str) -> Work:
        products = joined([work.products])
        return replace(work, products=products.mapped(lambda p: replace(p, place=prefix + p.place)))

    result = []
    for prefix, part, here in flow(parts, extent, extent_behind):
        # Only the last part may go without dy: the others get the gradient of what they hand on.
        p = passes_of(part, here, o if prefix == last else replace(o, dy=True))
        if prefix in precisions:
            p = in_few_bits(p, precisions[prefix])
        result.append(Passes(*(named(work, prefix) for work in p._works())))
    return total(result)
