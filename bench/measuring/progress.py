"""The bar that shows how far a run has come."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from measuring import timing


def bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        refresh_per_second=2,  # drawing costs time on a core, too
    )


def ticker(bar: Progress, task: TaskID, done: int) -> timing.Tick:
    return lambda part: bar.update(task, completed=done + part)
