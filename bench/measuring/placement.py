"""Waits until two processors are two cores, close to each other.

The processors of a virtual machine are threads of its host, which sometimes puts two of them on one
core, or far apart, for seconds. What is timed then is not what the machine is said to be.
"""

from __future__ import annotations

import json
import subprocess
import time

from measuring import native

TOGETHER = 1.7  # times the work of one core that two must do
FARTHER = 1.6  # times the usual hand-over that is too long
PATIENCE = 3.0  # seconds before a round is timed all the same


class Placement:
    """Asks placement.cpp, which sleeps in between. Raises native.BuildError."""

    def __init__(self) -> None:
        try:
            self._program = subprocess.Popen(
                [native.BUILD / "placement"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise native.BuildError(f"placement did not start: {error}") from error
        self._usual = min((ns for ns in (self._ask() for _ in range(20)) if ns), default=0.0)
        self.rounds = self.awaited = self.missed = 0

    def close(self) -> None:
        assert self._program.stdin
        self._program.stdin.close()
        self._program.wait()

    def _ask(self) -> float | None:
        """The hand-over in nanoseconds; None if both processors share a core."""
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        if not line:
            raise native.BuildError("placement ended early")
        found = json.loads(line)
        return float(found["handover_ns"]) if found["together"] >= TOGETHER else None

    def wait(self) -> None:
        """Return when the processors are as usual, or after PATIENCE."""
        self.rounds += 1
        end = time.perf_counter() + PATIENCE
        first = True
        while True:
            found = self._ask()
            if found is not None and found <= FARTHER * self._usual:
                return
            self.awaited += first
            first = False
            if time.perf_counter() >= end:
                self.missed += 1
                return
            time.sleep(0.02)

    def note(self) -> str:
        """What became of the rounds, in words; empty if nothing did."""
        if not self.awaited:
            return ""
        return (
            f"Of {self.rounds} rounds {self.awaited} waited until two processors were two cores, "
            f"close to each other; {self.missed} were timed all the same."
        )
