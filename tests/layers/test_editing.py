"""An edit is made as a whole when it ends, or not at all; a chain's edit is one, like a layer's."""

import threading

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense
from helpers import assert_same_bits

X = np.random.default_rng(1).standard_normal((4, 3, 5)).astype(np.float32)
MODELS = {
    "layer": lambda seed=1: GRU(5, 7, 2, seed=seed),
    "chain": lambda seed=1: Chain(
        [LSTM(5, 7, seed=seed), RNN(7, 5, seed=seed + 1), Dense(5, 4, seed=seed + 2)]
    ),
    "tree": lambda seed=1: gru_native.ChildSumTreeLSTM(5, 4, seed=seed),
}


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def assert_has(model, weights):
    for name, w in model.weights.items():
        assert_same_bits(np.asarray(w), weights[name], name)
    for name, w in model.state_dict().items():
        assert_same_bits(w, weights[name], name)


def outputs(model, x=X):
    if isinstance(model, gru_native.ChildSumTreeLSTM):
        return model(x[:, 0], [1, 2, 3, -1])[0]
    return model(x)[0]


def assert_computes_as_it_says(model, make):
    """What it computes with is what it shows and what it would save."""
    fresh = make(99)
    fresh.load_state_dict(model.state_dict())
    assert_same_bits(outputs(model), outputs(fresh))


# --- all or nothing


def test_what_fails_midway_changes_nothing(make):
    model = make()
    before = model.state_dict()
    names = list(before)

    class Raises:
        def __init__(self, error):
            self.error = error

        def __array__(self, dtype=None, copy=None):
            raise self.error

    new = {name: np.full(w.shape, 0.5, w.dtype) for name, w in before.items()}
    for error in (KeyboardInterrupt(), SystemExit(3), MemoryError(), RuntimeError("mine")):
        with pytest.raises(type(error)) as raised:
            model.load_state_dict({**new, names[-1]: Raises(error)})
        assert raised.value is error
        assert_has(model, before)
    with pytest.raises(ValueError, match=names[-1]):
        model.load_state_dict({**new, names[-1]: np.zeros((1, 2, 3), np.float32)})
    huge = np.full(before[names[-1]].shape, 1e300).tolist()  # float64, as lists are
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        model.load_state_dict({**new, names[-1]: huge})
    assert_has(model, before)
    assert_computes_as_it_says(model, make)


def test_an_edit_that_fails_changes_nothing(make):
    model = make()
    before, y = model.state_dict(), outputs(model)
    for error in (KeyError("mine"), KeyboardInterrupt()):

        def edit(error=error):
            with model.editing() as w:
                for name in w:
                    w[name][...] = 0.5
                raise error

        with pytest.raises(type(error)):
            edit()
    assert_has(model, before)
    assert_same_bits(outputs(model), y)


def test_weights_may_be_swapped_by_views_of_themselves():
    layer = GRU(6, 6, seed=1)  # weight_ih and weight_hh have one shape
    before = layer.state_dict()
    swapped = {**layer.weights}
    for one, other in (("weight_ih_l0", "weight_hh_l0"), ("bias_ih_l0", "bias_hh_l0")):
        swapped[one], swapped[other] = layer.weights[other], layer.weights[one]
    layer.load_state_dict(swapped)
    for one, other in (("weight_ih_l0", "weight_hh_l0"), ("bias_ih_l0", "bias_hh_l0")):
        assert_same_bits(np.asarray(layer.weights[one]), before[other])
        assert_same_bits(np.asarray(layer.weights[other]), before[one])


def test_weights_of_a_chain_may_be_swapped_by_views_of_themselves():
    chain = Chain([Dense(4, 4, seed=1), Dense(4, 4, seed=2)])
    before = chain.state_dict()
    other = {"0": "1", "1": "0"}
    chain.load_state_dict({other[n[0]] + n[1:]: w[::-1] for n, w in chain.weights.items()})
    for name, w in chain.weights.items():
        assert_same_bits(np.asarray(w), before[other[name[0]] + name[1:]][::-1], name)


def test_a_layer_that_is_twice_in_a_chain():
    dense = Dense(4, 4, seed=1)
    chain = Chain([dense, GRU(4, 4, seed=2), dense])
    with chain.editing() as w:
        w["0.weight"][...] = 1
        w["2.weight"][...] += 2
        w["2.bias"] = [0] * 4
        assert (w["0.weight"] == 3).all()
    assert (dense.weights["weight"] == 3).all()
    state = chain.state_dict()
    chain.load_state_dict(state)
    state["2.weight"] = state["2.weight"] + 1
    text = r"0\.weight and 2\.weight are one weight, but have two values"
    with pytest.raises(ValueError, match=text):
        chain.load_state_dict(state)
    assert (dense.weights["weight"] == 3).all()


# --- arrays that outlive the block


@pytest.mark.parametrize(
    "keep",
    [
        lambda w: w.reshape(-1),
        lambda w: w.T,
        lambda w: w[1:],
        lambda w: np.asarray(memoryview(w)),
        lambda w: w.view(np.uint32),
    ],
    ids=["reshape", "transpose", "slice", "buffer", "view"],
)
def test_a_view_that_is_kept_is_no_part_of_the_layer_any_more(keep):
    layer = GRU(5, 7, seed=1)
    with layer.editing() as w:
        kept = keep(w["weight_ih_l0"])
        kept[...] = 1
    after, y = layer.state_dict(), outputs(layer)
    if kept.flags.writeable:
        kept[...] = 2
    assert_has(layer, after)
    assert_same_bits(outputs(layer), y)
    assert_computes_as_it_says(layer, lambda seed: GRU(5, 7, seed=seed))


