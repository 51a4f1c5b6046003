"""Tree-LSTM against its oracle, against PyTorch, and against what the paper implies."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gru_native
from groves import assert_same_results, grove, random_grove, random_parents, results
from helpers import assert_all_close, assert_close, assert_same_bits, assert_slopes

ARITIES = [None, 1, 2, 5]
NODE_RESULTS = ("h", "c", "dx")

SHAPES = {
    "one node": [-1],
    "leaves only": [-1] * 9,
    "chain": [1, 2, 3, 4, 5, -1],
    "chain upside down": [-1, 0, 1, 2, 3, 4],
    "a leaf beside its uncle": [4, 0, 0, 4, -1],
}


def shape_case(parents, arity, **sizes):
    """Children take their parent's slots from the last on, as many as there are."""
    rng, slots, taken = np.random.default_rng(1), [], {}
    for parent in parents:
        taken[parent] = taken.get(parent, 0) + 1
        slots.append((arity or 1) - taken[parent] if parent >= 0 else 77)
    return grove(parents, slots, arity, rng, **sizes)


def check(case):
    """Outputs and all gradients in float64 against the oracle and its differences."""
    layer = case.layer()
    h, c = layer(*case.forest)
    expected_h, expected_c = case.expected()
    assert_close(h, expected_h, 1e-13, "h")
    assert_close(c, expected_c, 1e-13, "c")

    def loss():
        h, c = case.expected()
        return np.sum(case.dh * h) + np.sum(case.dc * c)

    actual = results(layer, case)
    assert_same_bits(actual["h"], h)
    assert_same_bits(actual["c"], c)
    arrays = {"dx": case.x, **case.weights}
    assert_slopes(loss, arrays, actual, np.random.default_rng(2))


@pytest.mark.parametrize("arity", ARITIES)
@pytest.mark.parametrize("hidden_size", [1, 7, 17, 33])
@pytest.mark.parametrize("input_size", [1, 7, 17, 33])
def test_against_reference(arity, input_size, hidden_size):
    trees = 12 if arity == 1 else 3
    check(random_grove(arity, 3, trees=trees, input_size=input_size, hidden_size=hidden_size))


@pytest.mark.parametrize("arity", ARITIES)
@pytest.mark.parametrize("parents", SHAPES.values(), ids=SHAPES)
def test_shapes(arity, parents):
    if arity == 1 and len(set(parents)) < len(parents) and max(parents) >= 0:
        pytest.skip("has two children somewhere")
    check(shape_case(parents, arity))


@pytest.mark.parametrize("arity", [None, 2])
def test_without_bias(arity):
    case = random_grove(arity, 4, bias=False)
    check(case)
    assert "bias" not in case.layer().weights


@settings(max_examples=60, deadline=None)
@given(
    arity=st.sampled_from(ARITIES),
    nodes=st.integers(1, 40),
    trees=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    single=st.booleans(),
)
def test_random_forests(arity, nodes, trees, seed, single):
    dtype = np.float32 if single else np.float64
    case = random_grove(arity, seed, nodes, min(trees, nodes), hidden_size=9).cast(dtype)
    h, c = case.layer(dtype)(*case.forest)
    assert h.dtype == c.dtype == dtype
    for actual, expected in zip((h, c), case.cast(np.float64).expected(), strict=True):
        assert_close(actual, expected, 1e-5 if single else 1e-13)


@pytest.mark.parametrize("arity", ARITIES)
def test_against_torch(arity):
    pytest.importorskip("torch")
    import torch_trees

    case = random_grove(arity, 5, trees=4, input_size=5, hidden_size=11)
    *state, gradients = torch_trees.run(
        case.weights, case.x, case.parents, case.slots, case.dh, case.dc
    )
    for reference, torch in zip(case.expected(), state, strict=True):
        assert_close(reference, torch, 1e-13)
    actual = results(case.layer(), case)
    assert_all_close({name: actual[name] for name in gradients}, gradients, 1e-12)
    single = results(case.layer(np.float32), case.cast(np.float32))
    assert_all_close({name: single[name] for name in gradients}, gradients, 1e-4)


