"""Arrays that another thread refills while a call reads them, and arrays that lie oddly in memory.

A call may then compute anything or raise, but memory stays whole. Each program runs in a process of
its own, since what it looks for is the end of that process.
"""

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits, run_python

PROGRAM = """
import sys, threading, time
import numpy as np
import gru_native

kind, seconds = sys.argv[1], float(sys.argv[2])
rng = np.random.default_rng(1)
n = 400

def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)

def whole(low, high, shape):
    return rng.integers(low, high, shape)

# buffer: reused from call to call; good: what it may hold; call: reads it.
if kind in ("mask", "lengths"):
    layer = gru_native.LSTM(3, 4, bidirectional=True)
    x = floats(n, 5, 3)
    if kind == "mask":
        buffer, good = np.ones((n, 5), bool), [rng.random((n, 5)) < 0.5, np.ones((n, 5), bool)]
        def call():
            tape = layer.forward(x, mask=buffer, masked_output="hold")[2]
            layer.backward(tape, np.ones((n, 5, 8), np.float32))
    else:
        buffer, good = np.full(5, n), [whole(0, n + 1, 5), np.full(5, -(2**62)), np.full(5, 2**62)]
        def call():
            layer(x, lengths=buffer)
            gru_native.GatedRecursiveConv(3, 4)(x[:20], lengths=np.minimum(buffer, 20))
            gru_native.OutputRNN(3, 4, 2)(x, lengths=buffer)
            gru_native.Dense(3, 2)(x, lengths=buffer)
elif kind in ("parents", "slots"):
    chain, slots = np.arange(1, n + 1), np.arange(n)
    chain[-1] = -1
    x = floats(n, 3)
    star = np.full(n, n - 1)
    star[-1] = -1
    wild = whole(-(2**60), 2**60, n)
    if kind == "parents":
        buffer, good = chain.copy(), [chain, star, wild]
        def call():
            tape = gru_native.ChildSumTreeLSTM(3, 4).forward(x, buffer)[2]
    else:
        layer = gru_native.NaryTreeLSTM(3, 4, arity=n)
        buffer, good = slots.copy(), [slots, slots[::-1], np.zeros(n, int), wild]
        def call():
            layer(x, star, buffer)
elif kind == "targets":
    from gru_native import losses
    buffer, wild = np.ones((4, 25), np.int64), whole(-(2**60), 2**60, (4, 25))
    good = [whole(1, 9, (4, 25)), np.ones((4, 25), np.int64), whole(0, 25, (4, 25)), wild]
    rows, lattice, seq = floats(4, 25, 9), floats(4, 6, 26, 9), floats(30, 4, 9)
    short = floats(4, 25, 3)
    layers = [losses.SampledSoftmax(3, 9, 4), losses.ClassSoftmax(3, 9), losses.TreeSoftmax(3, 9)]
    calls_of = [
        lambda: losses.cross_entropy(rows, buffer),
        lambda: losses.ctc(seq, buffer, np.full(4, 30), buffer[:, 0]),
        lambda: losses.ctc(seq, buffer, buffer[:, 1], buffer[:, 0]),
        lambda: losses.transducer(lattice, buffer, np.full(4, 6), buffer[:, 0]),
        lambda: losses.transducer(lattice, buffer, buffer[:, 1], buffer[:, 0]),
    ]
    for own in layers:
        calls_of.append(lambda own=own: own.backward(own.forward(short, buffer)[1]))
        calls_of.append(lambda own=own: own.log_probability(short, buffer))
elif kind == "tokens":
    buffer, wild = np.ones((25, 4), np.int64), whole(-(2**60), 2**60, (25, 4))
    good = [whole(0, 9, (25, 4)), np.tile(np.arange(1, 9, 2), (25, 1)), wild]
    decoder, memory = gru_native.AttentionDecoder(9, 2, 3, 3, attention="location"), floats(9, 4, 3)
    table = gru_native.Embedding(9, 3)
    chain = gru_native.Chain([table, gru_native.Conv1d(3, 3, 2), gru_native.GRU(3, 2)])
    def decode():
        lengths = {"memory_lengths": buffer[0], "lengths": buffer[1]}
        logits, _, tape = decoder.forward(buffer, memory, **lengths)
        decoder.backward(tape, logits)
    def embed():
        y, tape = table.forward(buffer)
        table.backward(tape, y)
    def learn():
        y, _, tape = chain.forward(buffer)
        chain.backward(tape, y)
    sgd = gru_native.optim.SGD(table)
    some = floats(25, 3)
    pool = gru_native.GRU(3, 2).sessions(9)
    for _ in range(9):
        pool.open()
    calls_of = [
        decode,
        embed,
        learn,
        lambda: sgd.step({"weight": gru_native.RowGradient(buffer[0], some[:4])}),
        lambda: pool.step(buffer[0], some[:4]),
        lambda: pool.step(np.arange(4), floats(9, 4, 3), buffer[0]),
        lambda: pool.load_state({"capacity": 9, "sessions": buffer[0], "states": some[:4, :2]}),
    ]
elif kind == "numbers":  # ids of streams, and what is sorted
    from gru_native import decoding
    buffer, wild = np.ones((25, 4), np.float32), floats(25, 4) * np.float32(1e30)
    good = [whole(0, 9, (25, 4)), wild, np.full((25, 4), np.nan), floats(25, 4)]
    stream = gru_native.Chain([gru_native.Embedding(9, 3), gru_native.GRU(3, 2)]).stream()
    joint = decoding.TransducerJoint(gru_native.GRU(5, 4), gru_native.Dense(8, 5))
    labels, softmax = joint.stream(), gru_native.losses.TreeSoftmax(4, 30)
    calls_of = [
        lambda: stream(buffer.reshape(-1, 1)),
        lambda: decoding.ctc_beam(buffer),
        lambda: decoding.ctc_greedy(buffer),
        lambda: decoding.transducer_beam(joint, buffer),
        lambda: labels(buffer),
        lambda: softmax.top_k(buffer, 7),
    ]
elif kind in ("edge_index", "edge_type"):
    layer = gru_native.GatedGraph(4, num_steps=2, num_edge_types=3)
    x, index = floats(n, 4), whole(0, n, (2, 5 * n))
    kinds, wild = whole(0, 3, 5 * n), whole(-(2**60), 2**60, 5 * n)
    if kind == "edge_index":
        wild = np.stack([wild, wild])
        buffer, good = index.copy(), [index, index[::-1], np.zeros_like(index), wild]
        def call():
            layer(x, buffer, kinds)
    else:
        buffer, good = kinds.copy(), [kinds, kinds[::-1], wild]
        def call():
            layer(x, index, buffer)
else:
    layer = gru_native.GraphSum(4, 2, 3)
    h, x = floats(n, 4), floats(n, 2)
    buffer, good = np.zeros(n, int), [whole(0, n, n), np.zeros(n, int), whole(-(2**60), 2**60, n)]
    def call():
        layer(h, x, buffer, n)

if kind in ("targets", "tokens", "numbers"):
    turn = 0
    def call():
        global turn
        turn += 1
        calls_of[turn % len(calls_of)]()

calls, refused, end = 0, 0, time.monotonic() + seconds
sys.setswitchinterval(1e-5)

def refill():
    while time.monotonic() < end:
        for values in good:
            buffer[...] = values

threads = [threading.Thread(target=refill) for _ in range(2)]
for thread in threads:
    thread.start()
while time.monotonic() < end or calls + refused < 20:
    try:
        call()
        calls += 1
    except ValueError:
        refused += 1
for thread in threads:
    thread.join()
print(calls, refused)
"""


