"""gru_native.optim against torch.optim over random options and steps, and what it promises."""

import copy
import threading

import numpy as np
import pytest

import gru_native
from gru_native import GRU, Chain, Dense, RowGradient, optim
from helpers import assert_close, assert_same_bits


def pick(rng, *values):
    return values[rng.integers(len(values))]


def random_options(kind, rng):
    """Options of ours, and those of torch."""
    options = {"lr": float(rng.uniform(0, 0.1)), "weight_decay": pick(rng, 0.0, 0.01)}
    if kind is optim.SGD:
        options["momentum"] = pick(rng, 0.0, 0.9)
        options["nesterov"] = options["momentum"] > 0 and bool(rng.integers(2))
        options["dampening"] = pick(rng, 0.0, 0.0 if options["nesterov"] else 0.3)
    elif kind is optim.Adagrad:
        options["lr_decay"] = pick(rng, 0.0, 0.1)
        options["initial_accumulator_value"] = pick(rng, 0.0, 0.5)
        options["eps"] = pick(rng, 1e-10, 1e-3)
    else:
        options["betas"] = pick(rng, (0.9, 0.999), (0.5, 0.8), (0.0, 0.0))
        options["eps"] = pick(rng, 1e-8, 1e-3)
    return options


KINDS = [optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW]


def gradients_like(weights, rng, scale=1.0):
    return {
        name: (scale * rng.standard_normal(w.shape)).astype(w.dtype) for name, w in weights.items()
    }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_as_torch(kind, seed):
    """Also where a weight now and then has no gradient, and where the rate changes."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    layer = GRU(5, 7, dtype=np.float64, seed=seed)
    options = random_options(kind, rng)
    ours = kind(layer, **options)
    parameters = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in layer.weights.items()}
    theirs = getattr(torch.optim, kind.__name__)(parameters.values(), **options)
    for step in range(12):
        grads = gradients_like(layer.weights, rng, 10.0 ** rng.uniform(-3, 1))
        if step % 3 == 1:
            del grads["weight_hh_l0"]
        if step == 6:
            ours.lr = theirs.param_groups[0]["lr"] = 0.03
        ours.step(grads)
        for name, p in parameters.items():
            p.grad = torch.tensor(grads[name]) if name in grads else None
        theirs.step()
        for name, p in parameters.items():
            assert_close(layer.weights[name], p.detach().numpy(), 1e-12, name)


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    layer = Dense(33, 5, seed=1)
    ours = kind(layer, 0.01)
    parameters = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in layer.weights.items()}
    theirs = getattr(torch.optim, kind.__name__)(parameters.values(), 0.01)
    for _ in range(20):
        grads = gradients_like(layer.weights, rng)
        ours.step(grads)
        for name, p in parameters.items():
            p.grad = torch.tensor(grads[name])
        theirs.step()
    for name, p in parameters.items():
        assert_close(layer.weights[name], p.detach().numpy(), 1e-5, name)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(
    ("kind", "torch_kind", "options"),
    [
        (optim.SGD, "SGD", {"lr": 0.1}),
        (optim.Adagrad, "Adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.1}),
        (optim.Adam, "SparseAdam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-30}),
    ],
)
def test_rows_as_torch_with_sparse_gradients(kind, torch_kind, options):
    """SparseAdam has eps elsewhere, so there is nearly none."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    layer = Dense(4, 9, bias=False, dtype=np.float64, seed=1)
    weight = torch.nn.Parameter(torch.tensor(layer.weights["weight"]))
    ours, theirs = kind(layer, **options), getattr(torch.optim, torch_kind)([weight], **options)
    for _ in range(10):
        rows = np.flatnonzero(rng.integers(0, 2, 9))
        values = rng.standard_normal((len(rows), 4))
        ours.step({"weight": RowGradient(rows, values)})
        weight.grad = torch.sparse_coo_tensor(
            torch.tensor(rows)[None], torch.tensor(values), (9, 4), is_coalesced=True
        )
        theirs.step()
        assert_close(layer.weights["weight"], weight.detach().numpy(), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_gradient_stay_to_the_bit(kind):
    """With what is remembered of them; rows that have one change as if all had one."""
    rng = np.random.default_rng(4)
    options = {"momentum": 0.9, "weight_decay": 0.1} if kind is optim.SGD else {}
    layer, whole = (Dense(5, 40, dtype=np.float64, seed=1) for _ in range(2))
    ours, dense = kind(layer, 0.1, **options), kind(whole, 0.1, **options)
    rows = np.array([0, 7, 8, 39])
    others = np.setdiff1d(np.arange(40), rows)
    before = layer.state_dict()
    for _ in range(3):
        values = rng.standard_normal((4, 5))
        gradient = RowGradient(rows, values)
        ours.step({"weight": gradient})
        dense.step({"weight": gradient.dense(40)})
    for name, w in layer.weights.items():
        kept = others if name == "weight" else slice(None)
        assert_same_bits(w[kept], before[name][kept])
    assert_same_bits(layer.weights["weight"][rows], whole.weights["weight"][rows])
    for name, state in ours.state_dict().items():
        if name.startswith("weight.") and state.ndim:
            assert not state[others].any()


def test_no_row_at_all():
    layer = Dense(3, 2, seed=1)
    before = layer.state_dict()
    adam = optim.Adam(layer)
    adam.step({"weight": RowGradient(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))})
    assert_same_bits(layer.weights["weight"], before["weight"])


