"""Counts as lines of text: one row for each figure, one column for each configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._count import Count
    from ._work import Work


def plain(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns under each other: texts to the left, figures to the right."""
    rows = [list(header), *map(list, lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(header))]
    lefts = [
        k == 0 or not any(set(row[k]) & set("0123456789") for row in rows)
        for k in range(len(header))
    ]
    text = [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, lefts, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([text[0], "  ".join("-" * width for width in widths), *text[1:]])


def rows_of(counts: Sequence[Count]) -> list[tuple[str, list[int | float | None]]]:
    """Every figure by its name, one value for each count; None where it does not apply."""
    rows: list[tuple[str, list[int | float | None]]] = []

    def add(name: str, values: list[int | float | None]) -> None:
        if any(values):
            rows.append((name, values))

    def add_work(name: str, works: list[Work | None]) -> None:
        add(f"{name}: MAC", [w.macs if w else None for w in works])
        roles = dict.fromkeys(role for w in works if w for role in w.macs_by())
        if len(roles) > 1:
            for role in roles:
                add(f"  {role}", [w.macs_by().get(role, 0) if w else None for w in works])
        add(f"{name}: FLOP (2 a MAC)", [w.flops if w else None for w in works])
        kinds = dict.fromkeys(kind for w in works if w for kind in w.elementwise)
        for kind in kinds:
            add(f"  and {kind}", [w.elementwise[kind] if w else None for w in works])

    add("parameters", [c.parameters for c in counts])
    for role in dict.fromkeys(role for c in counts for role in c.parameters_by_role):
        add(f"  {role}", [c.parameters_by_role.get(role, 0) for c in counts])
    add("parameters without biases", [c.parameters_without_biases for c in counts])
    add("parameters with one bias a gate", [c.parameters_with_one_bias for c in counts])
    add_work("a step of one sequence", [c.step.forward if c.step else None for c in counts])
    add_work("forward", [c.forward for c in counts])
    add("forward, every product: MAC", [c.textbook.forward.macs for c in counts])
    add_work("backward to inputs", [c.to_inputs for c in counts])
    add_work("backward to weights", [c.to_weights for c in counts])
    for name in ("float32", "float64"):
        sizes = [c.bytes(name) for c in counts]
        add(f"bytes in {name}: weights", [b.weights for b in sizes])
        add("  state", [b.state for b in sizes])
        add("  kept for backward", [b.tape for b in sizes])
        add("  moved by a step", [b.traffic for b in sizes])
        add("  FLOP a byte moved", [b.intensity for b in sizes])
    return rows


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def of_counts(counts: Sequence[Count], names: Sequence[str] | None = None) -> str:
    """The table, under the configurations' names."""
    header = ["", *(names or [f"({k + 1})" for k in range(len(counts))])]
    lines = [[name, *map(figure, values)] for name, values in rows_of(counts)]
    keys = [f"({k + 1}) {c.layer}, {_extent(c)}" for k, c in enumerate(counts)]
    return "\n".join([*keys, "", plain(header, lines)])


def _extent(c: Count) -> str:
    return ", ".join(f"{name}={n:,}" for name, n in c.extent.items())
