"""Layers and chains written as ONNX: the checker, ONNX Runtime, and the way back."""

import inspect

import numpy as np
import pytest

from helpers import (
    ACTIVATION_NAMES,
    DENSE_ACTIVATION_NAMES,
    assert_close,
    assert_same_bits,
    parts,
)

onnx = pytest.importorskip("onnx")
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402

# Numbers that float32 has, which is what ONNX has.
MORE = [*ACTIVATION_NAMES, "softsign", "softplus", "leaky_relu", "thresholded_relu", "elu"]
MORE += ["hard_sigmoid", ("leaky_relu", 0.125), ("thresholded_relu", 0.5), ("elu", 0.75)]
MORE += [("affine", 0.5, 0.25), ("hard_sigmoid", 0.25, 0.375), ("scaled_tanh", 1.5, 0.75)]
SEEDS = range(60)
SINGLE = ["leaky_relu", "hard_sigmoid"]  # whose usual numbers are none of float32
TAME = ["tanh", "sigmoid", "softsign", "hard_sigmoid", ("scaled_tanh", 1.5, 0.75)]  # no explosion


def random_recurrent(rng, input_size, dtype, batch_first, runtime):
    """A layer with random sizes, options and weights that ONNX can express."""
    kind = (gru_native.RNN, gru_native.LSTM, gru_native.GRU)[rng.integers(3)]
    options = {"bidirectional": bool(rng.integers(2)), "bias": bool(rng.integers(4))}

    def function():
        names = TAME if runtime else [n for n in MORE if dtype == np.float32 or n not in SINGLE]
        return names[rng.integers(len(names))]

    # ONNX Runtime does not limit what the LSTM's h sees of c
    if rng.integers(3) == 0 and not (runtime and kind is gru_native.LSTM):
        options["activation_clip"] = float(np.float32(rng.uniform(0.2, 2)))
    if kind is gru_native.RNN:
        options["nonlinearity"] = function()
    elif kind is gru_native.GRU:
        options["reset_after"] = bool(rng.integers(2))
        for name in ("candidate_activation", "gate_activation"):
            options[name] = function()
    else:
        options["peephole"] = bool(rng.integers(2))
        options["coupled_gates"] = bool(rng.integers(2))
        for name in ("input_activation", "output_activation", "gate_activation"):
            options[name] = function()
    return kind(
        input_size,
        int(rng.integers(1, 8)),
        int(rng.integers(1, 4)),
        batch_first=batch_first,
        dtype=dtype,
        seed=int(rng.integers(1000)),
        **options,
    )


def output_size(block):
    if isinstance(block, gru_native.Dense):
        return block.output_size
    return block.hidden_size * (1 + block.bidirectional)


def random_model(rng, runtime=False):
    """A layer, or a chain of up to three blocks; such as ONNX Runtime can compute, too."""
    dtype = (np.float32, np.float64)[rng.integers(2)]
    batch_first = bool(rng.integers(2))
    width, blocks = int(rng.integers(1, 7)), []
    for _ in range(rng.integers(1, 4)):
        if rng.integers(3):
            blocks.append(random_recurrent(rng, width, dtype, batch_first, runtime))
        else:
            function = str(rng.choice(DENSE_ACTIVATION_NAMES))
            dense = {"activation": function, "bias": bool(rng.integers(2))}
            dense |= {"batch_first": batch_first, "dtype": dtype, "seed": int(rng.integers(99))}
            blocks.append(gru_native.Dense(width, int(rng.integers(1, 6)), **dense))
        width = output_size(blocks[-1])
    return blocks[0] if len(blocks) == 1 else gru_native.Chain(blocks)


def blocks_of(model):
    return list(model.blocks) if isinstance(model, gru_native.Chain) else [model]


def recurrent_of(model):
    return [block for block in blocks_of(model) if not isinstance(block, gru_native.Dense)]


def random_inputs(model, rng, state, lengths, steps=6, batch=4):
    """What the exported model takes, by name."""
    batch_first = getattr(model, "batch_first", False)
    shape = (batch, steps) if batch_first else (steps, batch)
    feeds = {"x": rng.standard_normal((*shape, model.input_size)).astype(model.dtype)}
    if lengths and recurrent_of(model):
        feeds["lengths"] = rng.integers(1, steps + 1, batch).astype(np.int32)
    for i, block in enumerate(recurrent_of(model)):
        rows = block.num_layers * (1 + block.bidirectional)
        end = "" if len(recurrent_of(model)) == 1 else f"_{i}"
        for part in ("h", "c") if isinstance(block, gru_native.LSTM) else ("h",):
            if state:
                value = rng.standard_normal((rows, batch, block.hidden_size))
                feeds[f"{part}_0{end}"] = value.astype(model.dtype)
    return feeds


