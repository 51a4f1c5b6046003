"""How long after a SIGINT a call has ended: for calls of every kind, at random moments.

    python tests/fuzz/interruption.py --count 30
    python tests/fuzz/interruption.py lstm stream edit

Another process sends the signals and notes when. Printed for each kind: how long the whole call
takes, and the seconds from signal to KeyboardInterrupt, largest and median. Calls that handle
weights as a whole (edits, files, ...) are of ``--megabytes`` of them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import calls_of_weights  # noqa: E402
import gru_native  # noqa: E402
import long_calls  # noqa: E402
import long_calls_of_words  # noqa: E402

SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    time.sleep(float(line))
    print(time.monotonic(), flush=True)
    os.kill(os.getppid(), signal.SIGINT)
"""


def onnx_model(lasting):
    """A layer, and operators that are NumPy's work."""
    import gru_native.onnx
    from onnx_builder import Builder, gru_tensors

    b = Builder()
    y, _ = b.node(
        "GRU", "x", *gru_tensors(b, np.random.default_rng(0), 8, 512), outputs=2, hidden_size=512
    )
    y = b.node("Squeeze", y, b.tensor([1]))
    for _ in range(4):
        y = b.node("Sigmoid", b.node("Mul", y, y))
    model = gru_native.onnx.load(b.model({"x": [None, None, 8]}, y))
    took = long_calls.seconds(lambda: model(long_calls.numbers(2000, 1, 8)))
    x = long_calls.numbers(int(2000 * lasting / took), 1, 8)
    return (lambda: model(x)), lasting


def onnx_loop(lasting):
    """Many short rounds of a body."""
    from onnx import TensorProto, helper

    import gru_native.onnx
    from onnx_graphs import body, info, model

    kind, whole, truth = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    inner = body(
        [
            helper.make_node("Tanh", ["v"], ["t"]),
            helper.make_node("Add", ["v", "t"], ["v2"]),
            helper.make_node("Identity", ["c"], ["go"]),
        ],
        [info("i", whole, []), info("c", truth, []), info("v", kind, [None])],
        [info("go", truth, []), info("v2", kind, [None])],
    )
    inputs = [info("x", kind, [None]), info("most", whole, [])]
    loop = helper.make_node("Loop", ["most", "", "x"], ["y"], body=inner)
    loaded = gru_native.onnx.load(model([loop], inputs, [info("y", kind, [None])]))
    x, most = long_calls.numbers(1000), 20_000
    took = long_calls.seconds(lambda: loaded(x, np.array(most)))
    n = np.array(int(most * lasting / took))
    return (lambda: loaded(x, n)), lasting


def onnx_convolution(lasting):
    import gru_native.onnx
    from onnx_builder import Builder

    b = Builder()
    w = long_calls.numbers(64, 64, 3, 3)
    y = b.node("Conv", b.node("Conv", "x", b.tensor(w), pads=[1] * 4), b.tensor(w), pads=[1] * 4)
    model = gru_native.onnx.load(b.model({"x": [None, 64, None, None]}, y, rank=4))
    took = long_calls.seconds(lambda: model(long_calls.numbers(8, 64, 64, 64)))
    x = long_calls.numbers(max(1, int(8 * lasting / took)), 64, 64, 64)
    return (lambda: model(x)), lasting


def onnx_load(megabytes):
    import gru_native.onnx
    from onnx_builder import Builder, gru_tensors

    b, size = Builder(), int((megabytes * 1e6 / 24) ** 0.5)
    y, _ = b.node(
        "GRU",
        "x",
        *gru_tensors(b, np.random.default_rng(0), size, size),
        outputs=2,
        hidden_size=size,
    )
    whole = b.model({"x": [None, None, size]}, b.node("Squeeze", y, b.tensor([1])))
    return lambda: gru_native.onnx.load(whole)


