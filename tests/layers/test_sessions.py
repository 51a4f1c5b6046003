"""Pools of sessions: the bits of streams of their own, whatever happens to the others."""

import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense

MODELS = {
    "rnn": lambda dtype: RNN(3, 7, num_layers=2, dtype=dtype, seed=1),
    "lstm": lambda dtype: LSTM(3, 20, proj_size=5, dtype=dtype, seed=2),
    "variant": lambda dtype: LSTM(3, 9, peephole=True, gate_recurrence=True, dtype=dtype, seed=3),
    "gru": lambda dtype: GRU(3, 33, num_layers=2, reset_after=False, dtype=dtype, seed=4),
    "norm": lambda dtype: GRU(3, 18, layer_norm=True, dtype=dtype, seed=5),
    "zoneout": lambda dtype: LSTM(3, 8, zoneout=0.25, zoneout_cell=0.5, dtype=dtype, seed=6),
    "batch_first": lambda dtype: GRU(3, 12, batch_first=True, dtype=dtype, seed=7),
    "chain": lambda dtype: Chain(
        [
            Dense(3, 6, activation="relu", dtype=dtype, seed=8),
            LSTM(6, 10, dtype=dtype, seed=9),
            GRU(10, 4, dtype=dtype, seed=10),
            Dense(4, 2, activation="log_softmax", dtype=dtype, seed=11),
        ]
    ),
    "dense": lambda dtype: Chain([Dense(3, 2, dtype=dtype, seed=12)]),
}


