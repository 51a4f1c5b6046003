"""What the user's own objects raise while they are read is theirs, and arrives as it was raised."""

import numpy as np
import pytest

import gru_native as gn

F = np.float32
rng = np.random.default_rng(0)
x = rng.standard_normal((4, 2, 3)).astype(F)
gru, lstm = gn.GRU(3, 5, seed=0), gn.LSTM(3, 5, seed=0)
chain = gn.Chain([gn.GRU(3, 5, seed=0), gn.Dense(5, 2, seed=0)])
h = np.zeros((1, 2, 5), F)


def backward(layer, *arguments):
    result = layer.forward(x)
    return layer.backward(result[-1], *arguments)


def edit(layer, name, value):
    with layer.editing() as weights:
        weights[name] = value


def set_state(stream, value):
    stream.state = value


def tree(bad, which):
    given = {"x": np.ones((3, 3), F), "parents": [1, 2, -1], "slots": [0, 1, 0]} | {which: bad}
    return gn.NaryTreeLSTM(3, 5, 2, seed=0)(given["x"], given["parents"], given["slots"])


def graph(bad, which):
    given = {"annotations": np.ones((3, 2), F), "edge_index": [[0, 1], [1, 2]], "edge_type": [0, 0]}
    return gn.GatedGraph(4, 2, seed=0)(**given | {which: bad})


def loss(name, bad, which):
    given = {
        "cross_entropy": {"logits": np.ones((2, 4), F), "targets": [1, 2]},
        "ctc": {
            "logits": np.ones((5, 2, 4), F),
            "targets": [[1, 2], [2, 1]],
            "input_lengths": [5, 5],
            "target_lengths": [2, 2],
        },
    }[name]
    return getattr(gn.losses, name)(**given | {which: bad})


def decoded(bad, which):
    given = {"logits": np.ones((5, 2, 4), F), "lengths": [5, 5]} | {which: bad}
    return gn.decoding.ctc_beam(**given)


READERS = {
    "x": lambda bad: gru(bad),
    "x of forward": lambda bad: lstm.forward(bad),
    "x in float64": lambda bad: gn.GRU(3, 5, dtype=np.float64)(bad),
    "state": lambda bad: gru(x, bad),
    "state's h": lambda bad: lstm(x, (bad, h)),
    "state's c": lambda bad: lstm(x, (h, bad)),
    "lengths": lambda bad: gru(x, lengths=bad),
    "mask": lambda bad: gru(x, mask=bad),
    "dy": lambda bad: backward(gru, bad),
    "dstate": lambda bad: backward(gru, None, bad),
    "x of Dense": lambda bad: gn.Dense(3, 2, seed=0)(bad),
    "x of a quantized layer": lambda bad: gn.GRU(3, 5, seed=0).quantize("int8")(bad),
    "x of a chain": lambda bad: chain(bad),
    "state of a chain": lambda bad: chain(x, (bad,)),
    "lengths of a chain": lambda bad: chain(x, lengths=bad),
    "dy of a chain": lambda bad: backward(chain, bad),
    "x of a stream": lambda bad: gru.stream(2)(bad),
    "x of a chain's stream": lambda bad: chain.stream(2)(bad),
    "state of a stream": lambda bad: set_state(gru.stream(2), bad),
    "state of a chain's stream": lambda bad: set_state(chain.stream(2), (bad,)),
    "a weight": lambda bad: edit(gn.GRU(3, 5, seed=0), "weight_ih_l0", bad),
    "a state_dict": lambda bad: gn.GRU(3, 5).load_state_dict({"weight_ih_l0": bad}, strict=False),
    "x of RTRL": lambda bad: gn.RTRL(gn.GRU(3, 5, seed=0))(bad),
    "x of OutputRNN": lambda bad: gn.OutputRNN(3, 5, 2, seed=0)(bad),
    "targets of OutputRNN": lambda bad: gn.OutputRNN(3, 5, 2, seed=0)(x, targets=bad),
    "x of a grConv": lambda bad: gn.GatedRecursiveConv(3, 5, seed=0)(bad),
    "x of a tree": lambda bad: tree(bad, "x"),
    "parents": lambda bad: tree(bad, "parents"),
    "slots": lambda bad: tree(bad, "slots"),
    "annotations": lambda bad: graph(bad, "annotations"),
    "edge_index": lambda bad: graph(bad, "edge_index"),
    "edge_type": lambda bad: graph(bad, "edge_type"),
    "graph of a readout": lambda bad: gn.GraphSum(4, 2, 3, seed=0)(
        np.ones((3, 4), F), np.ones((3, 2), F), bad
    ),
    "logits": lambda bad: loss("cross_entropy", bad, "logits"),
    "targets": lambda bad: loss("cross_entropy", bad, "targets"),
    "logits of ctc": lambda bad: loss("ctc", bad, "logits"),
    "input_lengths": lambda bad: loss("ctc", bad, "input_lengths"),
    "logits of ctc_beam": lambda bad: decoded(bad, "logits"),
    "lengths of ctc_beam": lambda bad: decoded(bad, "lengths"),
    "target_lengths": lambda bad: loss("ctc", bad, "target_lengths"),
    "mask of reset_rows": lambda bad: gn.reset_rows(h, bad),
}
FOREIGN = (KeyboardInterrupt("C"), SystemExit(3), MemoryError("mine"), RuntimeError("detach()"))