@pytest.mark.parametrize(
    "kind",
    [
        *("mask", "lengths", "parents", "slots", "edge_index", "edge_type", "graph"),
        *("targets", "tokens", "numbers"),
    ],
)
def test_refilled_during_calls(kind):
    done = run_python(PROGRAM, kind, 1.0)
    assert done.returncode == 0, f"{kind}: {done.returncode}\n{done.stderr}"
    assert sum(map(int, done.stdout.split())) >= 20


def misaligned(array):
    """The same numbers at an odd address."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


ODD = {
    "misaligned": misaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "negative strides": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "Fortran order": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_that_lie_oddly_in_memory(odd, dtype):
    rng = np.random.default_rng(3)
    oddly = ODD[odd]

    def floats(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def same(call, *arrays):
        expected = call(*arrays)
        actual = call(*map(oddly, arrays))
        for e, a in zip(expected, actual, strict=True):
            assert_same_bits(a, e)

    layer = gru_native.LSTM(3, 5, dtype=dtype, seed=1)
    x, h, c, dy = floats(7, 4, 3), floats(1, 4, 5), floats(1, 4, 5), floats(7, 4, 5)
    lengths, mask = np.array([7, 3, 0, 5]), rng.random((7, 4)) < 0.5

    def run(x, h, c, dy, lengths, mask):
        y, state, tape = layer.forward(x, (h, c), lengths=lengths, mask=mask)
        grads = layer.backward(tape, dy, (h, c))
        return [y, *state, grads.x, *grads.state, *grads.weights.values()]

    expected = run(x, h, c, dy, lengths, mask)
    odd_mask = mask if odd in ("misaligned", "byte-swapped") else oddly(mask)
    actual = run(*map(oddly, (x, h, c, dy, lengths)), odd_mask)
    for e, a in zip(expected, actual, strict=True):
        assert_same_bits(a, e)

    weights = layer.state_dict()
    layer.load_state_dict({name: oddly(w) for name, w in weights.items()})
    for name, w in layer.weights.items():
        assert_same_bits(w, weights[name], name)

    stream = layer.stream(4)
    same(lambda x: [stream(x), stream.reset()][:1], floats(2, 4, 3))

    tree = gru_native.NaryTreeLSTM(3, 4, arity=2, dtype=dtype, seed=1)
    same(tree, floats(5, 3), np.array([2, 2, 4, 4, -1]), np.array([0, 1, 0, 1, 0]))
    graph = gru_native.GatedGraph(4, num_steps=2, num_edge_types=2, dtype=dtype, seed=1)
    edges, kinds = rng.integers(0, 6, (2, 9)), rng.integers(0, 2, 9)
    same(lambda *arrays: [graph(*arrays)], floats(6, 4), edges, kinds)
    same(lambda x, a: [graph(x, adjacency=a)], floats(2, 3, 4), floats(2, 3, 12))
    readout = gru_native.GraphSum(4, 2, 3, dtype=dtype, seed=1)
    same(
        lambda *arrays: [readout(*arrays)], floats(6, 4), floats(6, 2), np.array([0, 0, 1, 1, 0, 2])
    )


def test_a_mask_of_bytes_that_are_no_bools():
    """What views of other memory can hold: any byte but 0 counts as True."""
    bytes_ = np.array([[0], [2], [255], [0]], np.uint8)
    layer = gru_native.GRU(2, 3, seed=1)
    x = np.random.default_rng(1).standard_normal((4, 1, 2)).astype(np.float32)
    assert_same_bits(layer(x, mask=bytes_.view(bool))[0], layer(x, mask=bytes_ != 0)[0])
    rtrl = gru_native.RTRL(layer, 4)
    rtrl(np.ones((4, 2), np.float32))
    before = rtrl.state
    rtrl.reset_rows(bytes_[:, 0].view(bool))
    np.testing.assert_array_equal(rtrl.state, before * (bytes_[:, 0] == 0)[:, None])