def test_a_list_of_layers_and_chains():
    """What each would do alone; and the layers compute with the new weights at once."""
    rng = np.random.default_rng(5)

    def parts():
        return Chain([GRU(3, 4, seed=1), Dense(4, 2, seed=2)]), Dense(2, 3, seed=3)

    together, alone = parts(), parts()
    joint = optim.Adam(together)
    single = [optim.Adam(layer) for layer in alone]
    x = rng.standard_normal((6, 2, 3)).astype(np.float32)
    for step in range(3):
        y, _, tape = together[0].forward(x)
        z, last = together[1].forward(y)
        second = together[1].backward(last, z)
        first = together[0].backward(tape, second.x)
        grads = [first, second if step != 1 else None]
        joint.step(grads)
        for own, g in zip(single, grads, strict=True):
            own.step({} if g is None else g.weights)
    for a, b in zip(together, alone, strict=True):
        for name in a.weights:
            assert_same_bits(a.weights[name], b.weights[name], name)
    assert_same_bits(together[0](x)[0], alone[0](x)[0])
    assert next(iter(joint.state_dict())) == "0.0.weight_ih_l0.step"


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_saved_and_loaded(kind):
    rng = np.random.default_rng(6)
    options = {"momentum": 0.9, "dampening": 0.5} if kind is optim.SGD else {}
    layer, again = Dense(6, 4, seed=1), Dense(6, 4, seed=2)
    ours, later = kind(layer, 0.1, **options), kind(again, 0.1, **options)
    for step in range(6):
        if step == 3:
            again.load_state_dict(layer.state_dict())
            later.load_state_dict(ours.state_dict())
        grads = gradients_like(layer.weights, rng)
        if step == 1:
            del grads["bias"]
        ours.step(grads)
        later.step(grads)
    for name, w in layer.weights.items():
        assert_same_bits(again.weights[name], w, name)
    kept = ours.state_dict()
    assert kept["weight.step"] == 6
    assert kept["bias.step"] == 5
    ours.step(grads)
    assert kept["weight.step"] == 6  # copies


def test_loading_is_all_or_nothing():
    layer = Dense(3, 2, seed=1)
    adam = optim.Adam(layer)
    adam.step(gradients_like(layer.weights, np.random.default_rng(1)))
    kept = adam.state_dict()
    fresh = optim.Adam(layer).state_dict()
    bad = [
        ({k: v for k, v in fresh.items() if k != "bias.exp_avg"}, ValueError, "bias.exp_avg"),
        ({**fresh, "more": np.zeros(1)}, ValueError, "more"),
        ({**fresh, "bias.exp_avg": np.zeros(3, np.float32)}, ValueError, "bias.exp_avg has shape"),
        ({**fresh, "bias.exp_avg": np.zeros(2)}, TypeError, "bias.exp_avg has dtype"),
        ({**fresh, "bias.step": -1}, ValueError, "bias.step is -1"),
        ({**fresh, "bias.step": 2**63 - 1}, ValueError, "bias.step is 9223372036854775807"),
        ({**fresh, "bias.step": np.uint64(2**63)}, ValueError, "bias.step is 9223372036854775808"),
        ({**fresh, "bias.step": np.array(0.5, np.float16)}, TypeError, "bias.step has dtype"),
        ([], TypeError, "mapping is a list"),
    ]
    for mapping, kind, text in bad:
        with pytest.raises(kind, match=text):
            adam.load_state_dict(mapping)
        for name, state in adam.state_dict().items():
            assert_same_bits(state, kept[name], name)


