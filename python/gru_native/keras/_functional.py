"""Functional models of Keras, as far as they are layers in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._config import Entry


def in_a_row(model: Entry, entries: list[Entry]) -> list[Entry]:
    """The layers of a functional model in which each reads the one before it, and no other.

    Keras puts the mask that a Masking or an Embedding makes into such a model as operations of
    their own, NotEqual and Any, and hands it to the layers that follow. A Sequential does the same
    by itself, so these are left out, if they are just that.
    """
    nodes = model.raw("layers")
    row: list[Entry] = []
    masks: list[str] = []
    compared: list[Any] = []  # what the masks are where x is not
    for entry, node in zip(entries, nodes, strict=True):
        calls = node.get("inbound_nodes")
        if not isinstance(calls, list) or len(calls) != (entry.keras_class != "InputLayer"):
            raise ValueError(f"{entry.where} is called several times; expected once")
        call = calls[0] if calls and isinstance(calls[0], Mapping) else {}
        given = _tensors_in(call.get("args"))
        if entry.keras_class in ("NotEqual", "Any") and row and len(given) == 1:
            made_from = row[-2].name if len(row) > 1 and _masks(row[-1]) else ""
            if given[0] in (row[-1].name, made_from, *masks):
                masks.append(entry.name)
                compared += call["args"][1:] if entry.keras_class == "NotEqual" else []
                continue
        masked = _tensors_in(call.get("kwargs"))
        if given != [own.name for own in row[-1:]] or not set(masked) <= set(masks):
            raise ValueError(
                f"{entry.where} does not read just the layer before it; expected a model whose "
                "layers follow one another"
            )
        row.append(entry)
    known = [entry.raw("mask_value") for entry in row if entry.keras_class == "Masking"]
    known += [0 for entry in row if entry.keras_class == "Embedding" and entry.flag("mask_zero")]
    if not all(value in known for value in compared) or (masks and not compared):
        raise ValueError(
            f"{model.where} has a mask of its own; expected those of Masking and Embedding layers"
        )
    outputs = model.raw("output_layers")
    if not row or outputs not in ([row[-1].name, 0, 0], [[row[-1].name, 0, 0]]):
        raise ValueError(f"{model.where} gives {outputs!r}; expected the last layer's output only")
    return row


def _masks(entry: Entry) -> bool:
    return entry.keras_class in ("Masking", "Embedding")


def _tensors_in(value: Any, depth: int = 0) -> list[str]:
    """The names of the layers that the tensors among a call's arguments come from."""
    if depth > 8:
        raise ValueError("inbound_nodes are nested too deeply")
    if isinstance(value, Mapping):
        if value.get("class_name") != "__keras_tensor__":
            return [name for inner in value.values() for name in _tensors_in(inner, depth + 1)]
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, Mapping) else None
        if not isinstance(history, list) or len(history) != 3 or history[1:] != [0, 0]:
            raise ValueError(f"keras_history is {history!r}; expected [layer, 0, 0]")
        return [str(history[0])]
    if isinstance(value, (list, tuple)):
        return [name for inner in value for name in _tensors_in(inner, depth + 1)]
    return []
