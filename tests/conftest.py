"""Shared by all tests. No import of the core here: the reference is tested without it."""

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


@pytest.fixture
def threads():
    """gru_native.set_num_threads for the length of one test."""
    import gru_native

    before = gru_native.get_num_threads()
    yield gru_native.set_num_threads
    gru_native.set_num_threads(before)
