"""A few tries of each fuzzer; python tests/fuzz/NAME.py --count N makes as many as you like."""

import numpy as np
import pytest

pytest.importorskip("resource")  # limits are those of Unix
import fuzzing


def test_api():
    import api

    tries = fuzzing.run(api.one, range(60))
    assert not tries.failures, tries
    assert {"computed", "refused", "no memory", "raised what the argument raised"} == set(
        tries.outcomes
    )
    assert tries.outcomes.total() == 60 * api.CALLS


def test_model_files():
    import model_files

    tries = fuzzing.run(model_files.one, range(10))
    assert not tries.failures, tries
    taken = "computed by both" if model_files.library() else "loaded"
    assert tries.outcomes["refused"] > 500
    assert tries.outcomes[taken] > 100


def test_onnx_models():
    pytest.importorskip("onnx")
    import onnx_models

    tries = fuzzing.run(onnx_models.one, range(2000))
    assert not tries.failures, tries
    assert {"refused by load", "refused by a call", "computed", "computed, streamed"} <= set(
        tries.outcomes
    )


def test_keras_files():
    import keras_files  # skips where Keras, torch or h5py is missing

    tries = fuzzing.run(keras_files.one, range(200))
    assert not tries.failures, tries
    assert {"refused by load", "computed"} <= set(tries.outcomes)


def test_sessions():
    import sessions

    tries = fuzzing.run(sessions.one, range(60))
    assert not tries.failures, tries
    assert {"one thread", "threads", "few bits"} <= set(tries.outcomes)


def test_a_failure_is_noticed():
    def one(rng):
        if rng.integers(3) == 0:
            raise AttributeError("no such thing")
        return "done"

    tries = fuzzing.run(one, range(60), seed=1)
    ((first, text, count),) = tries.failures.values()
    assert 10 < count == tries.outcomes["failed"] < 40
    assert "AttributeError: no such thing" in text
    with pytest.raises(AttributeError):
        one(np.random.default_rng([1, first]))
