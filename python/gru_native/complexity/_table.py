"""Tables as lines of text."""

from __future__ import annotations

from collections.abc import Sequence


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


def figure(value: float | None) -> str:
    """A whole number in full, another with three digits that count, a dash for none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