# --- identities


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_child_sum_on_a_chain_is_the_lstm(dtype):
    """To the bit forward; backward sums the gates in another order."""
    steps, input_size, hidden_size = 30, 6, 19
    rng = np.random.default_rng(6)
    case = grove(
        [*range(1, steps), -1], None, None, rng, input_size=input_size, hidden_size=hidden_size
    ).cast(dtype)
    lstm = gru_native.LSTM(input_size, hidden_size, dtype=dtype)
    with lstm.editing() as w:
        w["weight_ih_l0"] = case.weights["weight_ih"]
        w["weight_hh_l0"] = case.weights["weight_hh"]
        w["bias_ih_l0"] = case.weights["bias"]
        w["bias_hh_l0"] = np.zeros(4 * hidden_size, dtype)
    y, (_, c), tape = lstm.forward(case.x)
    case.dc[:-1] = 0
    actual = results(case.layer(dtype), case)
    assert_same_bits(actual["h"], y)
    assert_same_bits(actual["c"][-1:], c)
    dstate = (np.zeros((1, hidden_size), dtype), case.dc[-1:])
    grads = lstm.backward(tape, case.dh, dstate)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert_close(actual["dx"], grads.x, tolerance)
    for name in ("weight_ih", "weight_hh"):
        assert_close(actual[name], grads.weights[f"{name}_l0"], tolerance, name)
    assert_close(actual["bias"], grads.weights["bias_ih_l0"], tolerance)


def test_child_sum_does_not_see_the_order_of_children():
    case = random_grove(None, 7, trees=2)
    numbers = np.random.default_rng(8).permutation(24)
    other = case.nodes(numbers)
    assert (np.argsort(numbers)[case.parents] != other.parents).any()
    expected, actual = results(case.layer(), case), results(case.layer(), other)
    for name in NODE_RESULTS:
        assert_close(actual[name], expected[name][numbers], 1e-13, name)
    for name in case.weights:
        assert_close(actual[name], expected[name], 1e-13, name)


@pytest.mark.parametrize("arity", [None, 3])
def test_numbers_of_nodes_do_not_matter(arity):
    """If siblings keep their order, or have slots, all is permuted and no bit differs."""
    case = random_grove(arity, 9, nodes=60, trees=3, hidden_size=17).cast(np.float32)
    rng = np.random.default_rng(10)
    if arity is None:  # whole families move, so that none is mixed up
        key = rng.permutation(61)[case.parents]
        numbers = np.lexsort((np.arange(60), key))
    else:
        numbers = rng.permutation(60)
    assert (numbers != np.arange(60)).any()
    expected = results(case.layer(np.float32), case)
    actual = results(case.layer(np.float32), case.nodes(numbers))
    for name in NODE_RESULTS:
        assert_same_bits(actual[name], expected[name][numbers], name)


def test_nary_sees_which_child_is_which():
    case = shape_case([2, 2, -1], 2)
    swapped = shape_case([2, 2, -1], 2)
    swapped.slots[:2] = swapped.slots[1::-1]
    h, _ = case.layer()(*case.forest)
    other, _ = case.layer()(*swapped.forest)
    assert_same_bits(other[:2], h[:2])
    assert np.abs(other[2] - h[2]).max() > 1e-3


