"""What operators make of a value that is followed: one rule for each, where there is one.

    @rule("Transpose")
    def _transpose(node: Node, x: Value) -> list[Any] | None: ...

A rule takes the node and its inputs and returns the first of its outputs, or None where it does not
apply. ValueError: the graph is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Rule: TypeAlias = Callable[..., list[Any] | None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Makes a function the rule of these operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register