def same(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a.shape == b.shape and a.tobytes() == b.tobytes()


class Company:
    """A pool, and beside it a stream for each session."""

    def __init__(self, layer, capacity, seed):
        self.layer, self.pool = layer, layer.sessions(capacity)
        self.streams, self.random = {}, np.random.default_rng(seed)
        self.batch_first = getattr(layer, "batch_first", False)

    def open(self):
        session = self.pool.open()
        assert session not in self.streams
        self.streams[session] = self.layer.stream()

    def some(self):
        sessions = [k for k in self.streams if self.random.random() < 0.7]
        self.random.shuffle(sessions)
        return sessions or list(self.streams)[:1]

    def step(self):
        sessions = self.some()
        x = self.random.normal(size=(len(sessions), 3)).astype(self.layer.dtype)
        y = self.pool.step(np.array(sessions) if self.random.random() < 0.5 else sessions, x)
        for i, k in enumerate(sessions):
            assert same(y[i], self.streams[k](x[i]))

    def step_one(self):
        (k,) = self.random.choice(list(self.streams), 1)
        steps = self.random.integers(1, 300)
        x = self.random.normal(size=(steps, 3)).astype(self.layer.dtype)
        assert same(self.pool.step(int(k), x), self.streams[k](x))
        assert same(self.pool.step(k, x[0]), self.streams[k](x[0]))

    def chunk(self):
        sessions = self.some()
        x = self.random.normal(size=(9, len(sessions), 3)).astype(self.layer.dtype)
        lengths = self.random.integers(0, 10, len(sessions))
        laid = np.swapaxes(x, 0, 1) if self.batch_first else x
        y = self.pool.step(sessions, laid, lengths)
        y = np.swapaxes(y, 0, 1) if self.batch_first else y
        for i, (k, n) in enumerate(zip(sessions, lengths, strict=True)):
            if n:
                assert same(np.ascontiguousarray(y[:n, i]), self.streams[k](x[:n, i].copy()))
            assert not y[n:, i].any()

    def change(self):
        k = self.random.choice(list(self.streams))
        match self.random.integers(6):
            case 0:
                self.pool.close(k)
                del self.streams[k]
            case 1:
                self.pool.reset(k)
                self.streams[k].reset()
            case 2:
                state = self.streams[k].state
                other = self.layer.stream()
                other.state = state
                self.pool.set_state(k, state)
                self.streams[k] = other
            case 3:
                self.pool.reserve(self.pool.capacity + 1)
            case 4:
                saved = pickle.loads(pickle.dumps(self.pool.save_state()))
                self.pool = self.layer.sessions(1)
                self.pool.open()
                self.pool.load_state(saved)

    def run(self, rounds):
        for _ in range(rounds):
            while len(self.pool) < min(40, self.pool.capacity) and self.random.random() < 0.7:
                self.open()
            if not self.streams:
                self.open()
            self.step()
            self.step_one()
            self.chunk()
            self.change()
            assert self.pool.sessions == sorted(self.streams)
            assert all(same(self.pool.state(k), s.state) for k, s in self.streams.items())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_sessions_are_streams(name, dtype):
    Company(MODELS[name](dtype), 12, 1).run(12)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("name", ["gru", "chain"])
def test_few_bits(name, precision):
    Company(MODELS[name](np.float32).quantize(precision), 12, 2).run(12)


def test_more_sessions_than_go_forward_at_once():
    Company(LSTM(3, 40, seed=1), 1000, 3).run(3)
    layer = GRU(3, 20, seed=2)
    pool, batch = layer.sessions(700), layer.stream(700)
    sessions = [pool.open() for _ in range(700)]
    x = np.random.default_rng(4).normal(size=(5, 700, 3)).astype(np.float32)
    assert same(pool.step(sessions, x), batch(x))


def test_a_pool_keeps_the_weights_of_its_moment():
    layer = GRU(3, 5, seed=1)
    pool, stream = layer.sessions(1), layer.stream()
    with layer.editing() as weights:
        weights["weight_hh_l0"] *= 2
    x = np.ones((4, 3), np.float32)
    assert same(pool.step(pool.open(), x), stream(x))
    assert not same(stream(x), layer.stream()(x))


def test_threads_step_sessions_of_their_own():
    layer = GRU(3, 33, seed=1)
    pool = layer.sessions(4)
    wrong = []

    def work(seed):
        random = np.random.default_rng(seed)
        for life in range(10):
            pool.reserve(12 + life)
            sessions = [pool.open() for _ in range(3)]
            streams = [layer.stream() for _ in sessions]
            for _ in range(20):
                x = random.normal(size=(4, 3, 3)).astype(np.float32)
                y = pool.step(sessions, x)
                wrong.extend(
                    seed
                    for i, s in enumerate(streams)
                    if not same(np.ascontiguousarray(y[:, i]), s(x[:, i].copy()))
                )
            for k in sessions:
                pool.close(k)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(pool) == 0


def test_one_session_in_two_threads_is_refused_or_in_turn():
    layer = GRU(3, 64, seed=1)
    pool = layer.sessions(1)
    k = pool.open()
    done = []

    def work():
        for _ in range(200):
            try:
                pool.step(k, np.ones((20, 3), np.float32))
                done.append(20)
            except RuntimeError as error:
                if "in use by another call" not in str(error):
                    raise

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    stream = layer.stream()
    stream(np.ones((sum(done), 3), np.float32))
    assert same(pool.state(k), stream.state)


def test_sessions_move_to_another_process(tmp_path):
    layer = LSTM(3, 6, seed=5)
    pool = layer.sessions(9)
    sessions = [pool.open() for _ in range(5)]
    pool.close(sessions.pop(1))
    x = np.random.default_rng(6).normal(size=(4, 3)).astype(np.float32)
    pool.step(sessions, x)
    gru_native.save(layer, tmp_path / "model.safetensors")
    np.savez(tmp_path / "sessions.npz", x=x, **pool.save_state())
    program = f"""
import gru_native, numpy as np
saved = dict(np.load({str(tmp_path / "sessions.npz")!r}))
x = saved.pop("x")
pool = gru_native.load({str(tmp_path / "model.safetensors")!r}).sessions(1)
pool.load_state(saved)
print(pool.step(pool.sessions, x).tobytes().hex(), pool.sessions, pool.open())
"""
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    there, rest = out.stdout.split(" ", 1)
    assert bytes.fromhex(there) == pool.step(sessions, x).tobytes()
    ids, new = rest.rsplit(" ", 1)
    assert ids == str(sessions)
    assert int(new) not in [*sessions, 1]


@pytest.fixture
def pool():
    pool = GRU(3, 5, seed=1).sessions(3)
    pool.open(), pool.open()
    pool.step([0, 1], np.ones((2, 3), np.float32))
    return pool


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([0, 0], X), ValueError, r"sessions\[1\] is 0; expected each session once"),
        (([0, 2], X), ValueError, r"sessions\[1\] is 2; expected the id of an open session"),
        (([0, -1], X), ValueError, r"sessions\[1\] is -1"),
        ((7, X[0]), ValueError, "sessions is 7"),
        ((2**80, X[0]), ValueError, "sessions is -1"),
        (([2**62, 0], X), ValueError, "expected the id of an open session"),
        (([], X), ValueError, "sessions is empty"),
        (([[0, 1]], X), ValueError, r"sessions has shape \(1, 2\)"),
        (("ab", X), TypeError, "sessions"),
        (([0.5, 1], X), TypeError, "sessions"),
        ((True, X[0]), TypeError, "sessions"),
        ((None, X), TypeError, "sessions"),
        (
            ([0, 1], X[:1]),
            ValueError,
            r"x has shape \(1, 3\); expected \(sessions=2, input_size=3\)",
        ),
        (([0, 1], X[:, :2]), ValueError, "input_size=3"),
        (([0, 1], X[None, :, :2]), ValueError, "input_size=3"),
        (([0, 1], X[None][:0]), ValueError, "at least one step"),
        (([0, 1], X.astype(np.float64)), TypeError, "x has dtype float64"),
        (([0, 1], X[None], [1]), ValueError, "lengths has shape"),
        (([0, 1], X[None], [1, 2]), ValueError, r"lengths\[1\] is 2"),
        (([0, 1], X[None], [1, -1]), ValueError, r"lengths\[1\] is -1"),
        ((0, X, [1]), ValueError, "lengths was given"),
    ],
)
def test_wrong_calls_change_nothing(pool, arguments, error, text):
    before = [pool.state(0), pool.state(1)]
    with pytest.raises(error, match=text):
        pool.step(*arguments)
    assert same(pool.state(0), before[0])
    assert same(pool.state(1), before[1])
    pool.step([1, 0], X)  # nobody has them in hand