def computed_here(model, feeds):
    """Outputs by name, from the layers themselves."""
    x, lengths = feeds["x"], feeds.get("lengths")
    given = [feeds[name] for name in feeds if name not in ("x", "lengths")]
    if isinstance(model, gru_native.Dense):
        return {"y": model(x)}
    states = []
    for block in recurrent_of(model):
        count = 2 if isinstance(block, gru_native.LSTM) else 1
        own, given = given[:count], given[count:]
        states.append(None if not own else tuple(own) if count == 2 else own[0])
    if isinstance(model, gru_native.Chain):
        y, final = model(x, tuple(states), lengths=lengths)
    else:
        y, end = model(x, states[0], lengths=lengths)
        final = (end,)
    outputs = {"y": y}
    for i, end in enumerate(final):
        place = "" if len(final) == 1 else f"_{i}"
        outputs |= {f"{n}_n{place}": p for n, p in zip("hc", parts(end), strict=False)}
    return outputs


@pytest.fixture(scope="module")
def runtime():
    ort = pytest.importorskip("onnxruntime")
    ort.set_default_logger_severity(4)
    return ort


@pytest.mark.parametrize("seed", SEEDS)
def test_round_trip_is_exact(seed, tmp_path):
    rng = np.random.default_rng(seed)
    model, state, lengths = random_model(rng), bool(rng.integers(2)), bool(rng.integers(2))
    path = tmp_path / "model.onnx"
    gru_native.onnx.export(model, path, state=state, lengths=lengths)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    loaded = gru_native.onnx.load(path)

    feeds = random_inputs(model, rng, state, lengths)
    if lengths and recurrent_of(model):
        feeds["lengths"][0] = 0
    expected = computed_here(model, feeds)
    outputs = loaded(**feeds)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert loaded.outputs == tuple(expected)
    for name, actual in zip(loaded.outputs, outputs, strict=True):
        if name == "y" and lengths and recurrent_of(model) != blocks_of(model):
            continue  # past the end a chain's Dense gives 0, the operators of ONNX do not
        assert_same_bits(actual, expected[name], name)

    back = zip(split_layers(loaded.layer()), split_layers(model), strict=True)
    for (options, mine), (expected_options, theirs) in back:
        if not recurrent_of(model):  # a graph of dense layers alone does not say which axis is time
            expected_options["batch_first"] = False
        assert numbered(options) == numbered(expected_options)
        assert list(mine) == list(theirs)
        for name in mine:
            assert_same_bits(mine[name], theirs[name], name)


USUAL = {"leaky_relu": (0.01,), "thresholded_relu": (1,), "elu": (1,), "hard_sigmoid": (0.2, 0.5)}


def numbered(options):
    """Options with the numbers of functions that have usual ones, as float32, which ONNX has."""

    def written(value):
        if isinstance(value, str) and value in USUAL:
            value = (value, *USUAL[value])
        return (value[0], *map(np.float32, value[1:])) if isinstance(value, tuple) else value

    return {name: written(value) for name, value in options.items()}


def split_layers(model):
    """Options and weights of each layer: a stack of two and a chain of two are the same."""
    for block in blocks_of(model):
        options = {
            k: v
            for k, v in gru_native.files.describe(block).items()
            if k not in ("num_layers", "input_size")
        }
        for k in range(getattr(block, "num_layers", 1)):
            names = [n for n in block.weights if f"_l{k}" in n or "_l" not in n]
            yield options, {name.replace(f"_l{k}", "_l0"): block.weights[name] for name in names}


@pytest.mark.parametrize("seed", SEEDS)
def test_onnx_runtime_computes_the_same(seed, tmp_path, runtime):
    rng = np.random.default_rng([1, seed])
    model = random_model(rng, runtime=True)
    while model.dtype == np.float64 and recurrent_of(model):  # which ONNX Runtime does not have
        model = random_model(rng, runtime=True)
    state, lengths = bool(rng.integers(2)), bool(rng.integers(2))
    path = tmp_path / "model.onnx"
    gru_native.onnx.export(model, path, state=state, lengths=lengths)
    feeds = random_inputs(model, rng, state, lengths)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    actual = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True)
    )
    expected = computed_here(model, feeds)
    if lengths and recurrent_of(model) != blocks_of(model):
        del actual["y"], expected["y"]
    tolerance = 1e-5 if model.dtype == np.float32 else 1e-12
    for name, value in expected.items():
        assert_close(actual[name], value, tolerance, name)


