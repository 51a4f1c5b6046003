"""What the tests of gru_native.ray train, and what they do to its processes."""

import os
import signal
import time
from pathlib import Path

import numpy as np

import gru_native


def model(dtype=np.float64, dropout=0.0):
    """From ids, whose gradient is of rows, to numbers."""
    return gru_native.Chain(
        [
            gru_native.Embedding(11, 5, dtype=dtype, seed=0),
            gru_native.GRU(5, 7, 2, dropout=dropout, dtype=dtype, seed=1),
            gru_native.Dense(7, 2, dtype=dtype, seed=2),
        ]
    )


def batches(worker, step):
    rng = np.random.default_rng([worker, step])
    return worker, step, rng.integers(0, 11, (6, 3)), rng.standard_normal((6, 3, 2))


def loss(model, batch):
    _, _, ids, wanted = batch
    y, _, tape = model.forward(ids)
    error = y - wanted.astype(y.dtype)
    return float((error**2).sum()) / 2, model.backward(tape, error)


def same(a, b):
    return all(np.array_equal(w, b.weights[name]) for name, w in a.weights.items())


class Once:
    """True for the first process that asks, by a file."""

    def __init__(self, path):
        self.path = path

    def __call__(self):
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def actors_beside(kind, parent=None):
    """The processes of actors of a class, of the same Ray as the process that asks."""
    parent = parent or os.getppid()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
            above = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if above == parent and title.split(".")[0] == f"ray::{kind}":
            found.append(int(folder.name))
    return found


def kill(process):
    os.kill(process, signal.SIGKILL)


def gone(processes, seconds=15):
    """Whether they end in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(Path(f"/proc/{p}").exists() for p in processes):
            return True
        time.sleep(0.05)
    return False
