"""The attributes of RNN, LSTM and GRU nodes: what they may be, and the options they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...._core import a_type
from ....layers._arguments import number, size
from .functions import functions

# The options of one direction's functions, in ONNX's order (f, g, h), and what they usually are.
_FUNCTION_OPTIONS = {
    "RNN": {"nonlinearity": "Tanh"},
    "GRU": {"gate_activation": "Sigmoid", "candidate_activation": "Tanh"},
    "LSTM": {
        "gate_activation": "Sigmoid",
        "input_activation": "Tanh",
        "output_activation": "Tanh",
    },
}
_COMMON = (
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "layout",
    "output_sequence",  # of opset 1: whether Y is wanted
)
_OWN = {"RNN": (), "LSTM": ("input_forget",), "GRU": ("linear_before_reset",)}
_DIRECTIONS = ("forward", "reverse", "bidirectional")


@dataclass(frozen=True)
class Attributes:
    """A node's attributes, checked. cells: the options of the layer's class, for each direction."""

    direction: str
    hidden_size: int
    layout: int
    cells: tuple[dict[str, Any], ...]

    @property
    def directions(self) -> int:
        return len(self.cells)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise TypeError(f"{name} is {a_type(value)}; expected a text")
    return value


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        raise TypeError(f"{name} is {a_type(value)}; expected a list")
    return list(value)


def _choice(name: str, value: Any) -> bool:
    whole = size(name, value)
    if whole not in (0, 1):
        raise ValueError(f"{name} is {whole}; expected 0 or 1")
    return bool(whole)


def read(op_type: str, attributes: Mapping[str, Any], columns: int | None) -> Attributes:
    """columns: of R, which are the hidden size where the attribute is missing; None: R is wrong.

    Raises ValueError or TypeError, naming the attribute.
    """
    for name in attributes:
        if name not in _COMMON + _OWN[op_type]:
            raise ValueError(f"attribute {name} is none of the {op_type}'s")
    direction = _text("direction", attributes.get("direction", "forward"))
    if direction not in _DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; expected one of {', '.join(_DIRECTIONS)}")
    hidden = attributes.get("hidden_size", columns)
    if hidden is None:
        raise ValueError("hidden_size is missing, and R does not have 3 dimensions")
    hidden = size("hidden_size", hidden)
    if hidden < 1:
        raise ValueError(f"hidden_size is {hidden}; expected at least 1")
    common: dict[str, Any] = {}
    if "clip" in attributes:
        common["activation_clip"] = number("clip", attributes["clip"])
        if not 0 < common["activation_clip"] < float("inf"):
            raise ValueError(f"clip is {common['activation_clip']}; expected a limit above 0")
    if op_type == "LSTM":
        common["coupled_gates"] = _choice("input_forget", attributes.get("input_forget", 0))
    if op_type == "GRU":
        linear = size("linear_before_reset", attributes.get("linear_before_reset", 0))
        common["reset_after"] = linear != 0
    cells = tuple(
        {**common, **own}
        for own in _functions(op_type, attributes, 1 + (direction == "bidirectional"))
    )
    layout = int(_choice("layout", attributes.get("layout", 0)))
    return Attributes(direction, hidden, layout, cells)


def _functions(
    op_type: str, attributes: Mapping[str, Any], directions: int
) -> list[dict[str, Any]]:
    usual = _FUNCTION_OPTIONS[op_type]
    each = len(usual)
    names = [
        _text("activations", name)
        for name in _list("activations", attributes.get("activations", ()))
    ]
    names = names or [*usual.values()] * directions
    if len(names) != each * directions:
        raise ValueError(
            f"activations has {len(names)} functions; expected {each * directions}: {each} for "
            f"each direction"
        )
    alphas, betas = (
        [number(name, value) for value in _list(name, attributes.get(name, ()))]
        for name in ("activation_alpha", "activation_beta")
    )
    found = functions(names, alphas, betas)
    return [
        dict(zip(usual, found[d * each : (d + 1) * each], strict=True)) for d in range(directions)
    ]