def raising(error):
    def method(*_, **__):
        raise error

    return method


def objects(error):
    """One object for each way to be read as an array, which raises the error when it is."""
    raises = raising(error)
    makers = {
        "__array__": {"__array__": raises},
        "__array_interface__": {"__array_interface__": property(raises)},
        "__array_struct__": {"__array_struct__": property(raises)},
        "__len__": {"__len__": raises, "__getitem__": lambda *_: 1.0},
        "__getitem__": {"__len__": lambda _: 2, "__getitem__": raises},
    }
    made = {name: type("Bad", (), methods)() for name, methods in makers.items()}
    return made | {"an item": [made["__array__"]]}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("error", FOREIGN, ids=lambda e: type(e).__name__)
def test_what_is_no_word_about_the_argument_passes_unchanged(reader, error):
    for way, bad in objects(error).items():
        with pytest.raises(type(error)) as raised:
            READERS[reader](bad)
        assert raised.value is error, way


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [ValueError, TypeError])
def test_what_is_one_gets_the_name_and_stays_the_cause(reader, kind):
    for way, bad in objects(kind("made of cheese")).items():
        with pytest.raises(TypeError, match="made of cheese") as raised:
            READERS[reader](bad)
        cause = raised.value
        while cause.__cause__ is not None:
            cause = cause.__cause__
        assert type(cause) is kind, way
        assert str(cause) == "made of cheese"
        assert "that NumPy cannot read as an array" in str(raised.value)
        assert "; expected " in str(raised.value)


def test_the_dtype_of_an_array_like_may_raise():
    class Lazy:
        def __array__(self, *_, **__):
            return np.ones((4, 2, 3))

        @property
        def dtype(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gru(Lazy())


def test_a_tensor_that_needs_detach_says_so():
    torch = pytest.importorskip("torch")
    needs = torch.ones(4, 2, 3, requires_grad=True)
    for call in (gru, chain, lstm.forward, gru.stream(2)):
        with pytest.raises(RuntimeError, match=r"detach\(\)"):
            call(needs)


# --- whole numbers, numbers and paths


class Index:
    def __init__(self, error):
        self.error = error

    def __index__(self):
        raise self.error


@pytest.mark.parametrize("error", FOREIGN, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "read",
    [
        lambda bad: gn.GRU(bad, 3),
        lambda bad: gn.GRU(3, 3, seed=bad),
        lambda bad: gru.stream(bad),
        gn.set_num_threads,
        lambda bad: loss("ctc", bad, "blank"),
        lambda bad: gn.load("none", [{"type": "Dense", "input_size": bad, "output_size": 1}]),
    ],
    ids=["size", "seed", "batch_size", "threads", "blank", "description"],
)
def test_whole_numbers(error, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gn.save(gn.Dense(1, 1, seed=0), "none")
    with pytest.raises(type(error)) as raised:
        read(Index(error))
    assert raised.value is error


@pytest.mark.parametrize("error", FOREIGN, ids=lambda e: type(e).__name__)
def test_paths(error):
    path = type("Path", (), {"__fspath__": raising(error)})()
    for use in (gn.load, lambda p: gn.save(gru, p)):
        with pytest.raises(type(error)) as raised:
            use(path)
        assert raised.value is error


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: gn.LSTM(3, 3, cell_clip=10**400), "cell_clip is out of range"),
        (lambda: gn.GRU(3, 3, gate_activation=("elu", 10**400)), "gate_activation is out of range"),
        (lambda: gn.GRU(3, 3, dropout=10**400), "dropout is out of range"),
    ],
)
def test_numbers_beyond_double(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_text_that_utf8_cannot_hold(tmp_path):
    gn.save(gn.Dense(1, 1, seed=0), tmp_path / "none")
    with pytest.raises(ValueError, match="gate_activation holds what is no character"):
        gn.GRU(3, 3, gate_activation="\ud800")
    block = {"type": "Dense", "input_size": 1, "output_size": 1, "activation": "\ud800"}
    with pytest.raises(ValueError, match="none: block 0: activation holds what is no character"):
        gn.load(tmp_path / "none", [block])


def test_an_error_with_a_constructor_of_its_own_names_the_block():
    class Odd(ValueError):
        def __init__(self, one, two):
            super().__init__(one, two)

    with pytest.raises(TypeError, match=r"^blocks\[0\]: x is a Bad") as raised:
        chain(objects(Odd(1, 2))["__array__"])
    assert isinstance(raised.value.__cause__.__cause__, Odd)
