"""What the fuzzer of the API calls: an object of every kind, with right arguments for its calls."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import gru_native as gn

FUNCTIONS = ("tanh", "relu", "sigmoid", "identity", "softsign", ("leaky_relu", 0.1), "hard_sigmoid")


@dataclass
class Subject:
    """An object and its calls by name: the right arguments of each."""

    thing: Any
    calls: dict[str, dict[str, Any]]
    has_state: bool  # that its calls change
    copies: bool = True

    def call(self, thing, name, given):
        if name == "editing":
            with thing.editing() as weights:
                if not isinstance(given["mapping"], dict):
                    return None
                for key, value in given["mapping"].items():
                    weights[key] = value
            return None
        if name == "state":
            thing.state = given["state"]
            return thing.state
        if name == "backward":
            given = dict(given)
            return thing.backward(given.pop("tape"), **given)
        if name == "make":
            return thing(**given)
        return getattr(thing, name)(**given) if name != "call" else thing(**given)

    def look(self):
        """All that a call that fails must leave alone, as bytes."""
        thing = self.thing
        if isinstance(thing, type) or (not hasattr(thing, "__dict__") and callable(thing) is False):
            return b""
        parts = []
        if hasattr(thing, "weights"):
            parts += [w.tobytes() for w in thing.weights.values()]
        if isinstance(thing, gn.RTRL):
            parts += [g.tobytes() for g in thing.gradients.values()]
        if hasattr(thing, "save_state"):
            saved = thing.save_state()
            parts.append(repr(saved["sessions"]).encode() + _flat(saved["states"]))
        elif hasattr(thing, "state"):
            parts.append(_flat(thing.state))
        return b"".join(parts)


def _flat(state):
    if isinstance(state, np.ndarray):
        return state.tobytes()
    parts = state.values() if isinstance(state, dict) else state
    return b"".join(map(_flat, parts)) if isinstance(state, (tuple, list, dict)) else b""


# --- right arguments


def _numbers(rnd, *shape, dtype=np.float32):
    return np.random.default_rng(rnd.getrandbits(32)).standard_normal(shape).astype(dtype)


def _extent(rnd):
    return rnd.randrange(1, 5), rnd.randrange(1, 4)


def _some(rnd, **options):
    """Some of these options, each with one of its values."""
    return {name: rnd.choice(values) for name, values in options.items() if rnd.randrange(3) == 0}


def _recurrent(rnd, streams=False, **fixed):
    dtype = rnd.choice((np.float32, np.float32, np.float64))
    kind = rnd.choice((gn.RNN, gn.GRU, gn.LSTM))
    flags = (True, False)
    options = {"dtype": dtype, "seed": rnd.randrange(9)}
    options |= _some(rnd, bias=flags, batch_first=flags, zoneout=(0.0, 0.2), dropout=(0.0, 0.5))
    if not streams:
        options |= _some(rnd, bidirectional=flags)
    if kind is gn.RNN:
        options |= _some(rnd, nonlinearity=FUNCTIONS)
    elif kind is gn.GRU:
        options |= _some(rnd, reset_after=flags, candidate_activation=FUNCTIONS)
        options |= _some(rnd, gate_activation=FUNCTIONS)
    else:
        options |= _some(rnd, proj_size=(1, 2), peephole=flags, coupled_gates=flags)
        options |= _some(rnd, output_gate=flags, output_activation=FUNCTIONS, cell_clip=(None, 2.0))
    options |= fixed
    sizes = rnd.randrange(1, 6), rnd.randrange(3, 8), rnd.randrange(1, 3)
    try:
        return kind(*sizes, **options)
    except ValueError:  # options that exclude each other
        return kind(*sizes, dtype=options["dtype"], seed=0)


def _outputs(layer):
    if isinstance(layer, gn.Dense):
        return layer.output_size
    y, _ = layer(np.zeros((1, layer.input_size), layer.dtype))
    return y.shape[-1]


def _sequences(rnd, layer):
    """Arguments of a call, and what backward gets."""
    seq, batch = _extent(rnd)
    order = (batch, seq) if layer.batch_first else (seq, batch)
    x = _numbers(rnd, *order, layer.input_size, dtype=layer.dtype)
    lengths = np.array([rnd.randrange(seq + 1) for _ in range(batch)])
    mask = np.array([[rnd.randrange(2) == 0 for _ in range(order[1])] for _ in range(order[0])])
    return x, lengths, mask


def layers(rnd):
    layer = _recurrent(rnd)
    x, lengths, mask = _sequences(rnd, layer)
    y, state, tape = layer.forward(x, lengths=lengths)
    given = {"x": x, "state": state, "lengths": lengths, "mask": mask, "masked_output": "hold"}
    calls = {"call": given, "forward": {**given, "training": False}}
    calls["backward"] = {"tape": tape, "dy": y, "dstate": state}
    calls["stream"] = {"batch_size": 2}
    calls["quantize"] = {"precision": "int8"}
    return Subject(layer, calls, False)


def quantized(rnd):
    layer = _recurrent(rnd, dtype=np.float32).quantize(rnd.choice(("int8", "bf16")))
    x, lengths, mask = _sequences(rnd, layer)
    _, state = layer(x)
    return Subject(layer, {"call": {"x": x, "state": state, "lengths": lengths, "mask": mask}}, 0)


def edits(rnd):
    layer = _recurrent(rnd) if rnd.randrange(2) else _chain(rnd)
    state_dict = {name: 2 * w for name, w in layer.state_dict().items()}
    calls = {"load_state_dict": {"mapping": state_dict, "strict": True}}
    calls["editing"] = {"mapping": state_dict}
    return Subject(layer, calls, True)


def dense(rnd):
    options = _some(rnd, bias=(True, False), activation=("tanh", "softmax", "log_softmax"))
    options |= _some(rnd, batch_first=(True, False))
    layer = gn.Dense(rnd.randrange(1, 6), rnd.randrange(1, 6), seed=0, **options)
    x, lengths, _ = _sequences(rnd, layer)
    y, tape = layer.forward(x, lengths=lengths)
    given = {"x": x, "lengths": lengths}
    calls = {"call": given, "forward": given, "backward": {"tape": tape, "dy": y}}
    return Subject(layer, calls, False)


def _chain(rnd, streams=False):
    first = _recurrent(rnd, streams)
    fixed = {"dtype": first.dtype, "batch_first": first.batch_first}
    blocks = [first, gn.Dense(_outputs(first), 4, seed=1, **fixed)]
    if rnd.randrange(2):
        blocks.append(gn.GRU(4, 3, seed=2, **fixed))
    return gn.Chain(blocks)


def chains(rnd):
    chain = _chain(rnd)
    x, lengths, _ = _sequences(rnd, chain)
    y, state, tape = chain.forward(x, lengths=lengths)
    given = {"x": x, "state": state, "lengths": lengths}
    calls = {"call": given, "forward": {**given, "training": False}}
    calls["backward"] = {"tape": tape, "dy": y, "dstate": state}
    calls["stream"] = {"batch_size": 2}
    return Subject(chain, calls, False)


def streams(rnd):
    layer = _recurrent(rnd, True) if rnd.randrange(2) else _chain(rnd, True)
    if rnd.randrange(4) == 0 and layer.dtype == np.float32:
        layer = layer.quantize("int8")
    seq, batch = _extent(rnd)
    stream = layer.stream(batch)
    order = (batch, seq) if layer.batch_first else (seq, batch)
    x = _numbers(rnd, *order, layer.input_size, dtype=layer.dtype)
    y = stream(x)
    step = x[:, 0] if layer.batch_first else x[0]
    step = step if batch > 1 else step[0]
    calls = {"call": {"x": x, "out": y}, "state": {"state": stream.state}, "reset": {}}
    one_step = Subject(stream, calls, True)
    if rnd.randrange(2):
        one_step.calls["call"] = {"x": step, "out": None}
    one_step.calls.pop("reset")
    return one_step


def sessions(rnd):
    layer = _recurrent(rnd, True) if rnd.randrange(2) else _chain(rnd, True)
    seq, count = _extent(rnd)
    pool = layer.sessions(rnd.randrange(4, 8))
    ids = np.array([pool.open() for _ in range(count)])
    order = (count, seq) if layer.batch_first else (seq, count)
    x = _numbers(rnd, *order, layer.input_size, dtype=layer.dtype)
    lengths = np.array([rnd.randrange(seq + 1) for _ in range(count)])
    pool.step(ids, x)
    one = int(ids[0])
    calls = {
        "step": {"sessions": ids, "x": x, "lengths": lengths},
        "set_state": {"session": one, "state": pool.state(one)},
        "reserve": {"capacity": 3},
        "load_state": {"saved": pool.save_state()},
        "reset": {"session": one},
    }
    return Subject(pool, calls, True, copies=False)


def rtrl(rnd):
    kind, batch = rnd.choice((gn.RNN, gn.GRU, gn.LSTM)), rnd.randrange(1, 3)
    learner = gn.RTRL(kind(2, 3, seed=0), batch)
    x = _numbers(rnd, batch, 2) if batch > 1 else _numbers(rnd, 2)
    y = learner(x)
    calls = {"call": {"x": x}, "gradient": {"dy": y, "dstate": learner.state}}
    calls["state"] = {"state": learner.state}
    return Subject(learner, calls, True)


def output_rnns(rnd):
    layer = gn.OutputRNN(2, 3, 2, seed=0, **_some(rnd, batch_first=(True, False)))
    x, lengths, _ = _sequences(rnd, layer)
    targets = np.zeros((*x.shape[:2], 2), np.float32)
    y, state, tape = layer.forward(x, targets=targets)
    given = {"x": x, "state": state, "targets": targets, "lengths": lengths}
    calls = {"call": given, "forward": given, "backward": {"tape": tape, "dy": y, "dstate": state}}
    return Subject(layer, calls, False)


def grconvs(rnd):
    layer = gn.GatedRecursiveConv(2, 3, seed=0)
    seq, batch = _extent(rnd)
    x, lengths = _numbers(rnd, seq, batch, 2), np.array([rnd.randint(1, seq) for _ in range(batch)])
    y, tape = layer.forward(x, lengths)
    calls = {"call": {"x": x, "lengths": lengths, "return_gates": True}}
    calls |= {"forward": {"x": x, "lengths": lengths}, "backward": {"tape": tape, "dy": y}}
    return Subject(layer, calls, False)


def trees(rnd):
    nodes = rnd.randrange(1, 6)
    x = _numbers(rnd, nodes, 2)
    parents = np.array([rnd.randrange(i + 1, nodes) if i + 1 < nodes else -1 for i in range(nodes)])
    given = {"x": x, "parents": parents}
    layer = gn.ChildSumTreeLSTM(2, 3, seed=0)
    if rnd.randrange(2):
        layer = gn.NaryTreeLSTM(2, 3, nodes, seed=0)
        given["slots"] = np.arange(nodes)
    h, c, tape = layer.forward(**given)
    calls = {"call": given, "forward": given, "backward": {"tape": tape, "dh": h, "dc": c}}
    return Subject(layer, calls, False)


def graphs(rnd):
    options = _some(rnd, aggregate=("concat", "sum"), reset_after=(True, False))
    layer = gn.GatedGraph(3, 2, 2, seed=0, **options)
    nodes, edges = rnd.randrange(1, 5), rnd.randrange(4)
    ends = np.array([[rnd.randrange(nodes) for _ in range(edges)] for _ in range(2)], np.int64)
    kinds = np.array([rnd.randrange(2) for _ in range(edges)], np.int64)
    given = {"annotations": _numbers(rnd, nodes, 2), "edge_index": ends, "edge_type": kinds}
    h, tape = layer.forward(**given)
    dense = {"annotations": _numbers(rnd, 2, nodes, 3)}
    dense["adjacency"] = _numbers(rnd, 2, nodes, 4 * nodes)
    calls = {"forward": given, "call": given, "backward": {"tape": tape, "dh": h}}
    if rnd.randrange(3) == 0:
        calls["call"] = dense
    return Subject(layer, calls, False)


def readouts(rnd):
    nodes = rnd.randrange(1, 5)
    given = {"h": _numbers(rnd, nodes, 3), "annotations": _numbers(rnd, nodes, 2)}
    layer = gn.NodeScores(3, 2, 2, seed=0)
    if rnd.randrange(2):
        layer = gn.GraphSum(3, 2, 2, seed=0)
        given |= {"graph": np.array([rnd.randrange(2) for _ in range(nodes)]), "num_graphs": 2}
    y, tape = layer.forward(**given)
    calls = {"call": given, "forward": given, "backward": {"tape": tape, "dy": y}}
    return Subject(layer, calls, False)


class Functions:
    """The functions of the package, as methods of one object."""

    cross_entropy = staticmethod(gn.losses.cross_entropy)
    ctc = staticmethod(gn.losses.ctc)
    transducer = staticmethod(gn.losses.transducer)
    ctc_greedy = staticmethod(gn.decoding.ctc_greedy)
    ctc_beam = staticmethod(gn.decoding.ctc_beam)
    reset_rows = staticmethod(gn.reset_rows)
    clip_gradients = staticmethod(gn.clip_gradients)


def functions(rnd):
    seq, batch = _extent(rnd)
    labels, classes, dtype = 2, 4, rnd.choice((np.float32, np.float64))
    targets = np.array([[rnd.randrange(1, classes) for _ in range(labels)] for _ in range(batch)])
    steps, ends = np.full(batch, seq), np.full(batch, labels)
    lengths = {"targets": targets, "input_lengths": steps, "target_lengths": ends, "blank": 0}
    rows = {"logits": _numbers(rnd, batch, labels, classes, dtype=dtype), "targets": targets}
    over_time = _numbers(rnd, seq, batch, classes, dtype=dtype)
    lattice = _numbers(rnd, batch, seq, labels + 1, classes, dtype=dtype)
    state = _numbers(rnd, 1, batch, 3)
    calls = {
        "cross_entropy": {**rows, "ignore": -1, "label_smoothing": 0.1},
        "ctc": {"logits": over_time, **lengths},
        "transducer": {"logits": lattice, **lengths},
        "ctc_greedy": {"logits": over_time, "lengths": steps, "blank": 0},
        "ctc_beam": {"logits": over_time, "lengths": steps, "blank": 0, "beam_size": 3},
        "reset_rows": {"state": (state, state), "mask": np.arange(batch) > 0},
        "clip_gradients": {"grads": {"w": state.copy()}, "max_norm": 1.0},
    }
    return Subject(Functions(), {name: calls[name] for name in rnd.sample(list(calls), 2)}, False)


def constructors(rnd):
    kind, sizes = rnd.choice(
        [
            (gn.RNN, {"input_size": 2, "hidden_size": 3, "nonlinearity": "relu"}),
            (gn.GRU, {"input_size": 2, "hidden_size": 3, "reset_after": False, "zoneout": 0.1}),
            (gn.LSTM, {"input_size": 2, "hidden_size": 3, "proj_size": 2, "cell_clip": 1.0}),
            (gn.LSTM, {"input_size": 2, "hidden_size": 3, "peephole": True, "dropout": 0.1}),
            (gn.Dense, {"input_size": 2, "output_size": 3, "activation": "tanh"}),
            (gn.OutputRNN, {"input_size": 2, "hidden_size": 3, "output_size": 2}),
            (gn.NaryTreeLSTM, {"input_size": 2, "hidden_size": 3, "arity": 2}),
            (gn.GatedGraph, {"hidden_size": 3, "num_steps": 2, "num_edge_types": 1}),
            (gn.GraphSum, {"hidden_size": 3, "annotation_size": 2, "output_size": 2}),
            (gn.GatedRecursiveConv, {"input_size": 2, "hidden_size": 3, "activation": "tanh"}),
        ]
    )
    given = {**sizes, "dtype": np.float32, "seed": 1}
    if "cell_clip" in given or "peephole" in given:
        given |= {"gate_activation": ("leaky_relu", 0.1), "bias": True, "bidirectional": False}
    return Subject(kind, {"make": given}, False)


KINDS = (
    *(layers, layers, layers, quantized, edits, dense, chains, streams, streams, sessions, rtrl),
    *(output_rnns, grconvs, trees, graphs, readouts, functions, functions, constructors),
)