@pytest.mark.parametrize("kind", KINDS)
def test_one_without_init_says_so(kind):
    made = kind.__new__(kind)
    for use in (lambda: made.lr, lambda: made.step({}), made.state_dict, lambda: repr(made)):
        with pytest.raises(TypeError, match="made without __init__"):
            use()


def test_same_bits_for_any_threads(threads):
    rng = np.random.default_rng(7)
    grads = None
    results = []
    for n in (1, 2, 3, 5):
        threads(n)
        layer = Dense(333, 301, seed=1)
        grads = grads or gradients_like(layer.weights, rng)
        rows = np.arange(0, 301, 2)
        adam = optim.Adam(layer)
        adam.step(grads)
        adam.step({"weight": RowGradient(rows, grads["weight"][rows])})
        results.append(layer.state_dict())
    for other in results[1:]:
        for name, w in results[0].items():
            assert_same_bits(other[name], w, name)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind):
    """A line through points, well enough."""
    rng = np.random.default_rng(8)
    layer = Dense(3, 1, seed=1)
    optimizer = kind(layer, 0.5 if kind is optim.Adagrad else 0.05)
    x = rng.standard_normal((200, 3)).astype(np.float32)
    target = x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25
    for _ in range(300):
        y, tape = layer.forward(x)
        optimizer.step(layer.backward(tape, 2 * (y - target) / len(x)))
    assert np.square(layer(x) - target).mean() < 1e-2


def test_gradients_of_rows_are_clipped_with_the_others():
    rows = RowGradient(np.array([1, 4]), np.full((2, 3), 2.0))
    other = np.full(4, -1.0)
    norm = np.sqrt(6 * 4 + 4)
    assert gru_native.clip_gradients({"a": rows, "b": other}, 1.0) == pytest.approx(norm)
    np.testing.assert_allclose(rows.values, 2 / norm)
    np.testing.assert_allclose(other, -1 / norm)


LAYER = Dense(3, 2, seed=1)
W, B = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
NAN = np.nan
MAKING = [
    (lambda: optim.SGD([]), ValueError, "layers is empty"),
    (lambda: optim.SGD(3), TypeError, "layers is an int"),
    (lambda: optim.SGD([LAYER, 3]), TypeError, r"layers\[1\] is an int"),
    (lambda: optim.SGD([LAYER, LAYER]), ValueError, r"layers\[1\] has the weight weight of"),
    (lambda: optim.SGD([Chain([LAYER]), LAYER]), ValueError, r"layers\[1\] has the weight"),
    (lambda: optim.SGD([LAYER, Dense(2, 2, dtype=np.float64)]), ValueError, "has dtype float64"),
    (lambda: optim.SGD(LAYER, -1), ValueError, "lr is -1"),
    (lambda: optim.SGD(LAYER, NAN), ValueError, "lr is nan"),
    (lambda: optim.SGD(LAYER, "1"), TypeError, "lr"),
    (lambda: optim.SGD(LAYER, momentum=-0.5), ValueError, "momentum is -0.5"),
    (lambda: optim.SGD(LAYER, nesterov=True), ValueError, "nesterov is True; expected a momentum"),
    (lambda: optim.SGD(LAYER, nesterov=1), TypeError, "nesterov"),
    (lambda: optim.SGD(LAYER, weight_decay=-1), ValueError, "weight_decay is -1"),
    (lambda: optim.Adagrad(LAYER, lr_decay=-1), ValueError, "lr_decay is -1"),
    (lambda: optim.Adagrad(LAYER, eps=-1), ValueError, "eps is -1"),
    (lambda: optim.Adam(LAYER, betas=(0.9, 1)), ValueError, r"betas\[1\] is 1"),
    (lambda: optim.Adam(LAYER, betas=(-1, 0)), ValueError, r"betas\[0\] is -1"),
    (lambda: optim.Adam(LAYER, betas=0.9), TypeError, "betas is 0.9"),
    (lambda: optim.Adam(LAYER, betas=(0.9, None)), TypeError, r"betas\[1\]"),
    (lambda: setattr(optim.Adam(LAYER), "lr", -2), ValueError, "lr is -2"),
]
STEPS = [
    ([W], TypeError, "grads is a list; expected what backward returned"),
    (3, TypeError, "grads is an int"),
    ({"weight": W, "w": B}, ValueError, "grads has 'w', which is no weight"),
    ({"weight": W.T}, ValueError, r"grads\['weight'\] has shape \(3, 2\)"),
    ({"weight": W.astype(float)}, TypeError, r"grads\['weight'\] has dtype float64"),
    ({"weight": "no"}, TypeError, r"grads\['weight'\]"),
    (
        {"weight": RowGradient([2], W[:1])},
        ValueError,
        r"^grads\['weight'\].rows\[0\] is 2; expected 0 to 1",
    ),
    ({"weight": RowGradient([-1], W[:1])}, ValueError, r"^grads\['weight'\].rows\[0\] is -1"),
    (
        {"weight": RowGradient([1, 1], W)},
        ValueError,
        r"^grads\['weight'\].rows\[1\] is 1; expected more",
    ),
    ({"weight": RowGradient([0.5], W[:1])}, TypeError, r"grads\['weight'\].rows"),
    ({"weight": RowGradient([[0]], W[:1])}, ValueError, "rows has shape"),
    ({"weight": RowGradient([0], W)}, ValueError, r"values has shape \(2, 3\); expected \(1, 3\)"),
]