def keras_load(megabytes):
    import gru_native.keras
    from keras_models import keras

    size = int((megabytes * 1e6 / 32) ** 0.5)
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "model.keras")
    keras.Sequential([keras.Input((None, size)), keras.layers.LSTM(size)]).save(path)

    def call():
        assert folder
        gru_native.keras.load(path)

    return call


def keras_model(lasting):
    from gru_native.keras import from_keras
    from keras_models import keras

    layers = keras.layers
    given = [keras.Input((None, 8)), layers.LSTM(256, return_sequences=True), layers.Dense(64)]
    model = from_keras(keras.Sequential(given))
    took = long_calls.seconds(lambda: model(long_calls.numbers(1, 4000, 8)))
    x = long_calls.numbers(1, int(4000 * lasting / took), 8)
    return (lambda: model(x)), lasting


def complexity(lasting):
    """A long chain of different layers, whose counts are made one by one."""
    from gru_native.complexity import GRU, Chain, Dense, count

    def make(n):
        blocks = [b for i in range(n) for b in (GRU(8, 8 + i, 3), Dense(8 + i, 8))]
        return lambda: count(Chain(blocks), seq_len=100, batch=4).to_dict()

    n = 50
    took = long_calls.seconds(make(n))
    return make(int(n * lasting / took)), lasting


MODELS = {
    "onnx": onnx_model,
    "onnx_loop": onnx_loop,
    "onnx_convolution": onnx_convolution,
    "keras": keras_model,
    "complexity": complexity,
}
OF_WEIGHTS = {**calls_of_weights.OF_WEIGHTS, "onnx_load": onnx_load, "keras_load": keras_load}
CALLS = {**long_calls.CASES, **long_calls_of_words.CASES, **long_calls_of_words.OTHERS}
NAMES = [*CALLS, *OF_WEIGHTS, *MODELS]


class Sender:
    """The process that sends signals to this one."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SENDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def late(self, call, after):
        """Seconds from a signal, so long after the call has begun, to its end; None if there was
        no call any more."""
        inside = True
        try:
            self._process.stdin.write(f"{after}\n")
            self._process.stdin.flush()
            call()
            inside = False
            time.sleep(60)
        except KeyboardInterrupt:
            ended = time.monotonic()
        sent = float(self._process.stdout.readline())
        return ended - sent if inside else None

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def call_of(name, lasting, megabytes):
    """The call, and its time."""
    if name in MODELS:
        return MODELS[name](lasting)
    if name in CALLS:
        return long_calls.long_call(name, lasting, CALLS[name])
    call = OF_WEIGHTS[name](megabytes)
    call()  # some make room that the next ones have
    return call, long_calls.seconds(call)


def measure(name, count, rng, lasting=2.0, megabytes=400):
    """(time of the whole call, seconds from each signal that came during one)"""
    call, whole = call_of(name, lasting, megabytes)
    sender = Sender()
    late = []
    try:
        for _ in range(count):
            seconds = sender.late(call, rng.uniform(0.005, 0.9) * whole)
            if seconds is not None:
                late.append(seconds)
    finally:
        sender.close()
    call()  # it works as before
    return whole, late


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--count", type=int, default=20, help="signals for each kind")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a call takes")
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        gru_native.set_num_threads(given.threads)
    print(f"{'kind':24} {'call':>7} {'signals':>8} {'largest':>9} {'median':>9}   seconds")
    worst = 0.0
    for name in given.names or NAMES:
        # A process for each: layers keep the memory that they grew to, and all together too much.
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
            rng = np.random.default_rng(0)
            of_name = name, given.count, rng, given.seconds, given.megabytes
            whole, late = process.submit(measure, *of_name).result()
        largest, median = max(late, default=np.nan), statistics.median(late or [np.nan])
        print(f"{name:24} {whole:7.2f} {len(late):8} {largest:9.3f} {median:9.3f}", flush=True)
        worst = max(worst, largest)
    return 1 if worst > 0.2 else 0


if __name__ == "__main__":
    sys.exit(main())
