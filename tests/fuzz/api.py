"""Layers of every kind, called with random, mostly hostile arguments.

    python tests/fuzz/api.py --count 20000

A try makes one object (a layer, chain, stream, RTRL, loss, ...) with random options, and calls it
CALLS times. Each call returns, or raises a TypeError or ValueError that names an argument, a
MemoryError, or what the argument itself raised while it was read. After an error the object is as
it was before; some calls are compared bit for bit with those of a copy. Try N alone, with its
traceback: ``--only N``.
"""

import copy
import random
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import fuzzing  # noqa: E402
import fuzzing_arguments as arguments  # noqa: E402
import fuzzing_subjects  # noqa: E402
import fuzzing_words  # noqa: E402

KINDS = (*fuzzing_subjects.KINDS, *fuzzing_words.KINDS)
CALLS = 250
OTHERS = 12  # values beside the right one, for each argument of a try
ALONE = ("backward", "update_statistics", "clip_gradients")  # of one layer's tape; in place
COMPARED = 16  # one of so many calls is compared with that of a copy

NAMES = (
    *("x", "state", "lengths", "mask", "masked_output", "training", "dy", "dstate", "tape", "out"),
    *("targets", "parents", "slots", "annotations", "edge_index", "edge_type", "adjacency", "h"),
    *("graph", "num_graphs", "logits", "input_lengths", "target_lengths", "blank", "ignore"),
    *("label_smoothing", "mapping", "batch_size", "grads", "max_norm", "dh", "dc", "seq_len"),
    *("batch", "nodes", "edges", "graphs", "num_layers", "hidden_size", "input_size", "proj_size"),
    *("output_size", "precision", "seed", "dtype", "bias", "dropout", "zoneout", "labels", "n"),
    *("bidirectional", "batch_first", "cell_clip", "gate_activation", "activation", "num_steps"),
    *("reset_after", "layer_norm", "peephole", "nonlinearity", "candidate_activation", "classes"),
    *("num_edge_types", "aggregate", "arity", "activation_clip", "layer", "strict", "sequence"),
    *("annotation_size", "coupled_gates", "forget_gate", "input_gate", "output_gate", "teacher"),
    *("annotations_size", "nonrecurrent_proj_size", "gate_recurrence", "zoneout_cell", "feedback"),
    *(
        "return_gates",
        "input_activation",
        "output_activation",
        "rows",
        "block",
        "gradients",
        "scale",
        "weights",
    ),
    *("affine", "kind", "ceil_mode", "count_include_pad", "num_features"),
    "learn_initial_state",
    *("sessions", "session", "saved", "states", "capacity", "beam_size", "ids", "k", "dloss"),
    *("memory", "memory_lengths", "dlogits", "vocab_size", "embedding_dim", "memory_size", "cell"),
    *("attention", "attention_size", "num_memories", "input_feeding", "readout", "location_width"),
    *("num_samples", "proposal", "counts", "joint", "encoded", "max_symbols", "prediction", "join"),
    *("output", "embedding", "encoded_size", "num_embeddings", "padding_idx", "normalized_shape"),
    *(
        "eps",
        "elementwise_affine",
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "groups",
    ),
    *("dilation", "padding", "name", "layers", "blocks", "lr", "momentum", "betas", "readout_size"),
    *("start", "end", "max_steps", "length_penalty", "tokens", "return_attention"),
)
NAMED = re.compile(
    rf"^(blocks\[\d+\]: )*(\d+\.)?({'|'.join(NAMES)}|(weight|bias|gain)\w*"
    r"|(the|a bidirectional) layer)\b"
)
# What no error may say: Python's own words, and those of the layer between it and C++.
RAW = re.compile(
    r"'NoneType'|object (has no|is not)|positional|unhashable|unsupported operand"
    r"|not supported between|cannot be interpreted|not iterable|not subscriptable"
    r"|incompatible function arguments|Unable to cast|could not be broadcast"
)


def check(error, name):
    """What kind of error of this call this is; Wrong for one that no call may raise."""
    if isinstance(error, arguments.Own):
        return "raised what the argument raised"
    if isinstance(error, MemoryError):
        return "no memory"
    said = str(error)
    if name == "editing" and isinstance(error, KeyError) and "is no weight of this" in said:
        return "refused"
    if type(error) not in (ValueError, TypeError):
        raise fuzzing.Wrong(f"{type(error).__name__}: {said[:300]}") from error
    if RAW.search(said.split("NumPy cannot read")[0]) or not NAMED.match(said):
        raise fuzzing.Wrong(f"{type(error).__name__} says no name: {said[:300]}") from error
    return "refused"


def bits(value):
    """All numbers in a result, as bytes."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if isinstance(value, dict):
        return tuple((name, bits(part)) for name, part in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(bits, value))
    return value if isinstance(value, (int, float, str)) or value is None else type(value)


@np.errstate(all="ignore")  # float64 lists may overflow float32
def one(rng):
    rnd = random.Random(int(rng.integers(2**62)))
    subject = rnd.choice(KINDS)(rnd)
    before, outcomes = subject.look(), Counter()
    calls = [
        (name, {n: arguments.others(rnd, good, OTHERS) for n, good in given.items()}, given)
        for name, given in subject.calls.items()
    ]
    for _ in range(CALLS):
        name, others, good = rnd.choice(calls)
        given = dict(good)
        for _ in range(rnd.choice((0, 1, 1, 1, 2, 3))):
            hostile = rnd.choice(list(given))
            given[hostile] = rnd.choice(others[hostile])
        compared = subject.copies and rnd.randrange(COMPARED) == 0 and name not in ALONE
        twin = copy.deepcopy(subject.thing) if compared else None
        try:
            result = subject.call(subject.thing, name, given)
        except Exception as error:
            outcomes[check(error, name)] += 1
            if subject.has_state and subject.look() != before:
                raise fuzzing.Wrong(f"{name} has changed it and raised an error") from error
            continue
        outcomes["computed"] += 1
        if compared and bits(subject.call(twin, name, given)) != bits(result):
            raise fuzzing.Wrong(f"{name} gives something else on a copy")
        if subject.has_state:
            before = subject.look()
    if subject.look() != before:
        raise fuzzing.Wrong("its weights have changed")
    return outcomes


if __name__ == "__main__":
    raise SystemExit(fuzzing.main(__doc__, one))
