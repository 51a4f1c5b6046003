"""From a decoder and the sizes of a call to its figures."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from .._core import a_type
from ..layers import AttentionDecoder
from ..layers._arguments import flag
from ._arguments import at_least, fits, lengths_of
from ._count import Count
from ._decoders import Decoder, Looks
from ._extent import Extent
from ._work import Passes


def count_decoder(
    decoder: AttentionDecoder,
    steps: int,
    memory_steps: int | Sequence[int],
    batch: int = 1,
    lengths: ArrayLike | None = None,
    memory_lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
    *,
    state: bool = False,
    training: bool = True,
    dlogits: bool = True,
    dstate: bool = False,
) -> Count:
    """Count one call of a decoder with teacher forcing, and the backward that follows it.

    Parameters
    ----------
    decoder : AttentionDecoder
        With or without weights.
    steps : int
        Steps that are made, one for each target.
    memory_steps : int or list of int
        Positions of the memory, or a list of those of several; 1 with ``attention=None``.
    batch : int, optional
        Sequences.
    lengths : array_like of int, optional
        (batch,), each from 0 to steps; None means that all are steps.
    memory_lengths : array_like of int or list, optional
        (batch,), each from 1 to memory_steps, or a list of such with several memories; None means
        that all are memory_steps.
    state : bool, optional
        Whether the call is given the layers' initial state. Without one the core leaves out their
        recurrent products at the first step.
    training : bool, optional
        Whether dropout acts.
    dlogits : bool, optional
        Whether backward is given dlogits, or else dstate alone.
    dstate : bool, optional
        Whether backward is given the gradient of the final state's context. That of the layers and
        of the weights costs nothing.

    Returns
    -------
    Count
        All figures. The step is one with whole memories, whose keys have been made.

    Raises
    ------
    ValueError
        For sizes or lengths that the decoder itself would refuse.
    TypeError
        For another kind of decoder or argument.
    """
    if not isinstance(decoder, AttentionDecoder):
        raise TypeError(f"decoder is {a_type(decoder)}; expected an AttentionDecoder")
    steps, batch = at_least("steps", steps, 1), at_least("batch", batch, 1)
    fits("the arrays", steps * batch, steps=steps, batch=batch)
    own = lengths_of("lengths", lengths, batch, 0, steps, "steps")
    extent = Extent(steps, batch, None if own is None else tuple(own))
    sources = [*memory_steps] if isinstance(memory_steps, (list, tuple)) else [memory_steps]
    of_each = decoder._per_memory("memory_lengths", memory_lengths)
    for name, given in (("memory_steps", sources), ("memory_lengths", of_each)):
        if len(given) != decoder.num_memories:
            n = decoder.num_memories
            raise ValueError(f"{name} has {len(given)} items; expected num_memories={n}")
    looks = [_looks(decoder, m, sources[m], of_each[m], extent) for m in range(len(sources))]
    d = Decoder(decoder)
    widest = decoder.vocab_size + d.layers.cell.gates * decoder.hidden_size + d.readout_inputs
    fits("the arrays", steps * batch * widest, steps=steps, batch=batch)

    def passes(*, textbook: bool) -> Passes:
        return d.passes(
            extent,
            looks,
            state=flag("state", state),
            textbook=textbook,
            dropped=flag("training", training),
            dlogits=flag("dlogits", dlogits),
            dstate=flag("dstate", dstate),
        )

    return Count(
        layer=repr(decoder),
        extent={
            "steps": steps,
            "batch": batch,
            "rows": extent.rows,
            "positions": sum(n.positions for n in looks),
        },
        tensors=d.tensors(),
        passes=passes(textbook=False),
        textbook=passes(textbook=True),
        step=d.passes(Extent(1, 1), [Looks(n.most, 0, n.most) for n in looks], state=True),
        kept=d.kept(extent, looks),
        state=d.state_numbers(batch, looks),
        steps=steps,
        reads=d.reads(),
        spared=not state,
        moved=d.moved(batch, looks),
    )


def _looks(
    decoder: AttentionDecoder, memory: int, positions: object, lengths: Any, extent: Extent
) -> Looks:
    """At one memory."""
    own = f"[{memory}]" if decoder.num_memories > 1 else ""
    most = at_least(f"memory_steps{own}", positions, 1)
    if decoder.attention is None and most > 1:
        raise ValueError(f"memory_steps{own} is {most}; expected 1 without attention")
    if decoder.attention is None and lengths is not None:
        raise ValueError(f"memory_lengths{own} was given without attention; expected None")
    fits("the arrays", most * extent.batch, memory_steps=most, batch=extent.batch)
    each = lengths_of(f"memory_lengths{own}", lengths, extent.batch, 1, most, "memory_steps")
    if each is None:
        return Looks(most, most * extent.batch, most * extent.rows)
    if extent.lengths is None:
        return Looks(most, sum(each), extent.seq * sum(each))
    return Looks(most, sum(each), sum(map(operator.mul, extent.lengths, each)))
