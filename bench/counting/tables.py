"""The tables of complexity.py."""

from __future__ import annotations

from counting import counters
from counting.rows import Run
from measuring.table import Table, number


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _acoustic(run: Run, threads: int) -> Table:
    lines = []
    forward, training = (run.of("acoustic", threads, t) for t in (False, True))
    for f, t in zip(forward, training, strict=True):
        name = f"{f.network.name}, {f.network.outputs} outputs"
        line = [name, f"{f.network.count.parameters:,}"]
        for row in (f, t):
            line += [
                number(row.flops_a_frame / 1e6),
                number(1e6 * row.frame),
                number(row.rate / 1e9),
                _percent(row.of_peak(run.limits)),
                f"{_percent(row.of_least)} {row.least.bound if row.least else ''}".strip(),
            ]
        lines.append(tuple(line))
    each = ("MFLOP", "us", "GFLOP/s", "of FMA peak", "of limit")
    header = ("a frame", "parameters", *each, *(f"training: {name}" for name in each))
    return Table(f"Acoustic models, {_where(threads)}", header, lines)


def _where(threads: int) -> str:
    return f"float32, {threads} thread{'s' if threads > 1 else ''}"


def _equal(run: Run, section: str, threads: int) -> Table:
    lines = []
    pairs = list(zip(*(run.of(section, threads, t) for t in (False, True)), strict=True))
    for f, t in pairs:
        base_f, base_t = next(
            pair
            for pair in pairs
            if pair[0].network.family == "LSTM" and pair[0].network.batch == f.network.batch
        )
        n = f.network
        lines.append(
            (
                f"{n.name} H={n.hidden_size} B={n.batch}",
                f"{n.count.parameters:,}",
                number(f.flops_a_frame / 1e6),
                f"{f.flops_a_frame / base_f.flops_a_frame:.2f}x",
                number(1e6 * f.seconds),
                f"{f.seconds / base_f.seconds:.2f}x",
                number(1e6 * t.seconds),
                f"{t.seconds / base_t.seconds:.2f}x",
            )
        )
    n = pairs[0][0].network
    header = (
        "a call",
        "parameters",
        "MFLOP a frame",
        "/ LSTM",
        "us",
        "/ LSTM",
        "training us",
        "/ LSTM",
    )
    title = f"At {section}: T={n.seq_len}, {n.input_size} inputs, {_where(threads)}"
    return Table(title, header, lines)


def _projection(run: Run, threads: int) -> Table:
    lines = []
    pairs = list(zip(*(run.of("projection", threads, t) for t in (False, True)), strict=True))
    for f, t in pairs:
        n = f.network
        whole_f, whole_t = next(
            pair
            for pair in pairs
            if pair[0].network.family == "LSTM" and pair[0].network.hidden_size == n.hidden_size
        )
        r = n.options["proj_size"] or n.hidden_size
        lines.append(
            (
                n.name,
                f"{n.count.parameters:,}",
                f"{r / n.hidden_size:.3f}",
                f"{f.flops_a_frame / whole_f.flops_a_frame:.3f}",
                number(1e6 * f.frame),
                f"{f.seconds / whole_f.seconds:.3f}",
                number(1e6 * t.frame),
                f"{t.seconds / whole_t.seconds:.3f}",
            )
        )
    header = (
        "a frame",
        "parameters",
        "n_r / n_c",
        "counted",
        "us",
        "measured",
        "training us",
        "measured",
    )
    title = f"What a projection saves, 2000 outputs, {_where(threads)}"
    return Table(title, header, lines)


def _counted(run: Run) -> Table:
    def cell(found: int | str, exact: int) -> str:
        return found if isinstance(found, str) else f"{found:,} ({found / exact:.3f})"

    lines = [
        (r.name, f"{r.exact:,}", *(cell(r.found[name], r.exact) for name in run.versions))
        for r in run.counted
    ]
    names = (f"{name} {version}" for name, version in run.versions.items())
    title = (
        f"Multiply-accumulates of torch.nn modules, {counters.INPUTS} inputs, {counters.HIDDEN} "
        f"units, {counters.STEPS} steps of {counters.BATCH} sequences; in brackets: of the exact"
    )
    return Table(title, ("", "exact", *names), lines)


def of_run(run: Run) -> list[Table]:
    made = []
    for threads in sorted(run.threads, reverse=True):
        if run.of("acoustic", threads, True):
            made.append(_acoustic(run, threads))
        for section in ("equal size", "equal parameters"):
            if run.of(section, threads, True):
                made.append(_equal(run, section, threads))
        if run.of("projection", threads, True):
            made.append(_projection(run, threads))
    return [*made, _counted(run)] if run.counted else made
