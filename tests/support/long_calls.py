"""Calls of every kind that take as long as one likes, and the objects that they are calls of."""

import time

import numpy as np

import gru_native
from gru_native import decoding, losses

random = np.random.default_rng(0)


def numbers(*shape):
    return random.standard_normal(shape, np.float32)


# Each is a function make(n): a call whose time grows with n.


def recurrent(layer, batch=1, training=False, backward=False):
    def make(n):
        x = numbers(n, batch, layer.input_size)
        if not training:
            return lambda: layer(x)[0]
        if not backward:
            return lambda: layer.forward(x)[0]
        y, _, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight_hh_l0"]

    return make


def quantized(n):
    layer = gru_native.LSTM(8, 1024, seed=1).quantize("int8")
    return recurrent(layer)(n)


def all_or_nothing(run, state, begin_anew):
    """run(), after which state() is that of the whole call or, if it ends early, perhaps that of
    before; then begin_anew()."""
    begin_anew()
    run()
    whole = state()

    def call():
        begin_anew()
        before = state()
        try:
            return run()
        finally:
            now = state()
            assert any(np.array_equal(now, other) for other in (before, whole))

    return call


def stream(n):
    own = gru_native.LSTM(8, 1024, seed=1).stream()
    x = numbers(n, 8)
    return all_or_nothing(lambda: own(x), lambda: np.array(own.state), own.reset)


def sessions(layer, steps=None):
    """A chunk of n steps of 200 sessions; or of n sessions so many steps."""

    def make(n):
        count = 200 if steps is None else n
        pool = layer.sessions(count)
        ids = [pool.open() for _ in range(count)]
        x = numbers(n if steps is None else steps, count, 8)
        pool.step(ids, x[:1])  # so that states are no zeros
        begun = pool.save_state()
        return all_or_nothing(
            lambda: pool.step(ids, x),
            lambda: pool.save_state()["states"],
            lambda: pool.load_state(begun),
        )

    return make


def chain(n):
    own = gru_native.Chain([gru_native.GRU(8, 1024, seed=1), gru_native.Dense(1024, 8, seed=2)])
    x = numbers(n, 1, 8)
    return lambda: own(x)[0]


