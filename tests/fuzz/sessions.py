"""Pools of sessions in random use: to the bit what streams of their own give.

    python tests/fuzz/sessions.py --count 2000

A try makes a random layer or chain and a pool of it. One to three threads open, close and step
sessions of their own, by single steps and chunks, read and set states, and make room; between their
stretches all sessions move to another pool. Try N alone, with its traceback: ``--only N``.
"""

import pickle
import sys
import threading
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import fuzzing  # noqa: E402
import gru_native  # noqa: E402
from gru_native import GRU, LSTM, RNN, Chain, Dense  # noqa: E402


def random_layer(rng, inputs):
    kind = rng.integers(4)
    size, seed = int(rng.integers(1, 50)), int(rng.integers(1000))
    dtype = rng.choice([np.float32, np.float64])
    of = {"num_layers": int(rng.integers(1, 4)), "dtype": dtype, "seed": seed}
    if kind == 0:
        return RNN(inputs, size, nonlinearity=str(rng.choice(["tanh", "relu"])), **of)
    if kind == 1:
        if rng.integers(2):
            of["proj_size"] = int(rng.integers(1, size)) if size > 1 else 0
        else:
            of |= {"peephole": bool(rng.integers(2)), "layer_norm": bool(rng.integers(2))}
        return LSTM(inputs, size, **of)
    layer = GRU(inputs, size, reset_after=bool(rng.integers(2)), **of)
    if kind == 2:
        return layer
    return Chain([layer, LSTM(size, 5, dtype=dtype, seed=seed), Dense(5, 2, dtype=dtype)])


def same(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a.shape == b.shape and a.tobytes() == b.tobytes()


class User:
    """Sessions of one thread, and a stream beside each."""

    def __init__(self, layer, inputs, rng):
        self.layer, self.inputs, self.rng = layer, inputs, rng
        self.streams = {}

    def numbers(self, *shape):
        return self.rng.normal(size=(*shape, self.inputs)).astype(self.layer.dtype)

    def some(self):
        order = self.rng.permutation(list(self.streams))
        return order[: self.rng.integers(1, len(order) + 1)].tolist()

    def agree(self, ours, theirs, what):
        if not same(np.ascontiguousarray(ours), np.ascontiguousarray(theirs)):
            raise fuzzing.Wrong(f"{what} differs from that of a stream")

    def act(self, pool):
        if not self.streams or self.rng.random() < 0.2:
            try:
                k = pool.open()
            except RuntimeError:
                pool.reserve(pool.capacity + int(self.rng.integers(1, 20)))
                return
            if k in self.streams:
                raise fuzzing.Wrong("an id is given out twice")
            self.streams[k] = self.layer.stream()
            return
        sessions = self.some()
        one = sessions[0]
        match self.rng.integers(7):
            case 0:
                x = self.numbers(len(sessions))
                for k, x_k, y_k in zip(sessions, x, pool.step(sessions, x), strict=True):
                    self.agree(y_k, self.streams[k](x_k), "a step")
            case 1:
                steps = int(self.rng.integers(1, 12))
                x = self.numbers(steps, len(sessions))
                lengths = self.rng.integers(0, steps + 1, len(sessions))
                y = pool.step(sessions, x, lengths)
                for i, (k, n) in enumerate(zip(sessions, lengths, strict=True)):
                    if n:
                        self.agree(y[:n, i], self.streams[k](x[:n, i].copy()), "a chunk")
                    if y[n:, i].any():
                        raise fuzzing.Wrong("a chunk goes on past its end")
            case 2:
                x = self.numbers(int(self.rng.integers(1, 200)))
                self.agree(pool.step(one, x), self.streams[one](x), "a long chunk")
            case 3:
                pool.close(one)
                del self.streams[one]
            case 4:
                pool.reset(one)
                self.streams[one].reset()
            case 5:
                state = self.streams[one].state
                other = sessions[-1]
                pool.set_state(other, state)
                self.streams[other].state = state
            case 6:
                bad = [*sessions, self.rng.choice([one, -1, 2**40])]
                try:
                    pool.step(bad, self.numbers(len(bad)))
                except ValueError:
                    return
                raise fuzzing.Wrong(f"sessions {bad} are taken")

    def stretch(self, pool, failures):
        try:
            for _ in range(15):
                self.act(pool)
        except Exception as error:
            failures.append(error)


def one(rng):
    gru_native.set_num_threads(int(rng.integers(1, 3)))
    inputs = int(rng.integers(1, 8))
    layer = random_layer(rng, inputs)
    precision = None
    if layer.dtype == np.float32 and rng.integers(3) == 0:
        precision = str(rng.choice(["int8", "bf16"]))
        try:
            layer = layer.quantize(precision)
        except ValueError:
            precision = None  # not every variant has few bits
    pool = layer.sessions(int(rng.integers(1, 30)))
    users = [User(layer, inputs, child) for child in rng.spawn(int(rng.integers(1, 4)))]
    for _ in range(3):
        failures = []
        threads = [threading.Thread(target=u.stretch, args=(pool, failures)) for u in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        streams = {k: s for u in users for k, s in u.streams.items()}
        if pool.sessions != sorted(streams):
            raise fuzzing.Wrong("other sessions are open than should be")
        if not all(same(pool.state(k), s.state) for k, s in streams.items()):
            raise fuzzing.Wrong("a state differs from that of a stream")
        if rng.integers(2):
            saved = pickle.loads(pickle.dumps(pool.save_state()))
            pool = layer.sessions(1)
            pool.load_state(saved)
    return "few bits" if precision else "threads" if len(users) > 1 else "one thread"


if __name__ == "__main__":
    raise SystemExit(fuzzing.main(__doc__, one))