def test_what_is_open_is_seen_by_nobody(make, tmp_path):
    model = make()
    before, y = model.state_dict(), outputs(model)
    with model.editing() as w:
        for name in w:
            w[name][...] = 0.5
        assert_has(model, before)
        assert_same_bits(outputs(model), y)
        assert all((w[name] == 0.5).all() for name in w)
    assert all((array == 0.5).all() for array in model.weights.values())
    assert_computes_as_it_says(model, make)


def test_after_the_block(make):
    model = make()
    with model.editing() as w:
        first = next(iter(w))
        array = w[first]
        array[...] = 2
    assert (w[first] == 2).all()
    for name in w:  # also those that nobody asked for inside
        with pytest.raises(ValueError, match="read-only"):
            w[name][...] = 3
        with pytest.raises(ValueError, match="the editing block has ended"):
            w[name] = 3 * array
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 3
    assert (model.weights[first] == 2).all()


def test_what_becomes_of_the_array_object_does_not_matter():
    layer = Dense(3, 4, seed=1)
    with layer.editing() as w:
        array = w["weight"]
        array[...] = 2
        array.shape = (12,)
        w["bias"].setflags(write=False)
    assert layer.weights["weight"].shape == (4, 3)
    assert (layer.weights["weight"] == 2).all()


def test_edits_inside_one_another():
    layer = GRU(5, 7, seed=1)
    before = layer.state_dict()
    with layer.editing() as outer:
        outer["bias_ih_l0"][...] = 1
        with layer.editing() as inner:
            inner["bias_hh_l0"][...] = 2
        assert (layer.weights["bias_hh_l0"] == 2).all()
        assert_same_bits(np.asarray(layer.weights["bias_ih_l0"]), before["bias_ih_l0"])
    assert (layer.weights["bias_ih_l0"] == 1).all()
    assert (layer.weights["bias_hh_l0"] == 2).all()
    assert_computes_as_it_says(layer, lambda seed: GRU(5, 7, seed=seed))


# --- while other threads call


def in_threads(*bodies, rounds=None):
    """Run each body over and over in a thread of its own, until one has had `rounds`."""
    done, errors = threading.Event(), []

    def run(body, rounds):
        try:
            while not done.is_set():
                body()
                if rounds is not None:
                    rounds -= 1
                    if rounds == 0:
                        break
        except BaseException as error:
            errors.append(error)
        finally:
            if rounds is not None or errors:
                done.set()

    threads = [
        threading.Thread(target=run, args=(b, rounds * (k == 0) or None))
        for k, b in enumerate(bodies)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def edits(model, states):
    """Both ways to make the model's weights those of one of the states."""
    turn = iter(range(10**9))

    def edit():
        k = next(turn)
        state = states[k % len(states)]
        if k % 3 == 0:
            model.load_state_dict(state)
        else:
            with model.editing() as w:
                for name in w:
                    w[name][...] = state[name]

    return edit


def chain_and_states():
    """A chain, two weights that it may have, and what it computes with each of them."""
    x = np.random.default_rng(2).standard_normal((6, 2, 5)).astype(np.float32)
    blocks = [LSTM(5, 40, seed=1), GRU(40, 30, seed=2), Dense(30, 20, activation="tanh", seed=3)]
    chain = Chain(blocks)
    states = [chain.state_dict()]
    states.append({name: w[::-1].copy() for name, w in states[0].items()})
    return chain, states, x


def results_of(chain, states, call):
    expected = []
    for state in states:
        chain.load_state_dict(state)
        expected.append(call())
    return expected


def one_of(result, expected):
    return any(
        all(np.array_equal(a, b) for a, b in zip(result, one, strict=True)) for one in expected
    )


def flat(tree):
    if isinstance(tree, dict):
        tree = tree.values()
    if isinstance(tree, np.ndarray):
        return [tree]
    return [array for part in tree for array in flat(part)]


CALLS = {
    "call": lambda chain, x: flat(chain(x)),
    "forward": lambda chain, x: flat(chain.forward(x)[:2]),
    "backward": lambda chain, x: flat(
        chain.backward(chain.forward(x)[2], np.ones((6, 2, 20), np.float32))
    ),
    "stream": lambda chain, x: flat(chain.stream(2)(x)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_of_a_chain_sees_all_of_an_edit_or_nothing(call):
    chain, states, x = chain_and_states()
    expected = results_of(chain, states, lambda: call(chain, x))

    def check():
        assert one_of(call(chain, x), expected)

    in_threads(check, edits(chain, states), edits(chain, states), rounds=300)


def test_what_is_read_and_saved_is_all_of_an_edit_or_nothing(tmp_path):
    chain, states, _ = chain_and_states()
    expected = [flat(state) for state in states]

    def check():
        assert one_of(flat(chain.state_dict()), expected)
        gru_native.save(chain, tmp_path / "model")
        assert one_of(flat(gru_native.load(tmp_path / "model").state_dict()), expected)

    in_threads(check, edits(chain, states), edits(chain, states), rounds=60)


def test_a_layer_loaded_by_several_threads_has_the_weights_of_one(make):
    model = make()
    states = [make(seed).state_dict() for seed in (1, 5, 9)]
    expected = []
    for state in states:
        model.load_state_dict(state)
        expected.append([outputs(model)])

    def check():
        assert one_of([outputs(model)], expected)
        assert one_of(flat(model.state_dict()), [flat(state) for state in states])

    loads = [lambda state=state: model.load_state_dict(state) for state in states]
    in_threads(check, *loads, rounds=200)
    assert_computes_as_it_says(model, make)
    assert one_of([outputs(model)], expected)
