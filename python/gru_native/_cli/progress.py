"""How the training goes: a bar where ``rich`` is installed and there is a terminal, else lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .streams import complain


class Show(Protocol):
    """Told which share of the training is done, and how well (bits) and how fast it goes."""

    def __call__(self, done: float, bits: float, speed: float) -> None: ...


@contextmanager
def progress() -> Iterator[Show]:
    """Shows on stderr, so that stdout has the results alone."""
    try:
        from rich.console import Console
    except ImportError:
        terminal = None
    else:
        terminal = Console(stderr=True)
    if terminal is None or not terminal.is_terminal:
        yield Lines()
        return

    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("training"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=terminal,
    ) as bar:
        task = bar.add_task("", total=1.0, figures="")

        def show(done: float, bits: float, speed: float) -> None:
            bar.update(task, completed=done, figures=_figures(bits, speed))

        yield show


class Lines:
    """A line for each tenth of the training."""

    def __init__(self) -> None:
        self._tenths = 0

    def __call__(self, done: float, bits: float, speed: float) -> None:
        tenths = int(10 * done)
        if tenths > self._tenths:
            self._tenths = tenths
            complain(f"training {tenths:3}0 %  {_figures(bits, speed)}")


def _figures(bits: float, speed: float) -> str:
    return f"{bits:.3f} bits/character  {speed:,.0f} characters/s"
