"""Functional models of Keras as a graph: which layer is called on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ._config import Entry

_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "CuDNNLSTM", "CuDNNGRU")
FUNCTIONAL = ("Functional", "Model")
MODELS = ("Sequential", *FUNCTIONAL)
# What Keras makes masks with, as operations among the layers of a model.
_OF_MASKS = ("NotEqual", "Any", "All", "LogicalOr", "LogicalAnd", "ExpandDims", "ZerosLike")


class Ref(NamedTuple):
    """One output of one call of a layer."""

    layer: str
    call: int
    output: int


@dataclass(frozen=True)
class Call:
    """A layer's name, what it reads, and for a recurrent one its initial state."""

    layer: str
    index: int  # among the calls of this layer
    inputs: tuple[Ref, ...]
    state: tuple[Ref, ...]
    masks: tuple[str, ...]  # the operations that a mask of its own comes from


@dataclass(frozen=True)
class Graph:
    """Calls, each behind those that it reads; the layers' own order is that of the weights."""

    entries: tuple[Entry, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    calls: tuple[Call, ...]

    def in_a_row(self) -> bool:
        """Whether each layer reads the one before it and no other."""
        before = self.inputs
        for call in self.calls:
            if call.index or call.state or call.inputs != before or len(before) != 1:
                return False
            before = (Ref(call.layer, 0, 0),)
        order = [entry.name for entry in self.entries if entry.keras_class != "InputLayer"]
        return self.outputs == before and order == [call.layer for call in self.calls]


def graph_of(model: Entry, entries: Sequence[Entry]) -> Graph:
    """The graph of a functional model. ValueError, naming the layer, for what is none."""
    nodes = model.raw("layers")
    named = {entry.name: entry for entry in entries}
    if len(named) != len(entries):
        raise ValueError(f"{model.where} has several layers of one name")
    masks: dict[str, list[Ref]] = {}  # the operations of masks, and what they read
    calls: list[Call] = []
    own: list[Entry] = []
    values: dict[str, Any] = {}
    for entry, node in zip(entries, nodes, strict=True):
        found = node.get("inbound_nodes")
        if not isinstance(found, (list, tuple)) or (not found) != (
            entry.keras_class == "InputLayer"
        ):
            raise ValueError(f"{entry.where} is called on {str(found)[:80]}; expected tensors")
        made = [_call(entry, i, call) for i, call in enumerate(found)]
        if _is_mask(entry, made, masks):
            masks[entry.name] = [*made[0].inputs]
            if entry.keras_class == "NotEqual":
                values[entry.name] = list(found[0]["args"][1:])
            continue
        own.append(entry)
        calls += made
    for call in calls:
        if not call.inputs:
            raise ValueError(f"{named[call.layer].where} is called on nothing; expected tensors")
        for ref in (*call.inputs, *call.state):
            if ref.layer in masks or ref.layer not in named:
                raise ValueError(
                    f"{named[call.layer].where} reads {ref.layer!r}, which is no layer"
                )
    inputs, outputs = (_ends(model, option) for option in ("input_layers", "output_layers"))
    calls, outputs = _from_zero(own, calls, outputs)
    ordered = _in_order(model, calls, inputs)
    given = {(ref.layer, ref.call) for ref in inputs} | {(c.layer, c.index) for c in calls}
    for ref in outputs:
        if (ref.layer, ref.call) not in given:
            raise ValueError(f"{model.where} gives {ref.layer!r}, which is no layer of it")
    graph = Graph(tuple(own), inputs, outputs, tuple(ordered))
    _check_masks(model, graph, masks, values)
    return graph


def _is_mask(entry: Entry, calls: Sequence[Call], masks: Mapping[str, Any]) -> bool:
    if entry.keras_class in _OF_MASKS and len(calls) == 1:
        return True
    read = [ref.layer for call in calls for ref in call.inputs]
    return entry.keras_class == "Concatenate" and bool(read) and all(n in masks for n in read)


def _from_zero(
    entries: Sequence[Entry], calls: Sequence[Call], outputs: Sequence[Ref]
) -> tuple[list[Call], tuple[Ref, ...]]:
    """Calls of models counted from 0.

    Keras 2 has them from 1 where the model itself is the call 0 of it. Keras 3 has them so for the
    outputs alone, and for functional models alone.
    """
    functional = {e.name for e in entries if not e.keras_2 and e.keras_class in FUNCTIONAL}
    outputs = [
        ref._replace(call=ref.call - 1) if ref.layer in functional and ref.call else ref
        for ref in outputs
    ]
    models = {e.name for e in entries if e.keras_2 and e.keras_class in MODELS}
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.layer] = counts.get(call.layer, 0) + 1
    read = [ref for call in calls for ref in (*call.inputs, *call.state)]
    late = {
        ref.layer
        for ref in (*read, *outputs)
        if ref.layer in models and ref.call == counts.get(ref.layer)
    }

    def moved(refs: Sequence[Ref]) -> tuple[Ref, ...]:
        return tuple(
            ref._replace(call=ref.call - 1) if ref.layer in late and ref.call else ref
            for ref in refs
        )

    own = [replace(c, inputs=moved(c.inputs), state=moved(c.state)) for c in calls]
    return own, moved(outputs)


