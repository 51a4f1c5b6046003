"""What layers of int8 and bf16 are held to, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from comparison.rows import Row
from comparison.targets import Target

Wanted = tuple[float | None, float | None]  # times the best peer, times our float32
Shape = tuple[int, int, int]  # steps, batch, size
_LSTM8: dict[Shape, Wanted] = {
    (1, 1, 1024): (1.3, None),
    (100, 1, 64): (None, 0.95),
    (100, 1, 256): (1.3, None),
    (100, 1, 512): (1.3, 3.5),
    (100, 1, 1024): (1.3, 3.5),
    (100, 32, 256): (1.2, None),
    (100, 32, 512): (1.2, None),
}
_GRU8: dict[Shape, Wanted] = {
    (1, 1, 1024): (2.5, None),
    (100, 1, 64): (3.0, 0.95),
    (100, 1, 256): (3.0, None),
    (100, 1, 512): (3.0, 3.0),
    (100, 1, 1024): (2.5, 3.0),
    (100, 32, 256): (2.5, None),
    (100, 32, 512): (2.5, None),
}
_BF16: dict[Shape, Wanted] = {
    (100, 1, 64): (None, 0.95),
    (100, 1, 512): (1.3, 1.7),
    (100, 1, 1024): (1.3, 1.7),
    (100, 32, 256): (1.0, 1.6),
    (100, 32, 512): (1.0, 1.6),
}
HELD_TO = {
    ("int8", "lstm"): _LSTM8,
    ("int8", "gru"): _GRU8,
    ("bf16", "lstm"): _BF16,
    ("bf16", "gru"): _BF16,
}


def evaluate(rows: Sequence[Row], precision: str, threads: int) -> list[Target]:
    """Every row with a figure, at this number of threads."""
    found = []
    for row in rows:
        case = row.case
        shape = (case.seq_len, case.batch, case.hidden_size)
        wanted = HELD_TO[precision, case.cell].get(shape, (None, None))
        if row.threads != threads:
            continue
        for what, least, value in zip(
            ("the best peer", "float32"), wanted, (row.ratio, row.gain), strict=True
        ):
            if least is not None:
                measured = "not measured" if value is None else f"{value:.2f}x"
                met = None if value is None else value >= least
                found.append(Target(f"{case.name}, to {what}", f">= {least:g}x", measured, met))
    return found