@pytest.mark.parametrize("function", MORE, ids=str)
def test_onnx_runtime_has_the_same_functions(function, tmp_path, runtime):
    x = np.random.default_rng(0).standard_normal((6, 4, 3), np.float32)
    for layer in (
        gru_native.RNN(3, 5, nonlinearity=function, seed=0),
        gru_native.GRU(3, 5, candidate_activation=function, seed=1, activation_clip=1.5),
        gru_native.GRU(3, 5, gate_activation=function, reset_after=False, seed=2),
        gru_native.LSTM(3, 5, input_activation=function, output_activation="elu", seed=3),
        gru_native.LSTM(3, 5, output_activation=function, bidirectional=True, seed=4),
        gru_native.LSTM(3, 5, gate_activation=function, peephole=True, seed=5),
    ):
        gru_native.onnx.export(layer, tmp_path / "model.onnx")
        session = runtime.InferenceSession(tmp_path / "model.onnx")
        assert_close(session.run(["y"], {"x": x})[0], layer(x)[0], 1e-5, repr(layer))


def test_numbers_that_are_no_float32(tmp_path):
    """Where the layer is float64, 0.1 would become another number."""
    path = tmp_path / "model.onnx"
    exact = float(np.float32(0.1))
    for options in ({"activation_clip": 0.1}, {"nonlinearity": ("leaky_relu", 0.1)}):
        gru_native.onnx.export(gru_native.RNN(2, 3, **options), path)
        with pytest.raises(ValueError, match=rf"is 0.1; ONNX's .*float32: expected {exact}"):
            gru_native.onnx.export(gru_native.RNN(2, 3, dtype=np.float64, **options), path)
    gru_native.onnx.export(gru_native.RNN(2, 3, activation_clip=exact, dtype=np.float64), path)
    # the default 0.01 of both is none either, but needs no writing down
    rnn = gru_native.RNN(2, 3, nonlinearity="leaky_relu", dtype=np.float64, seed=0)
    gru_native.onnx.export(rnn, path)
    x = np.random.default_rng(0).standard_normal((4, 2, 2))
    assert_same_bits(gru_native.onnx.load(path)(x)[0], rnn(x)[0])


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (gru_native.LSTM(3, 4, proj_size=2), "proj_size is 2"),
        (gru_native.LSTM(3, 4, cell_clip=1.5), "cell_clip is 1.5"),
        (gru_native.LSTM(3, 4, input_gate=False), "input_gate is False"),
        (gru_native.LSTM(3, 4, forget_gate=False), "forget_gate is False"),
        (gru_native.LSTM(3, 4, output_gate=False), "output_gate is False"),
        (gru_native.Chain([gru_native.LSTM(3, 4, proj_size=2)]), "proj_size is 2"),
    ],
)
def test_what_onnx_cannot_say(layer, says, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match=says):
        gru_native.onnx.export(layer, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [gru_native.RNN, gru_native.LSTM, gru_native.GRU])
def test_each_option_is_exported_or_refused(kind, tmp_path):
    """None is forgotten, those that are added later among them."""
    x = np.random.default_rng(0).standard_normal((5, 3, 4), np.float32)
    path, done, refused = tmp_path / "model.onnx", [], {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if not isinstance(parameter.default, (bool, int)) or name in ("seed", "num_layers"):
            continue
        value = not parameter.default if isinstance(parameter.default, bool) else 2
        try:
            layer = kind(4, 6, seed=0, **{name: value})
        except ValueError:  # it needs another option beside it
            continue
        done.append(name)
        try:
            gru_native.onnx.export(layer, path)
        except ValueError as error:
            refused[name] = str(error)
        else:
            assert_same_bits(gru_native.onnx.load(path)(x)[0], layer(x)[0], name)
    assert {"bias", "batch_first", "bidirectional"} <= set(done) - set(refused)
    for name, error in refused.items():
        assert error.startswith(f"{name} is ")
        assert error.endswith(f"ONNX's {kind.__name__} has no such option")


def test_no_layer(tmp_path):
    with pytest.raises(TypeError, match="layer is a str; expected a layer or a Chain"):
        gru_native.onnx.export("layer", tmp_path / "model.onnx")
    with pytest.raises(TypeError, match="state is an int; expected True or False"):
        gru_native.onnx.export(gru_native.GRU(1, 1), tmp_path / "model.onnx", state=1)
