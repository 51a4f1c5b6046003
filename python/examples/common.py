"""What the systems here share: options, the time that they train for, what a run leaves behind."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np

import gru_native
from gru_native import Chain, clip_gradients, load, optim, save


@dataclass(frozen=True)
class Options:
    """How a system is run."""

    seed: int
    threads: int | None
    minutes: float
    quick: bool
    out: Path
    own: dict[str, Any] = field(default_factory=dict)  # those that one program has alone


@dataclass(frozen=True)
class Result:
    """What came out, beside what a simple method reaches."""

    score: float
    baseline: float
    higher_is_better: bool
    table: list[dict[str, Any]]

    @property
    def is_better(self) -> bool:
        return (self.score > self.baseline) == self.higher_is_better


def main(
    run: Callable[[Options], Result],
    name: str,
    minutes: float,
    argv: list[str] | None = None,
    own: Mapping[str, dict[str, Any]] | None = None,
) -> int:
    """Parse the options, run the system, print its table and write ``result.json``.

    Of the program's own options ``own`` has the names, and what ``add_argument`` takes for each.
    """
    parser = argparse.ArgumentParser(
        prog=f"gru-native demo {name}",
        description=sys.modules[run.__module__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    add("--threads", type=int, help="threads to compute with (default: all cores)")
    add("--minutes", type=float, default=minutes, help=f"time to train (default: {minutes:g})")
    add("--quick", action="store_true", help="a small network, a few seconds of training")
    add(
        "--out", type=Path, default=Path(f"gru-native-{name}"), help="the folder for what it leaves"
    )
    names = [add(flag, **how).dest for flag, how in (own or {}).items()]
    values = vars(parser.parse_args(argv))
    options = Options(own={name: values.pop(name) for name in names}, **values)
    if not options.minutes > 0:
        parser.error(f"--minutes {options.minutes:g}: expected more than 0")
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: expected 0 or more")
    try:
        if options.threads is not None:
            gru_native.set_num_threads(options.threads)
        options.out.mkdir(parents=True, exist_ok=True)
    except ValueError:
        parser.error(f"--threads {options.threads}: expected 1 to 256")
    except OSError as error:
        parser.error(f"--out {options.out}: {error.strerror}")
    result = run(options)
    asked = {**vars(options)}
    asked |= asked.pop("own")
    text = json.dumps({**vars(result), "options": asked}, indent=1, default=str)  # paths
    (options.out / "result.json").write_text(text + "\n", encoding="utf-8")
    print(*table(result.table), f"all of it is in {options.out}", sep="\n")
    return 0


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of a table."""
    cells = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    lines = [[*map(str, rows[0])], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(
            cell.rjust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()


# x, and its lengths or None; what makes the loss, and its gradient, of the outputs.
Lesson: TypeAlias = tuple[Any, Any, Callable[[Any], tuple[float, Any]]]


def learn(chain: Chain, lesson: Callable[[], Lesson], course: Course, rate: float) -> None:
    """One step of Adam for each lesson, at a rate that falls to zero, until the time is used up."""
    adam = optim.Adam(chain, lr=rate)
    mean: float | None = None
    for done in course:
        adam.lr = rate * (1 - done)
        x, lengths, loss_of = lesson()
        y, _, tape = chain.forward(x, lengths=lengths)
        loss, dy = loss_of(y)
        grads = chain.backward(tape, dy, input_gradient=False)
        clip_gradients(grads.weights, 1.0)
        adam.step(grads)
        mean = loss if mean is None else mean + 0.02 * (loss - mean)
        course.figures = f"loss {mean:.4f}"


def read_again(chain: Chain, path: Path) -> Chain:
    """Save it. Returns what its file holds."""
    save(chain, path)
    again = load(path)
    assert isinstance(again, Chain)
    return again


def keep(parts: Mapping[str, Any], path: Path) -> None:
    """The weights of layers that have no model files, such as those over trees, in one file."""
    arrays = {f"{n}.{w}": a for n, part in parts.items() for w, a in part.state_dict().items()}
    np.savez(path, **arrays)


def take_up(parts: Mapping[str, Any], path: Path) -> None:
    """Weights that were kept become those of these layers."""
    with np.load(path) as arrays:
        for name, part in parts.items():
            part.load_state_dict({weight: arrays[f"{name}.{weight}"] for weight in part.weights})


class Course:
    """The steps of a training, until its time is used up or Ctrl-C is pressed.

    ``for done in course`` gives the share of the time that has passed, or of so many steps, if they
    are given. A second Ctrl-C ends the program.
    """

    def __init__(self, seconds: float, steps: int | None = None) -> None:
        self.seconds, self.steps = seconds, steps
        self.taken = 0  # steps
        self.figures = ""  # shown beside the bar

    def __iter__(self) -> Iterator[float]:
        pressed = threading.Event()

        def press(*_: object) -> None:
            pressed.set()
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, press)
        began = perf_counter()
        try:
            with _Bar() as show:
                while (done := self._done(began)) < 1 and not pressed.is_set():
                    show(done, self.figures)
                    yield done
                    self.taken += 1
        finally:
            signal.signal(signal.SIGINT, before)
        if pressed.is_set():
            print("training interrupted; going on with what has been learnt", file=sys.stderr)

    def _done(self, began: float) -> float:
        return self.taken / self.steps if self.steps else (perf_counter() - began) / self.seconds


class _Bar:
    """A bar where ``rich`` is installed and there is a terminal, else a line for each tenth."""

    def __enter__(self) -> Callable[[float, str], None]:
        self._bar = None
        self._tenths = 0
        if sys.stderr.isatty():
            try:
                from rich.console import Console
                from rich.progress import Progress

                self._bar = Progress(console=Console(stderr=True))
                self._bar.start()
                self._task = self._bar.add_task("training", total=1.0)
            except ImportError:
                pass
        return self._show

    def _show(self, done: float, figures: str) -> None:
        if self._bar:
            self._bar.update(self._task, completed=done, description=f"training  {figures}")
        elif int(10 * done) > self._tenths:
            self._tenths = int(10 * done)
            print(f"training {self._tenths}0 %  {figures}", file=sys.stderr)

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()


def picture(path: Path, draw: Callable[[Any], None], *, size: tuple[float, float] = (7, 4)) -> None:
    """``draw(axes)`` as a picture, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"{path.name} is not drawn: matplotlib is not installed", file=sys.stderr)
        return
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.add_subplot())
    figure.savefig(path, dpi=120)


def bars(rows: list[dict[str, Any]], xlabel: str, axes: Any) -> None:
    """What is right of each kind, in percent: the columns behind the first two, a bar for a row."""
    for i, row in enumerate(rows):
        names = [*row][2:]
        places = [place + 0.4 * i for place in range(len(names))]
        axes.bar(places, [row[name] for name in names], 0.4, label=row["method"])
    axes.set_xticks([place + 0.2 for place in range(len(names))], names)
    axes.set(xlabel=xlabel, ylabel="right, %", ylim=(0, 105))
    axes.legend()