def test_other_errors(pool):
    layer = GRU(3, 5, seed=1)
    for capacity, error in [
        (0, ValueError),
        (-1, ValueError),
        (2**60, ValueError),
        ("a", TypeError),
    ]:
        with pytest.raises(error, match="capacity"):
            layer.sessions(capacity)
        with pytest.raises(error, match="capacity"):
            pool.reserve(capacity)
    with pytest.raises(ValueError, match="bidirectional"):
        GRU(3, 5, bidirectional=True).sessions(2)
    pool.open()
    with pytest.raises(RuntimeError, match="all 3 sessions of the pool are open"):
        pool.open()
    pool.close(1)
    for call in (pool.close, pool.reset, pool.state, lambda k: pool.set_state(k, None)):
        with pytest.raises(ValueError, match="session is 1; expected the id of an open session"):
            call(1)
        with pytest.raises(TypeError, match="session"):
            call("a")
    assert pool.open() not in (0, 1, 2)
    with pytest.raises(ValueError, match="state has shape"):
        pool.set_state(0, np.zeros((1, 1, 4), np.float32))


def test_states_that_are_none_of_the_pool(pool):
    saved = pool.save_state()
    wrong = [
        (
            {**saved, "capacity": 50, "sessions": [0, 99]},
            ValueError,
            r"saved\['sessions'\]\[1\] is 99; expected an id that a pool of 50 sessions",
        ),
        (
            {**saved, "sessions": [0, 0]},
            ValueError,
            r"^saved: sessions\[1\] is 0; .* each session once",
        ),
        ({**saved, "sessions": [-1, 0]}, ValueError, r"sessions'\]\[0\] is -1"),
        ({**saved, "sessions": [2**63 - 1, 0]}, ValueError, r"sessions'\]\[0\]"),
        ({**saved, "sessions": [0]}, ValueError, r"^saved\['states'\] has shape"),
        ({**saved, "states": saved["states"][:, 1:]}, ValueError, "has shape"),
        ({**saved, "states": saved["states"].astype(np.float64)}, TypeError, "states"),
        ({**saved, "capacity": -1}, ValueError, "capacity"),
        ({"sessions": [0]}, TypeError, "save_state"),
        (5, TypeError, "saved is an int"),
    ]
    for bad, error, text in wrong:
        with pytest.raises(error, match=text):
            pool.load_state(bad)
        assert pool.sessions == [0, 1]
        assert pool.capacity == saved["capacity"]
        assert same(pool.save_state()["states"], saved["states"])


@pytest.mark.parametrize("before", [0, 2**31 - 2, 2**31 - 1])
def test_no_saved_ids_use_a_pool_up(pool, before):
    """They may say that any number of sessions had their places before."""
    saved = pool.save_state()
    pool.load_state({**saved, "sessions": np.array([(before << 32) + 1, before << 32])})
    seen = set(pool.sessions)
    for _ in range(3):
        for _ in range(pool.capacity - len(pool)):
            session = pool.open()
            assert session not in seen
            seen.add(session)
        for session in pool.sessions:
            pool.close(session)


def test_a_class_of_ones_own_has_its_own_step():
    layer = GRU(3, 5, seed=1)

    class Doubled(gru_native.SessionPool):
        def step(self, sessions, x, lengths=None):
            return 2 * super().step(sessions, x, lengths)

    pool, doubled = layer.sessions(2), Doubled(layer._core, layer.dtype, 2)
    x = np.ones(3, np.float32)
    assert same(doubled.step(doubled.open(), x), 2 * pool.step(pool.open(), x))