def test_a_missing_child_is_zeros():
    """A child in the second of two slots is not one in the first, and others' slots stay free."""
    case = shape_case([1, -1], 2)
    assert case.slots[0] == 1
    h, _ = case.layer()(*case.forest)
    alone = grove([1, -1], [0, 0], 1, np.random.default_rng(1))
    alone.x[...] = case.x
    H = case.dh.shape[1]
    alone.weights["weight_ih"][...] = case.weights["weight_ih"]
    alone.weights["bias"][...] = case.weights["bias"]
    alone.weights["weight_hh_iog"][...] = case.weights["weight_hh_iog"][:, H:]
    alone.weights["weight_hh_f"][...] = case.weights["weight_hh_f"][H:, H:]
    assert_close(alone.layer()(*alone.forest)[0], h, 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("arity", [None, 2])
def test_a_tree_among_others_has_the_bits_of_the_tree_alone(arity, dtype):
    case = random_grove(arity, 11, nodes=300, trees=20, input_size=33, hidden_size=41).cast(dtype)
    layer = case.layer(dtype)
    together = results(layer, case)
    roots = np.arange(300)
    while (case.parents[roots] >= 0).any():
        roots = np.where(case.parents[roots] >= 0, case.parents[roots], roots)
    sizes = []
    for root in np.unique(roots):
        tree = np.flatnonzero(roots == root)
        sizes.append(len(tree))
        alone = results(layer, case.nodes(tree))
        for name in NODE_RESULTS:
            assert_same_bits(together[name][tree], alone[name], name)
    assert 4 * min(sizes) < max(sizes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("arity", [None, 1, 2, 5])
@pytest.mark.parametrize(
    ("nodes", "trees", "hidden_size"), [(400, 40, 161), (400, 40, 33), (60, 1, 161), (40, 40, 161)]
)
def test_any_number_of_threads(arity, nodes, trees, hidden_size, dtype, threads):
    """Wide heights are shared out by nodes, narrow ones by units: at this size both take part."""
    rng = np.random.default_rng(12)
    if nodes == 60:
        parents, slots = np.append(np.arange(1, 60), -1), np.zeros(60, int)
    else:
        parents, slots = random_parents(nodes, rng, trees, arity)
    case = grove(parents, slots, arity, rng, input_size=90, hidden_size=hidden_size).cast(dtype)
    layer = case.layer(dtype)
    threads(1)
    expected = results(layer, case)
    for count in (2, 3, 7):
        threads(count)
        assert_same_results(results(layer, case), expected)
        h, c = layer(*case.forest)
        assert_same_bits(h, expected["h"])
        assert_same_bits(c, expected["c"])


def test_deep_chain():
    """No recursion: a chain longer than any stack."""
    nodes = 200_000
    layer = gru_native.ChildSumTreeLSTM(1, 3, seed=0)
    parents = np.append(np.arange(1, nodes), -1)
    h, _, tape = layer.forward(np.ones((nodes, 1), np.float32), parents)
    assert np.isfinite(h).all()
    grads = layer.backward(tape, dh=np.ones_like(h))
    assert np.isfinite(grads.x).all()
    assert np.abs(h[-1] - h[-2]).max() < 1e-5  # a constant input brings it to rest


# --- numbers


@pytest.mark.parametrize("arity", [None, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_special_numbers_travel_up_and_nowhere_else(arity, value):
    case = random_grove(arity, 13, nodes=40, trees=4, input_size=3, hidden_size=5)
    leaf = int(np.flatnonzero(~np.isin(np.arange(40), case.parents) & (case.parents >= 0))[0])
    above = [leaf]
    while case.parents[above[-1]] >= 0:
        above.append(int(case.parents[above[-1]]))
    before = results(case.layer(), case)
    case.x[leaf, 1] = value
    with np.errstate(invalid="ignore"):
        expected_h, expected_c = case.expected()
    h, c = case.layer()(*case.forest)
    assert_close(h, expected_h, 1e-13)
    assert_close(c, expected_c, 1e-13)
    others = np.setdiff1d(np.arange(40), above)
    assert_same_bits(h[others], before["h"][others])
    if np.isnan(value):
        assert np.isnan(h[above]).all()
    # Gradients: of other trees to the bit, and NaN below a node that is NaN.
    after = results(case.layer(), case)
    roots = np.arange(40)
    while (case.parents[roots] >= 0).any():
        roots = np.where(case.parents[roots] >= 0, case.parents[roots], roots)
    elsewhere = roots != above[-1]
    assert elsewhere.any()
    assert_same_bits(after["dx"][elsewhere], before["dx"][elsewhere])
    if np.isnan(value):
        assert np.isnan(after["dx"][above]).all()
        assert np.isnan(after["weight_ih"]).any()


def test_published_parameter_counts():
    """Table 1 of the paper, at its 300 inputs.

    The published code adds a bias in each of the two products of a gate, where we have one: a
    gate of d units counts d more. Its relatedness (SICK) models have no output gate, so the rows of
    o go. Its constituency model reads x at leaves only, with layers of their own: c = W x + b and
    there o = sigmoid(W_o x + b), 301 d each; its composer is our U with ten (eight) biases of d.
    """

    def share(layer, parts):
        """The weights of these names, of each the given part."""
        return sum(layer.weights[name].size * part for name, part in parts.items())

    three = dict.fromkeys(("weight_ih", "weight_hh", "bias"), Fraction(3, 4))
    d = 168  # dependency, sentiment
    assert gru_native.ChildSumTreeLSTM(300, d).num_parameters + 4 * d == 315_840
    d = 150  # dependency, relatedness
    assert share(gru_native.ChildSumTreeLSTM(300, d), three) + 3 * d == 203_400
    d = 150  # constituency, sentiment
    composer = {"weight_hh_iog": 1, "weight_hh_f": 1}
    recurrent = share(gru_native.NaryTreeLSTM(300, d, 2), composer)
    assert recurrent + 10 * d + 2 * 301 * d == 316_800
    d = 142  # constituency, relatedness
    composer["weight_hh_iog"] = Fraction(2, 3)
    recurrent = share(gru_native.NaryTreeLSTM(300, d, 2), composer)
    assert recurrent + 8 * d + 301 * d == 205_190
