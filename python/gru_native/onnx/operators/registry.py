"""Which function computes which operator.

    @operator("Identity")
    def _identity(node: Node, x: Array) -> Sequence[Array]:
        return [x]

A function takes the node and its inputs, in ONNX's order, and returns the outputs; the node may
want fewer. An input that a node may leave out has the default None. An operator that changed has a
function for each form, registered with the opsets of that form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any, NamedTuple, TypeAlias, TypeVar

from .._model import OPSETS, RUNTIME, Node, shown

Function: TypeAlias = Callable[..., Sequence[Any]]
F = TypeVar("F", bound=Function)


class _Operator(NamedTuple):
    opsets: range
    needed: tuple[str, ...]  # inputs that must be there
    most: int | None  # inputs; None: any number, none of which may be missing
    compute: Function


_OPERATORS: dict[str, list[_Operator]] = {}
_OF_RUNTIME: set[str] = set()  # those that ONNX itself does not have
_ALSO_OF_RUNTIME = {
    "Gelu",
    "QuickGelu",
    "Pad",
    "Range",
    "Trilu",
    "QuantizeLinear",
    "DequantizeLinear",
}


def operator(
    *names: str, since: int = OPSETS[0], until: int = OPSETS[-1], domain: str = ""
) -> Callable[[F], F]:
    """Makes a function the one that computes these operators, in these opsets.

    What ONNX Runtime calls as ONNX does, in its own domain, it computes alike.
    """

    def register(function: F) -> F:
        inputs = list(signature(function).parameters.values())[1:]
        several = any(p.kind is Parameter.VAR_POSITIONAL for p in inputs)
        needed = tuple(
            p.name for p in inputs if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        )
        own = _Operator(range(since, until + 1), needed, None if several else len(inputs), function)
        for name in names:
            _OPERATORS.setdefault(name, []).append(own)
            if domain:
                _OF_RUNTIME.add(name)
        return function

    return register


def names() -> frozenset[str]:
    """All operators of ONNX that are known in some opset."""
    return frozenset(_OPERATORS.keys() - _OF_RUNTIME)


def is_known(node: Node) -> bool:
    """Whether some function computes it, in its opset."""
    return _function(node) is not None


def why_not(node: Node) -> str:
    """What is said of a node that no function computes."""
    which = f" of opset {node.opset}" if node.op in _OPERATORS else ""
    which = f" of {RUNTIME}" if node.proto.domain == RUNTIME else which
    return f"operator {shown(node.op)[1:-1]}{which} is not supported"


def _function(node: Node) -> _Operator | None:
    if node.proto.domain == RUNTIME and node.op not in _OF_RUNTIME | _ALSO_OF_RUNTIME:
        return None
    return next((o for o in _OPERATORS.get(node.op, ()) if node.opset in o.opsets), None)


def find(node: Node) -> _Operator:
    """Raises ValueError for a node that cannot be computed whatever its inputs are."""
    found = _function(node)
    if found is None:
        raise ValueError(why_not(node))
    if found.most is not None and len(node.inputs) > found.most:
        raise ValueError(f"has {len(node.inputs)} inputs; expected at most {found.most}")
    for i, name in enumerate(found.needed):
        if i >= len(node.inputs) or not node.inputs[i]:
            raise ValueError(f"has no input {i + 1}, {name}")
    if found.most is None and "" in node.inputs:
        raise ValueError(f"has no input {node.inputs.index('') + 1}")
    return found


def compute(node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    """The node's outputs; inputs are arrays, or None where it has none."""
    return find(node).compute(node, *inputs)
