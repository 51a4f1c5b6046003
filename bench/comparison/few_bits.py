"""What layers of int8 and bf16 are held to, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from comparison.rows import Row
from comparison.targets import Target
from measuring.cases import Case

SMALL = 0.95  # up to 64 units: not slower than float32 by more than 5 %


class Wanted(NamedTuple):
    """At least so many times as fast; None: no figure."""

    peer: float | None = None
    float32: float | None = None


def evaluate(rows: Sequence[Row], precision: str, threads: int, isa: str) -> list[Target]:
    """Every row with a figure, at this number of threads."""
    found = []
    for row in rows:
        if row.threads != threads:
            continue
        wanted = _wanted(row.case, precision, isa)
        for what, least, value in (
            ("the best peer", wanted.peer, row.ratio),
            ("float32", wanted.float32, row.gain),
        ):
            if least is not None:
                measured = "not measured" if value is None else f"{value:.2f}x"
                met = None if value is None else value >= least
                found.append(Target(f"{row.case.name}, to {what}", f">= {least:g}x", measured, met))
    return found


def _wanted(case: Case, precision: str, isa: str) -> Wanted:
    if not isa.endswith("+dot"):  # the peers use what the CPU has
        large = precision == "int8" and case.batch == 1 and case.hidden_size >= 512
        small = case.hidden_size <= 64
        return Wanted(float32=2.5 if large else SMALL if small else 1.0)
    made = _int8(case) if precision == "int8" else _bf16(case)
    if case.hidden_size <= 64:
        return Wanted(made.peer, SMALL)
    return made


def _int8(case: Case) -> Wanted:
    alone, large = case.batch == 1, case.hidden_size >= 512
    if case.cell == "gru":
        peer = 3.0 if alone and case.hidden_size <= 512 else 2.5
        return Wanted(peer, 3.0 if alone and large else None)
    if alone:
        peer = 1.3 if case.hidden_size >= (256 if case.seq_len > 1 else 1024) else None
        return Wanted(peer, 3.5 if large and case.seq_len > 1 else None)
    return Wanted(1.2 if case.batch == 32 and case.hidden_size >= 256 else None)


def _bf16(case: Case) -> Wanted:
    if case.batch > 1:
        return Wanted(1.0, 1.6)
    return Wanted(1.3, 1.7) if case.hidden_size >= 512 and case.seq_len > 1 else Wanted()
