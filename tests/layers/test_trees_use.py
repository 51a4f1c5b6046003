"""Tree-LSTM layers in use: their errors, their tapes, their weights, many threads."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gru_native
from groves import assert_same_results, random_grove, results
from helpers import assert_same_bits


@pytest.fixture(params=[None, 3], ids=["child-sum", "n-ary"])
def arity(request):
    return request.param


@pytest.fixture
def case(arity):
    return random_grove(arity, 1, nodes=30, trees=3, hidden_size=19)


@pytest.fixture
def layer(case):
    return case.layer()


def slots_for(layer, slots):
    return (slots,) if isinstance(layer, gru_native.NaryTreeLSTM) else ()


# --- errors


@pytest.mark.parametrize(
    ("parents", "text"),
    [
        ([-1, 0, 3], r"parents\[2\] is 3; expected a node from 0 to 2, or -1 for a root"),
        ([-1, -2, 0], r"parents\[1\] is -2; expected a node from 0 to 2, or -1"),
        ([-1, 0, 2**62], r"parents\[2\] is 4611686018427387904"),
        ([-1, 1, 0], r"parents\[1\] is 1, the node itself"),
        ([1, 0, -1], r"cycle through node 0"),
        ([-1, 2, 1], r"cycle through node 1"),
        ([1, 2, 0], r"cycle through node 0"),
    ],
)
def test_parents_that_are_no_trees(case, layer, parents, text):
    with pytest.raises(ValueError, match=text):
        layer(case.x[:3], parents, *slots_for(layer, [0, 1, 2]))


def test_cycle_far_above_a_leaf(case, layer):
    """The node that is named is on the cycle, not below it."""
    parents = [*range(1, 30), 27]  # 27, 28, 29
    with pytest.raises(ValueError, match="cycle through node 27"):
        layer(case.x, parents, *slots_for(layer, np.zeros(30, int)))


@pytest.mark.parametrize("slot", [-1, 3, 2**40])
def test_slot_out_of_range(slot):
    layer = gru_native.NaryTreeLSTM(2, 4, 3)
    with pytest.raises(ValueError, match=rf"slots\[1\] is {slot}; expected 0 to arity-1=2"):
        layer(np.ones((2, 2), int), [-1, 0], [0, slot])
    layer(np.ones((2, 2), int), [-1, 0], [slot, 2])  # a root's is ignored


def test_two_children_in_one_slot():
    layer = gru_native.NaryTreeLSTM(2, 4, 3)
    with pytest.raises(ValueError, match=r"slots\[3\] is 1, where node 2 has its child 0 already"):
        layer(np.ones((4, 2), int), [2, 2, -1, 2], [1, 0, 0, 1])


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((0, 4), r"x has shape \(0, 4\); expected at least one node"),
        ((5,), r"x has shape \(5,\); expected \(nodes, input_size=4\)"),
        ((5, 3), r"x has shape \(5, 3\)"),
        ((5, 1, 4), r"x has shape \(5, 1, 4\)"),
    ],
)
def test_shape_of_x(layer, shape, text):
    nodes = np.full(shape[0], -1)
    with pytest.raises(ValueError, match=text):
        layer(np.zeros(shape), nodes, *slots_for(layer, nodes))


@pytest.mark.parametrize("shape", [(), (4,), (6,), (5, 1), (0,)])
@pytest.mark.parametrize("name", ["parents", "slots"])
def test_shape_of_parents_and_slots(name, shape):
    layer = gru_native.NaryTreeLSTM(4, 3, 2)
    arguments = {"parents": np.full(5, -1), "slots": np.zeros(5, int), name: np.zeros(shape, int)}
    with pytest.raises(ValueError, match=rf"{name} has shape .*; expected \(nodes=5,?\)"):
        layer(np.zeros((5, 4), np.float32), **arguments)


@pytest.mark.parametrize("value", [None, "roots", [-1.0, 0.0], [True, False], [None, 1], [1j, 0]])
@pytest.mark.parametrize("name", ["parents", "slots"])
def test_parents_and_slots_that_are_no_integers(name, value):
    layer = gru_native.NaryTreeLSTM(4, 3, 2)
    arguments = {"parents": [-1, 0], "slots": [0, 0], name: value}
    with pytest.raises(TypeError, match=rf"\b{name}\b.*expected whole numbers"):
        layer(np.zeros((2, 4), np.float32), **arguments)


def test_unsigned_numbers_do_not_wrap():
    layer = gru_native.ChildSumTreeLSTM(1, 2)
    with pytest.raises(ValueError, match=r"parents holds 18446744073709551615"):
        layer(np.zeros((2, 1), np.float32), np.array([2**64 - 1, 0], np.uint64))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, ">i8", np.int64])
def test_integers_of_any_kind(case, layer, dtype):
    parents = np.repeat(case.parents, 2).astype(dtype)[::2]
    h, _ = layer(case.x, parents, *slots_for(layer, case.slots))
    assert_same_bits(h, layer(*case.forest)[0])


@pytest.mark.parametrize("x", [np.zeros((2, 4), np.float32), np.zeros((2, 4), complex), "x", None])
def test_x_of_another_type(layer, x):
    with pytest.raises(TypeError, match=r"\bx\b.*float64"):
        layer(x, [-1, -1], *slots_for(layer, [0, 0]))


def test_surplus_and_missing_slots():
    with pytest.raises(TypeError):
        gru_native.ChildSumTreeLSTM(1, 2)(np.zeros((1, 1)), [-1], [0])
    with pytest.raises(TypeError, match="slots"):
        gru_native.NaryTreeLSTM(1, 2, 2)(np.zeros((1, 1)), [-1])


@pytest.mark.parametrize("value", [0, -1, -(2**63)])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "arity"])
def test_size_of_nothing(name, value):
    sizes = {"input_size": 3, "hidden_size": 4, "arity": 2, name: value}
    with pytest.raises(ValueError, match=rf"\b{name}\b.*{value}"):
        gru_native.NaryTreeLSTM(**sizes)


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "arity", "bias", "seed"])
def test_argument_of_another_type(name):
    arguments = {"input_size": 3, "hidden_size": 4, "arity": 2, name: "4"}
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        gru_native.NaryTreeLSTM(**arguments)


@pytest.mark.parametrize(
    "sizes",
    [(3, 2**62, 1), (2**62, 3, 1), (3, 4, 2**62), (2**31, 2**31, 2), (1, 2**24, 8), (3, 2**70, 1)],
)
def test_sizes_that_overflow(sizes):
    with pytest.raises((ValueError, MemoryError)):
        gru_native.NaryTreeLSTM(*sizes)
    if sizes[2] == 1:
        with pytest.raises((ValueError, MemoryError)):
            gru_native.ChildSumTreeLSTM(*sizes[:2])


@pytest.mark.parametrize("name", ["dh", "dc"])
def test_gradients_that_do_not_fit(case, layer, name):
    *_, tape = layer.forward(*case.forest)
    good = {"dh": case.dh, "dc": case.dc}
    with pytest.raises(ValueError, match=rf"{name} has shape \(29, 19\); expected \(nodes=30, "):
        layer.backward(tape, **{**good, name: good[name][:29]})
    with pytest.raises(TypeError, match=rf"{name} has dtype float32"):
        layer.backward(tape, **{**good, name: good[name].astype(np.float32)})
    with pytest.raises(ValueError, match="dh and dc are both None"):
        layer.backward(tape)


def test_tape_of_another_layer(case, layer):
    twin, single = case.layer(), case.layer(np.float32)
    *_, tape = layer.forward(*case.forest)
    with pytest.raises(ValueError, match=r"\btape\b.*another layer"):
        twin.backward(tape, case.dh)
    with pytest.raises(ValueError, match=r"\btape\b.*another dtype"):
        single.backward(tape, case.dh.astype(np.float32))
    lstm = gru_native.LSTM(1, 1)
    for other in (None, "tape", lstm.forward(np.zeros((1, 1), np.float32))[2]):
        with pytest.raises(TypeError, match=r"\btape\b"):
            layer.backward(other, case.dh)
    with pytest.raises(TypeError, match=r"\btape\b"):
        lstm.backward(tape, np.zeros((1, 1)))


def test_an_error_leaves_all_as_it_was(case, layer):
    expected = results(layer, case)
    for _ in range(3):
        with pytest.raises(ValueError, match="cycle"):
            layer(case.x[:2], [1, 0], *slots_for(layer, [0, 0]))
    assert_same_results(results(layer, case), expected)


# --- tapes


def test_a_tape_is_a_record(case, layer):
    """Nothing that happens after forward changes the gradients."""
    expected = results(layer, case)
    dh, dc = case.dh.copy(), case.dc.copy()
    h, c, tape = layer.forward(*case.forest)
    *_, other = layer.forward(*random_grove(case.arity, 2, nodes=50, hidden_size=19).forest)
    for array in (case.x, case.parents, h, c):
        array[...] = 9
    with layer.editing() as w:
        for name in w:
            w[name] *= 3
    layer.backward(other, dh=np.ones((50, 19)))
    for _ in range(2):
        grads = layer.backward(tape, dh, dc)
        assert_same_results({"dx": grads.x, **grads.weights}, expected, ["dx", *layer.weights])


def test_results_outlive_tape_and_layer(case):
    layer = case.layer()
    h, c, tape = layer.forward(*case.forest)
    grads = layer.backward(tape, case.dh, case.dc)
    kept = [h, c, grads.x, *grads.weights.values()]
    copies = [array.copy() for array in kept]
    del layer, tape, grads
    gc.collect()
    np.full(1_000_000, np.nan)  # whoever read freed memory would now find this
    for array, copy in zip(kept, copies, strict=True):
        assert_same_bits(array, copy)


def test_dh_and_dc_add_up(case, layer):
    *_, tape = layer.forward(*case.forest)
    both = layer.backward(tape, case.dh, case.dc)
    from_h, from_c = layer.backward(tape, case.dh), layer.backward(tape, dc=case.dc)
    np.testing.assert_allclose(from_h.x + from_c.x, both.x, atol=1e-12)
    for name, gradient in both.weights.items():
        total = from_h.weights[name] + from_c.weights[name]
        np.testing.assert_allclose(total, gradient, atol=1e-12)


def test_many_python_threads_on_one_layer(arity, threads):
    threads(2)
    cases = [random_grove(arity, seed, 100 + 20 * seed, hidden_size=64) for seed in range(6)]
    for other in cases[1:]:
        other.weights = cases[0].weights
    layer = cases[0].layer()
    expected = [results(layer, case) for case in cases]

    def worker(number):
        for _ in range(5):
            assert_same_results(results(layer, cases[number]), expected[number])

    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(worker, range(len(cases))))


# --- weights


def test_weights_by_name_and_at_random(arity):
    def make(seed):
        if arity is None:
            return gru_native.ChildSumTreeLSTM(6, 16, seed=seed)
        return gru_native.NaryTreeLSTM(6, 16, arity, seed=seed)

    layer = make(3)
    shapes = {"weight_ih": (64, 6)}
    if arity is None:
        shapes["weight_hh"] = (64, 16)
    else:
        shapes |= {"weight_hh_iog": (48, 48), "weight_hh_f": (48, 48)}
    shapes["bias"] = (64,)
    assert {name: w.shape for name, w in layer.weights.items()} == shapes
    for name, w in layer.weights.items():
        assert 0.2 < np.abs(w).max() <= 0.25
        assert np.abs(w).min() < 0.05
        assert_same_bits(w, make(3).weights[name])
        assert (w != make(4).weights[name]).any()
        assert not w.flags.writeable
    assert layer.num_parameters == sum(w.size for w in layer.weights.values())


def test_state_dict_round_trip(case, layer):
    fresh = random_grove(case.arity, 99, hidden_size=19).layer()
    h, _ = layer(*case.forest)
    assert (fresh(*case.forest)[0] != h).any()
    fresh.load_state_dict(layer.state_dict())
    assert_same_bits(fresh(*case.forest)[0], h)
    with pytest.raises(ValueError, match="weight_ih"):
        layer.load_state_dict({})


def test_names(arity):
    kind = gru_native.ChildSumTreeLSTM if arity is None else gru_native.NaryTreeLSTM
    sizes = (3, 4) if arity is None else (3, 4, 2)
    layer = kind(*sizes, bias=False)
    listed = ", ".join(map(str, sizes))
    assert repr(layer) == f"{kind.__name__}({listed}, bias=False, dtype=float32)"
