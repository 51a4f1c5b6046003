"""README stays one short page, and every figure in its table is one that a committed run has."""

import re

from builds import ROOT

README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "bench/results/avx512/results.md").read_text("utf-8")
LABELS = {"training step: ": "Training step: forward and all gradients", "": "Inference"}


def rows(text):
    """A table's rows, each by the names of its columns."""
    lines = [re.split(r" *\| *", line.strip("| ")) for line in text.strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def measured(label):
    """The rows of one kind on two threads, by name."""
    tables = re.findall(rf"^### {label}.*, 2 threads\n\n((?:\|.*\n)+)", RESULTS, re.MULTILINE)
    return {row["us a call"]: row for table in tables for row in rows(table)}


def test_it_is_short():
    lines = README.splitlines()
    assert len(lines) <= 150
    commands = [i for i, line in enumerate(lines) if line.startswith("    python -m pip install")]
    assert len(commands) == 2
    assert commands[-1] < 40  # on the first screen


def test_the_table_is_what_was_measured():
    (table,) = re.findall(r"^\| us a call .*\n(?:\|.*\n)+", README, re.MULTILINE)
    assert 1 <= len(rows(table)) <= 10
    for row in rows(table):
        name = row.pop("us a call")
        label = next(prefix for prefix in LABELS if name.startswith(prefix))
        found = measured(LABELS[label])[name.removeprefix(label)]
        assert row == {column: found.get(column, "-") for column in row}


def test_so_is_the_rest():
    machine = re.match(r"Medians of one run, .*?, float32\. (.*)\n", RESULTS)[1]
    assert machine in README
    mean = re.search(r"geometric mean \| \S+ \S+ \| (\S+)x \|", RESULTS)[1]
    assert f"takes {mean} times as long (geometric mean)" in README
