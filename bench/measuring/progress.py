"""What a run shows on the terminal: how far it has come, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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


def console() -> Console:
    """The terminal, or a file, in which nothing is cut off."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=180)


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


def finish(console: Console, notes: Iterable[str], out: Path, paths: Iterable[Path]) -> None:
    """The last lines of a run: its notes, and what it has written."""
    for note in notes:
        console.print(f"- {note}", highlight=False, markup=False)
    console.print(f"Written to {out}: {', '.join(p.name for p in paths)}", highlight=False)