def _call(entry: Entry, index: int, node: Any) -> Call:
    """One call: {"args", "kwargs"} in Keras 3, a list of [layer, call, output, kwargs] in 2."""
    recurrent = entry.keras_class in _RECURRENT
    state: list[Ref] = []
    masks: list[Ref] = []
    if isinstance(node, (list, tuple)) and entry.keras_2:
        inputs = [_ref(entry, item) for item in node]
        options = [item[3] for item in node if len(item) > 3]
        if any(options):
            raise ValueError(f"{entry.where} is called with {str(options)[:80]}; expected tensors")
    elif isinstance(node, Mapping):
        args, kwargs = node.get("args"), node.get("kwargs")
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, Mapping) or not args:
            raise ValueError(f"{entry.where} has a call without args and kwargs")
        given = dict(kwargs)
        inputs = _tensors_in(args[0] if recurrent else args)
        state = _tensors_in([args[1:] if recurrent else [], given.pop("initial_state", None)])
        masks = _tensors_in(given.pop("mask", None))
        if given.pop("training", None) not in (None, False) or any(
            value is not None for value in given.values()
        ):
            raise ValueError(f"{entry.where} is called with {str(kwargs)[:80]}; expected tensors")
    else:
        raise ValueError(f"{entry.where} is called on {str(node)[:80]}; expected tensors")
    if recurrent and len(inputs) > 1:  # in Keras 2 a state is among the inputs
        inputs, state = inputs[:1], inputs[1:] + state
    return Call(entry.name, index, tuple(inputs), tuple(state), tuple(ref.layer for ref in masks))


def _ref(entry: Entry, item: Any) -> Ref:
    if (
        not isinstance(item, (list, tuple))
        or len(item) not in (3, 4)
        or not isinstance(item[0], str)
        or not all(type(n) is int and n >= 0 for n in item[1:3])
    ):
        raise ValueError(f"{entry.where} reads {str(item)[:80]}; expected [layer, call, output]")
    return Ref(*item[:3])


def _tensors_in(value: Any, depth: int = 0) -> list[Ref]:
    """The tensors among a call's arguments."""
    if depth > 8:
        raise ValueError("inbound_nodes are nested too deeply")
    if isinstance(value, Mapping):
        if value.get("class_name") != "__keras_tensor__":
            return [ref for inner in value.values() for ref in _tensors_in(inner, depth + 1)]
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, Mapping) else None
        if (
            not isinstance(history, (list, tuple))
            or len(history) != 3
            or not all(type(n) is int and n >= 0 for n in history[1:])
        ):
            raise ValueError(f"keras_history is {history!r}; expected [layer, call, output]")
        return [Ref(str(history[0]), *history[1:])]
    if isinstance(value, (list, tuple)):
        return [ref for inner in value for ref in _tensors_in(inner, depth + 1)]
    return []


def _ends(model: Entry, option: str) -> tuple[Ref, ...]:
    """Inputs or outputs of a model: one [layer, call, output], or a list of them."""
    value = model.raw(option)
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (list, tuple)):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(
            f"{model.where}: {option} is {str(value)[:80]}; expected tensors in a list"
        )
    return tuple(_ref(model, item) for item in value)


def _in_order(model: Entry, calls: Sequence[Call], inputs: Sequence[Ref]) -> list[Call]:
    """Each call behind what it reads."""
    known = {(ref.layer, ref.call) for ref in inputs}
    waiting: dict[tuple[str, int], list[int]] = {}
    missing: list[int] = []
    ready: list[int] = []
    for i, call in enumerate(calls):
        needs = {(r.layer, r.call) for r in (*call.inputs, *call.state)} - known
        missing.append(len(needs))
        for key in needs:
            waiting.setdefault(key, []).append(i)
        if not needs:
            ready.append(i)
    ordered: list[Call] = []
    for i in ready:  # grows while it is read
        ordered.append(calls[i])
        for j in waiting.pop((calls[i].layer, calls[i].index), ()):
            missing[j] -= 1
            if not missing[j]:
                ready.append(j)
    if len(ordered) != len(calls):
        left = next(call for i, call in enumerate(calls) if missing[i])
        raise ValueError(f"{model.where}: layer {left.layer!r} reads what nothing gives")
    return ordered


def _check_masks(
    model: Entry, graph: Graph, masks: Mapping[str, list[Ref]], values: Mapping[str, Any]
) -> None:
    """Masks must be those that Masking and Embedding layers make, which layers hand on here.

    Keras puts these into a model as operations of their own, and hands them to layers.
    """
    known: list[Any] = []
    for entry in graph.entries:
        if entry.keras_class == "Masking":
            known.append(entry.raw("mask_value"))
        if entry.keras_class == "Embedding" and entry.flag("mask_zero"):
            known.append(0)
    used = {name for call in graph.calls for name in call.masks}
    classes = {entry.name: entry.keras_class for entry in graph.entries}
    makers = {
        ref
        for call in graph.calls
        if classes[call.layer] in ("Masking", "Embedding")
        for ref in (*call.inputs, Ref(call.layer, call.index, 0))
    }
    compared = [value for name in masks for value in values.get(name, [])]
    read = {ref for name in masks if name in values for ref in masks[name]}
    if (
        not used <= set(masks)
        or not all(value in known for value in compared)
        or not read <= makers
        or (masks and not compared)
    ):
        raise ValueError(
            f"{model.where} has a mask of its own; expected those of Masking and Embedding layers"
        )
