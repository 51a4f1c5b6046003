"""Whatever changes several things is done or not done when a signal comes, after whichever line."""

import numpy as np
import pytest

import gru_native as gn
from gru_native import losses, optim
from lines import assert_all_or_nothing

# Each: what changes something, how it is now, what undoes it, and how it was.


def weights_of(layer):
    before = layer.state_dict()
    after = {name: 2 * w for name, w in before.items()}
    return (
        lambda: layer.load_state_dict(after),
        layer.state_dict,
        lambda: layer.load_state_dict(before),
        before,
    )


def layer():
    return weights_of(gn.LSTM(2, 3, 2, seed=1))


def chain():
    return weights_of(gn.Chain([gn.Embedding(5, 2, seed=1), gn.GRU(2, 3, seed=1), gn.Dense(3, 2)]))


def decoder():
    return weights_of(gn.AttentionDecoder(5, 2, 3, 4, seed=1))


def large_softmax():
    return weights_of(losses.SampledSoftmax(3, 20, 5, seed=1))


def edit():
    own = gn.Chain([gn.GRU(2, 3, seed=1), gn.Dense(3, 2)])
    before = own.state_dict()

    def change():
        with own.editing() as weights:
            for w in weights.values():
                w *= 2

    return change, own.state_dict, lambda: own.load_state_dict(before), before


def optimizer():
    own = gn.Dense(3, 2, seed=1)
    adam = optim.Adam(own)
    before = adam.state_dict()
    adam.step({name: np.ones_like(w) for name, w in own.weights.items()})
    after = adam.state_dict()
    adam.load_state_dict(before)
    return (
        lambda: adam.load_state_dict(after),
        adam.state_dict,
        lambda: adam.load_state_dict(before),
        before,
    )


def optimizers_step():
    own = gn.Chain([gn.GRU(2, 3, seed=1), gn.Dense(3, 2, seed=2)])
    adam = optim.Adam(own)
    gradients = {name: np.ones_like(w) for name, w in own.weights.items()}
    states = [adam.state_dict(), own.state_dict()]

    def state():
        return {**adam.state_dict(), **own.state_dict()}

    def begin_anew():
        adam.load_state_dict(states[0])
        own.load_state_dict(states[1])

    return lambda: adam.step(gradients), state, begin_anew, state()


def sessions():
    own = gn.Chain([gn.LSTM(2, 3, seed=1), gn.GRU(3, 2, seed=1)])
    pool, other = own.sessions(3), own.sessions(3)
    ids = [other.open(), other.open()]
    other.step(ids, np.ones((2, 2), np.float32))
    pool.open()
    before, after = pool.save_state(), other.save_state()
    return lambda: pool.load_state(after), pool.save_state, lambda: pool.load_state(before), before


def streams():
    own = gn.Chain([gn.LSTM(2, 3, seed=1), gn.GRU(3, 2, seed=1)]).stream()
    flat = lambda: {str(i): h for i, h in enumerate([*own.state[0], own.state[1]])}  # noqa: E731
    before = flat()
    own(np.ones((2, 2), np.float32))
    after = own.state
    own.reset()

    def change():
        own.state = after

    return change, flat, own.reset, before


def rtrl():
    own = gn.RTRL(gn.LSTM(2, 3, seed=1))
    flat = lambda: {"h": own.state[0], "c": own.state[1]}  # noqa: E731
    before = flat()
    own(np.ones(2, np.float32))
    after = own.state
    own.reset()

    def change():
        own.state = after

    return change, flat, own.reset, before


def copies(arrays):
    return {name: g.copy() for name, g in arrays.items()}


def gradients():
    before = {"a": np.full(3, 4.0), "b": np.full((2, 2), 3.0, np.float32)}
    own = copies(before)

    def undo():
        for name, g in before.items():
            own[name][...] = g

    return lambda: gn.clip_gradients(own, 1), lambda: copies(own), undo, before


@pytest.mark.parametrize(
    "make",
    [
        layer,
        chain,
        decoder,
        large_softmax,
        edit,
        optimizer,
        optimizers_step,
        sessions,
        streams,
        rtrl,
        gradients,
    ],
)
def test_all_or_nothing(make):
    assert_all_or_nothing(*make())
