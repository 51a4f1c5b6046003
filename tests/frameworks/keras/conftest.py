"""What the tests of Keras share. They ask themselves whether Keras and h5py are there."""

import importlib

import pytest


@pytest.fixture(scope="module", autouse=True)
def double():
    """Keras computes in float64 where a layer says so, or says nothing.

    Except on TensorFlow its products of float64 are float32 otherwise.
    """
    from keras_models import keras

    table = importlib.import_module("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE
    before = table["float64"], keras.config.floatx(), keras.config.dtype_policy()
    table["float64"] = "float64"
    keras.config.set_floatx("float64")  # also the dtype of StackedRNNCells made from a list
    keras.config.set_dtype_policy("float64")
    yield
    table["float64"] = before[0]
    keras.config.set_floatx(before[1])
    keras.config.set_dtype_policy(before[2])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with both files of a model, x, and the model itself."""
    from keras_saved import save

    return save(tmp_path_factory.mktemp("keras"))
