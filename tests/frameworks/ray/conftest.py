"""One Ray for the tests of this folder."""

import os

import pytest

import ray_runs


@pytest.fixture(scope="package")
def cluster():
    """A machine of its own with three processors, whatever there is."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=3,
        object_store_memory=200_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def by_value(cluster, request):
    """Functions of the tests are sent whole, since workers cannot import their files."""
    modules = (request.module, ray_runs)
    for module in modules:
        cluster.cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cluster.cloudpickle.unregister_pickle_by_value(module)