@pytest.mark.parametrize(("make", "kind", "text"), MAKING)
def test_errors_of_making(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize(("grads", "kind", "text"), STEPS)
def test_errors_of_steps_change_nothing(grads, kind, text):
    layer = Dense(3, 2, seed=1)
    before, adam = layer.state_dict(), optim.Adam(layer)
    with pytest.raises(kind, match=text):
        adam.step(grads)
    for name, w in layer.weights.items():
        assert_same_bits(w, before[name], name)
    for state in adam.state_dict().values():
        assert not state.any()


def test_errors_of_lists():
    adam = optim.Adam([Dense(3, 2), Dense(2, 2)])
    for grads, kind, text in [
        ({"weight": W}, TypeError, "grads is a dict; expected a list"),
        ([{}], ValueError, "grads has 1 entries; expected 2"),
        ([{}, 3], TypeError, r"grads\[1\] is an int"),
        ([{}, {"weight": W}], ValueError, r"grads\['1.weight'\] has shape"),
    ]:
        with pytest.raises(kind, match=text):
            adam.step(grads)


def test_calls_beside_steps_have_the_weights_of_one_step():
    """A step writes the weights themselves; who computes meanwhile has those before or after it."""
    rng = np.random.default_rng(11)
    chain = Chain([Dense(64, 64, seed=1), Dense(64, 64, seed=2)])
    replay = copy.deepcopy(chain)
    x = rng.standard_normal((5, 64)).astype(np.float32)
    grads = gradients_like(chain.weights, rng)
    expected, optimizer = [replay(x)[0]], optim.SGD(replay, 1e-3)
    for _ in range(50):
        optimizer.step(grads)
        expected.append(replay(x)[0])
    seen, done = [], threading.Event()

    def call() -> None:
        while not done.is_set():
            seen.append(chain(x)[0])

    caller = threading.Thread(target=call)
    caller.start()
    optimizer = optim.SGD(chain, 1e-3)
    for _ in range(50):
        optimizer.step(grads)
    done.set()
    caller.join()
    at = 0
    for y in seen:
        while not np.array_equal(y, expected[at]):
            at += 1  # an IndexError: no step has this output, or an earlier one


def test_a_step_takes_what_other_edits_have_written():
    """Of a layer that is being edited: the step is of its weights when it is made."""
    layer = Dense(3, 2, seed=1)
    first = layer.weights["weight"].copy()
    grads = gradients_like(layer.weights, np.random.default_rng(12))
    with layer.editing() as w:
        w["bias"][:] = 7
        optim.SGD(layer, 0.5).step({"weight": grads["weight"]})
    assert (layer.weights["bias"] == 7).all()
    assert_same_bits(layer.weights["weight"], first - np.float32(0.5) * grads["weight"])