def dense(backward=False):
    layer = gru_native.Dense(2048, 2048, activation="tanh", seed=1)

    def make(n):
        x = numbers(max(n // 8, 1), 8, 2048)
        if not backward:
            return lambda: layer(x)
        y, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight"]

    return make


def one_step(backward=False):  # of many rows: what is one piece to the time loop
    layer = gru_native.GRU(8, 1024, seed=1)

    def make(n):
        x = numbers(2, n, 8)
        if not backward:
            return lambda: layer(x)[0]
        y, _, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight_hh_l0"]

    return make


def rtrl(n):
    own = gru_native.RTRL(gru_native.GRU(n, n, seed=1))
    x = numbers(n)
    return all_or_nothing(lambda: own(x), lambda: own.state, own.reset)


def output_rnn(forced=False, backward=False):
    layer = gru_native.OutputRNN(8, 1024, 64, seed=1)

    def make(n):
        x, targets = numbers(n, 2, 8), numbers(n, 2, 64)
        if not backward:
            return lambda: layer(x, targets=targets if forced else None)[0]
        y, _, tape = layer.forward(x, targets=targets)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight_ih"]

    return make


def decoder(attention, backward=False):
    layer = gru_native.AttentionDecoder(1000, 64, 256, 128, attention=attention, seed=1)

    def make(n):
        targets, memory = random.integers(0, 1000, (n, 4)), numbers(200, 4, 128)
        if not backward:
            return lambda: layer(targets, memory)[0]
        logits, _, tape = layer.forward(targets, memory)
        return lambda: layer.backward(tape, logits).weights["weight_output"]

    return make


def generate(n):
    layer, memory = gru_native.AttentionDecoder(1000, 64, 256, 128, seed=1), numbers(200, 4, 128)
    layer.load_state_dict({"bias_output": np.float32([-np.inf, *[0.0] * 999])}, strict=False)
    return lambda: layer.generate(memory, start=1, end=0, max_steps=n, beam_size=4)[0][0].ids


def decoder_stream(n):  # one step of many sequences
    own = gru_native.AttentionDecoder(1000, 64, 256, 128, seed=1).stream(numbers(20, n, 128))
    return all_or_nothing(lambda: own([0] * n), lambda: own.state.context, own.reset)


def trees(backward=False, nary=False):
    layer = (
        gru_native.NaryTreeLSTM(8, 512, 2, seed=1)
        if nary
        else gru_native.ChildSumTreeLSTM(8, 512, seed=1)
    )

    def make(n):
        parents = [(i - 1) // 2 if i else -1 for i in range(n)]
        slots = {"slots": [(i + 1) % 2 for i in range(n)]} if nary else {}
        x = numbers(n, 8)
        if not backward:
            return lambda: layer(x, parents, **slots)[0]
        h, _, tape = layer.forward(x, parents, **slots)
        dh = numbers(*h.shape)
        return lambda: layer.backward(tape, dh).weights["weight_ih"]

    return make


def graph(backward=False):
    layer = gru_native.GatedGraph(256, 6, seed=1)

    def make(n):
        x, edges = numbers(n, 8), np.array([range(n), [(i + 1) % n for i in range(n)]])
        if not backward:
            return lambda: layer(x, edges)
        h, tape = layer.forward(x, edges)
        dh = numbers(*h.shape)
        return lambda: layer.backward(tape, dh).weights["weight_hh"]

    return make


def readout(backward=False):
    layer = gru_native.GraphSum(512, 8, 512, seed=1)

    def make(n):
        h, x = numbers(n, 512), numbers(n, 8)
        if not backward:
            return lambda: layer(h, x)
        y, tape = layer.forward(h, x)
        dy = numbers(*y.shape)
        return lambda: next(iter(layer.backward(tape, dy).weights.values()))

    return make


def grconv(backward=False):
    layer = gru_native.GatedRecursiveConv(8, 512, seed=1)

    def make(n):
        x = numbers(60, n, 8)
        if not backward:
            return lambda: layer(x)
        y, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: next(iter(layer.backward(tape, dy).weights.values()))

    return make


def ctc(steps, labels):
    def make(n):
        logits, targets = numbers(steps, n, 30), random.integers(1, 30, (n, labels))
        return lambda: losses.ctc(logits, targets, [steps] * n, [labels] * n)[1]

    return make


def transducer(n):
    logits, targets = numbers(n, 100, 41, 50), random.integers(1, 50, (n, 40))
    return lambda: losses.transducer(logits, targets, [100] * n, [40] * n)[1]


def ctc_beam(n):
    logits = numbers(200, n, 100)
    return lambda: decoding.ctc_beam(logits, beam_size=40)[0][0].ids


def cross_entropy(n):
    logits, targets = numbers(n, 3), random.integers(0, 3, n)  # few classes: little memory
    return lambda: losses.cross_entropy(logits, targets)[1]


CASES = {
    "lstm": recurrent(gru_native.LSTM(8, 1024, seed=1)),
    "gru_of_small_size": recurrent(gru_native.GRU(3, 5, seed=1)),
    "layer_norm": recurrent(gru_native.LSTM(8, 512, layer_norm=True, seed=1)),
    "projection": recurrent(gru_native.LSTM(8, 1024, proj_size=256, seed=1), batch=4),
    "reset_before": recurrent(gru_native.GRU(8, 1024, reset_after=False, seed=1), batch=4),
    "two_directions": recurrent(gru_native.GRU(8, 512, 2, bidirectional=True, seed=1), batch=2),
    "large_input": recurrent(gru_native.RNN(4096, 1024, seed=1)),
    "forward": recurrent(gru_native.GRU(8, 512, seed=1), batch=4, training=True),
    "backward": recurrent(gru_native.LSTM(8, 512, seed=1), batch=4, training=True, backward=True),
    "one_step": one_step(),
    "one_step_backward": one_step(backward=True),
    "quantized": quantized,
    "stream": stream,
    "sessions": sessions(gru_native.LSTM(8, 256, seed=1)),
    "sessions_of_two_steps": sessions(gru_native.GRU(8, 256, 2, seed=1), steps=2),
    "chain": chain,
    "dense": dense(),
    "dense_backward": dense(backward=True),
    "rtrl": rtrl,
    "output_rnn": output_rnn(),
    "output_rnn_forced": output_rnn(forced=True),
    "output_rnn_backward": output_rnn(backward=True),
    "decoder": decoder("location"),
    "decoder_backward": decoder("additive", backward=True),
    "generate": generate,
    "trees": trees(),
    "trees_backward": trees(backward=True),
    "nary_trees": trees(nary=True),
    "graph": graph(),
    "graph_backward": graph(backward=True),
    "readout": readout(),
    "readout_backward": readout(backward=True),
    "grconv": grconv(),
    "grconv_backward": grconv(backward=True),
    "ctc": ctc(500, 200),
    "ctc_of_short_sequences": ctc(8, 3),
    "ctc_beam": ctc_beam,
    "transducer": transducer,
    "cross_entropy": cross_entropy,
}


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def long_call(name, lasting, make=None):
    """The call at a size that takes so many seconds; its time."""
    make = make or CASES[name]
    if name == "rtrl":  # whose time grows with the fourth power, and memory with the third
        call = make(400)
        return call, seconds(call)
    n = 16
    while True:
        call = make(n)
        took = min(seconds(call), seconds(call))
        if took > 0.05:
            break
        n *= 2
    factor = lasting / took
    return make(int(n * factor)), factor * took
