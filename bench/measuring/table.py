"""Tables, as columns of text: rich draws them on the terminal, files have Markdown and CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]

    def rich(self) -> RichTable:
        drawn = RichTable(title=self.title, title_justify="left", title_style="bold")
        for k, name in enumerate(self.header):
            drawn.add_column(name, justify="left" if k == 0 else "right", no_wrap=k == 0)
        for line in self.lines:
            drawn.add_row(*line)
        return drawn

    def markdown(self) -> str:
        marks = ["---"] + ["--:"] * (len(self.header) - 1)
        lines = [self.header, tuple(marks), *self.lines]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, unit: str = "") -> str:
    """Three digits that count; a dash for what there is not."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}{unit}"
    if value < 1:
        return f"{value:.2g}{unit}"
    return f"{value:.{1 if value >= 10 else 2}f}{unit}"


def write_csv(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A column for each name that any of the lines has."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(lines)
