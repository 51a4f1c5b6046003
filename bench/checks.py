"""What speed must not cost: memory, imports, denormals, neighbours, idle threads, ways in.

Each check runs in a fresh process, without any peer: `python bench/checks.py NAME [--quick]` prints
JSON. `run_all` is what compare.py calls.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Result = dict[str, Any]


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _median_us(call: Callable[[], object], calls: int) -> float:
    times = [_seconds(call) for _ in range(calls + 3)]
    return statistics.median(times[3:]) * 1e6


def import_time(quick: bool) -> Result:
    """Milliseconds of `import gru_native` where NumPy is imported already, from bytecode."""
    code = (
        "import numpy, time; t = time.perf_counter(); import gru_native; "
        "print((time.perf_counter() - t) * 1e3)"
    )
    times = []
    with tempfile.TemporaryDirectory() as cache:  # as pip leaves it, whatever holds here
        own = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(6 if quick else 16):
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, capture_output=True, check=True, env=own)
            times.append(float(done.stdout))
    return {"milliseconds": statistics.median(times[1:])}


def _status(key: str) -> int:
    """Bytes, from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {key}")


def _peak(cell: str, seq_len: int, batch: int, hidden_size: int) -> Result:
    import gru_native

    before = _status("VmRSS")
    layer = getattr(gru_native, cell)(hidden_size, hidden_size, seed=0)
    x = np.ones((seq_len, batch, hidden_size), np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    at_call = _status("VmRSS")
    y, _ = layer(x)
    peak = _status("VmHWM")
    allowed = x.nbytes + y.nbytes + 2 * 4 * layer.num_parameters + (16 << 20)
    return {
        "shape": f"{cell} T={seq_len} B={batch} H={hidden_size}",
        "percent": 100 * (peak - before) / allowed,
        "peak_mb": (peak - before) / 2**20,
        "allowed_mb": allowed / 2**20,
        "call_mb": (peak - at_call) / 2**20,  # y, and what the call works in
    }


def memory(quick: bool) -> Result:
    """Peak memory of inference: a layer, x and one call, over the process before them.

    The shape that comes nearest to what is allowed, each in a process of its own.
    """
    shapes = [("LSTM", 100, 32, 512)]
    if not quick:
        shapes += [("LSTM", 50, 64, 1024), ("LSTM", 1, 1, 1024), ("GRU", 100, 32, 512)]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.starmap(_peak, shapes, chunksize=1)
    return max(found, key=lambda result: float(result["percent"]))


def denormals(quick: bool) -> Result:
    """How much longer a call takes whose numbers are denormal all the way, for the worse cell."""
    import gru_native

    slowest = 0.0
    for kind in (gru_native.LSTM, gru_native.GRU, gru_native.RNN):
        x = np.random.default_rng(0).standard_normal((100, 1, 256)).astype(np.float32)
        usual, tiny = kind(256, 256, seed=0), kind(256, 256, seed=0)
        with tiny.editing() as weights:
            for name in list(weights):
                # Products of 1e-20 and 1e-20 are denormal, and with them the state.
                weights[name][...] *= 0 if name.startswith("bias") else 1e-20
        calls = (partial(usual, x), partial(tiny, x * np.float32(1e-20)))
        rounds = [[_median_us(call, 5) for call in calls] for _ in range(5 if quick else 40)]
        as_usual, slowed = (statistics.median(times) for times in zip(*rounds, strict=True))
        slowest = max(slowest, slowed / as_usual)
    return {"slowdown": slowest}


def neighbour(quick: bool) -> Result:
    """LSTM T=100 B=1 H=256 on all cores, alone and beside a process that keeps one core busy.

    Means, not medians: most calls end before the scheduler lets the neighbour have its turn, and
    the few that do not pay for all. The neighbour's fair share is one core, which leaves cores - 1
    to the calls.
    """
    import gru_native

    cores = gru_native.get_num_threads()
    layer = gru_native.LSTM(256, 256, seed=0)
    x = np.zeros((100, 1, 256), np.float32)

    def measure() -> tuple[float, float]:
        """Mean and median, microseconds."""
        layer(x)
        times: list[float] = []
        begin = time.perf_counter()
        end = begin + (0.5 if quick else 3.0)
        while begin < end:
            layer(x)
            now = time.perf_counter()
            times.append(now - begin)
            begin = now
        return statistics.fmean(times) * 1e6, statistics.median(times) * 1e6

    alone, alone_median = measure()
    gru_native.set_num_threads(1)
    on_one, _ = measure()
    gru_native.set_num_threads(cores)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(0.3)
            beside, beside_median = measure()
        finally:
            busy.kill()
    return {
        "threads": cores,
        "alone_us": alone,
        "alone_median_us": alone_median,
        "one_thread_us": on_one,
        "beside_us": beside,
        "beside_median_us": beside_median,
        "slowdown": beside / alone,
        "fair": cores / max(cores - 1, 0.5),
    }


def idle(quick: bool) -> Result:
    """Microseconds from the return of a call until every thread of the team sleeps.

    Asked of the kernel again and again, because CPU times of other threads lag by a clock tick.
    """
    import gru_native

    layer = gru_native.LSTM(256, 256, seed=0)
    x = np.zeros((100, 1, 256), np.float32)
    layer(x)
    own = str(threading.get_native_id())
    tasks = [task for task in os.listdir("/proc/self/task") if task != own]
    files = [os.open(f"/proc/self/task/{task}/stat", os.O_RDONLY) for task in tasks]
    times = []
    for _ in range(20 if quick else 200):
        time.sleep(0.002)
        layer(x)
        begin = time.perf_counter()
        while any(b") S" not in os.pread(file, 64, 0) for file in files):
            pass
        times.append(time.perf_counter() - begin)
    return {"microseconds": statistics.median(times) * 1e6}


def step(quick: bool) -> Result:
    """Microseconds that a step from Python takes beyond its arithmetic, of a stream and of a layer.

    What a step takes within a call of 64 counts as its arithmetic. Each the largest of LSTM and GRU
    with up to 64 units.
    """
    import gru_native

    def each(call: Callable[[], object]) -> float:
        calls = 2_000 if quick else 20_000
        return min(timeit.repeat(call, number=calls, repeat=3 if quick else 9)) / calls * 1e6

    gru_native.set_num_threads(1)
    found = {"stream_us": 0.0, "layer_us": 0.0}
    for kind in (gru_native.LSTM, gru_native.GRU):
        for hidden_size in (8, 16, 32, 64):
            layer = kind(1, hidden_size, seed=0)
            stream = layer.stream()
            x = np.zeros((64, 1, 1), np.float32)
            arithmetic = each(partial(stream, x)) / len(x)
            for name, call in (("stream_us", stream), ("layer_us", layer)):
                found[name] = max(found[name], each(partial(call, x[:1])) - arithmetic)
    return found


def packing(quick: bool) -> Result:
    """What it takes to pack an LSTM 512 -> 512, in parts of a copy of its weights (packing.cpp).

    `new` into new memory, as the copy beside it; `again` into memory that the layer has. `call` is
    what the first call of a new layer takes longer than its second: layers pack when their weights
    are set.
    """
    import gru_native
    from measuring import native

    x = np.zeros((1, 1, 512), np.float32)
    longer = []
    for seed in range(5 if quick else 40):
        layer = gru_native.LSTM(512, 512, seed=seed)
        first, second = (_seconds(partial(layer, x)) for _ in range(2))
        longer.append(first - second)
    native.build("packing")
    found = native.run("packing", str(min(gru_native.get_num_threads(), 2)))
    return {**found, "call": 1e6 * statistics.median(longer) / found["copy_us"]}


CHECKS = {
    "import_time": import_time,
    "memory": memory,
    "denormals": denormals,
    "neighbour": neighbour,
    "idle": idle,
    "step": step,
    "packing": packing,
}


def run_all(
    quick: bool, notes: list[str], tick: Callable[[], None] = lambda: None
) -> dict[str, Result]:
    results = {}
    for name in CHECKS:
        command = [sys.executable, __file__, name, *(["--quick"] if quick else [])]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        if done.returncode:
            notes.append(f"check {name} failed: {done.stderr.strip().splitlines()[-1]}")
        else:
            results[name] = json.loads(done.stdout)
        tick()
    return results


if __name__ == "__main__":
    print(json.dumps(CHECKS[sys.argv[1]]("--quick" in sys.argv)))
