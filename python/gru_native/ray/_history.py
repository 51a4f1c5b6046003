"""What a run has seen."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class History(NamedTuple):
    """What a run has seen: a number in each array for each step of each worker, as they ended.

    Attributes
    ----------
    time : ndarray of float64
        Seconds since the first step began.
    worker : ndarray of int64
        Which worker it was.
    step : ndarray of int64
        Which of its steps, from 0.
    loss : ndarray of float64
        What ``loss`` gave.
    ahead : ndarray of int64
        How many steps the worker was ahead of the slowest when it began: at most ``staleness``.
    staleness : ndarray of int64
        How many steps of other workers came into the weights between its reading them and its
        change of them.
    restarts : int
        How often a process that had died was replaced.
    """

    time: NDArray[np.float64]
    worker: NDArray[np.int64]
    step: NDArray[np.int64]
    loss: NDArray[np.float64]
    ahead: NDArray[np.int64]
    staleness: NDArray[np.int64]
    restarts: int


class Row(NamedTuple):
    """One step of one worker."""

    time: float
    worker: int
    step: int
    loss: float
    ahead: int
    staleness: int


class Records:
    """The rows of a history while it is made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._rows: list[Row] = []
        self.restarts = 0

    def add(self, worker: int, step: int, loss: float, ahead: int = 0, staleness: int = 0) -> None:
        passed = time.monotonic() - self._begin
        self._rows.append(Row(passed, worker, step, loss, ahead, staleness))

    def forget_from(self, step: int) -> None:
        """These steps are done once more."""
        self._rows = [row for row in self._rows if row.step < step]

    def history(self) -> History:
        def column(name: str) -> NDArray[np.int64]:
            return np.array([getattr(row, name) for row in self._rows], np.int64)

        return History(
            time=np.array([row.time for row in self._rows], np.float64),
            worker=column("worker"),
            step=column("step"),
            loss=np.array([row.loss for row in self._rows], np.float64),
            ahead=column("ahead"),
            staleness=column("staleness"),
            restarts=self.restarts,
        )
